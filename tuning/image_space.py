"""A space of networks for classifying images, small and large, as tables of plain values."""

import contextlib

import heads
from backbones.common import image_input
from tuning.image_network import LEAST_SIDE, most_stages, network
from tuning.recipes import adamw
from tuning.tables import choose, size

CHOICES = {
    "width": [8, 16, 24, 32, 48],  # channels of the first stage, doubled at each further one
    "depth": [1, 2, 3],  # blocks a stage
    "attention": ["none", "squeeze_excite", "self_attention"],
    "norm": ["batch", "group"],
    "activation": "relu",
    "dropout": [0.0, 0.2, 0.4],
    "label_smoothing": [0.0, 0.1],
    "weight_decay": [0.0, 0.01, 0.05],
    "learning_rate": [3e-4, 1e-3, 3e-3, 1e-2],
}
FAMILIES = {  # what only the blocks of one family have
    "plain": {"kernel": [3, 5]},
    "residual": {"kernel": [3, 5], "drop_path": [0.0, 0.1]},
    "bottleneck": {"drop_path": [0.0, 0.1]},
    "inverted": {"kernel": [3, 5], "expansion": [2, 4, 6], "drop_path": [0.0, 0.1]},
    "separable": {"kernel": [3, 5]},
}


def image_space(
    input_shape,
    num_classes,
    *,
    choices=None,
    families=None,
    steps=None,
    mean=0.0,
    std=1.0,
    **head,
):
    """Return a space of image classifiers: a function from hyperparameters to a compiled model.

    It takes ParetoSearch and every tuner of KerasTuner. A configuration is a block family with
    what belongs to it, a width, a depth, a number of stages, attention, normalization, and what
    regularizes and trains. The image is never made smaller than 2 x 2. Attribute `size` is the
    number of configurations, `None` if a range is continuous.

    Args:
        input_shape: `(height, width, channels)`, at least 2 x 2.
        num_classes: Number of classes.
        choices: Table, as `choose` takes it, that replaces rows of `CHOICES`; `"stages"` too,
            which by default follows from the image's size.
        families: Which families there are: a table for each, that replaces rows of its table in
            `FAMILIES`.
        steps: Number of training steps, for `adamw`'s schedule; `None` for a constant rate.
        mean: Mean of the image's values, a number or one for each channel.
        std: Their standard deviation. The model's first layer takes both off.
        **head: Further arguments of `heads.ClassificationHead`, such as `class_weights`.

    Raises:
        ValueError: If the shape is open or too small, or a table has an unknown name.

    >>> import keras_tuner
    >>> space = image_space((8, 8, 1), 10, choices={"width": [8, 16]}, mean=8, std=6)
    >>> space(keras_tuner.HyperParameters()).output_shape, space.size
    ((None, 10), 114048)
    """
    sides = image_input(input_shape).shape[1:3]
    if None in sides or min(sides) < LEAST_SIDE:
        raise ValueError(
            f"`input_shape` must have fixed sides of at least {LEAST_SIDE}. "
            f"Received: input_shape={input_shape!r}."
        )
    choices = {} if choices is None else choices
    families = FAMILIES if families is None else families
    check_names("choices", choices, {"stages", *CHOICES})
    check_names("families", families, FAMILIES)
    for name, offered in families.items():
        check_names(f"families[{name!r}]", offered, FAMILIES[name])
        families = {**families, name: {**FAMILIES[name], **offered}}
    most = most_stages(min(sides))
    table = {"stages": sorted({max(1, most - 1), most}), **CHOICES, **choices}

    def build(hp):
        chosen = choose(hp, {"family": list(families), **table})
        for family, offered in families.items():
            alone = len(families) == 1
            scope = contextlib.nullcontext() if alone else hp.conditional_scope("family", [family])
            with scope:  # KerasTuner's own tuners see by it what belongs together
                own = choose(hp, offered)
            if family == chosen["family"]:
                chosen |= own
        backbone = network(input_shape, chosen, mean, std)
        made = heads.ClassificationHead(
            num_classes,
            dropout=chosen["dropout"],
            label_smoothing=chosen["label_smoothing"],
            name="head",
            **head,
        )
        model = heads.attach(backbone, made)
        optimizer = adamw(steps, chosen["learning_rate"], weight_decay=chosen["weight_decay"])
        model.compile(optimizer, loss=made.loss(), metrics=made.metrics())
        return model

    counts = [size(offered) for offered in families.values()]
    common = size(table)
    build.size = None if None in [*counts, common] else common * sum(counts)
    return build


def check_names(what, given, known):
    """Raise where a table is none, or has a name that means nothing."""
    if not isinstance(given, dict):
        raise ValueError(f"`{what}` must be a dict from names. Received: {what}={given!r}.")
    unknown = sorted(set(given) - set(known))
    if unknown or (what == "families" and not given):
        raise ValueError(f"`{what}` may have {sorted(known)}. Received: {unknown or 'nothing'}.")
