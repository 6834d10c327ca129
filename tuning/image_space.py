"""A space of networks for classifying images, small and large, as tables of plain values."""

import heads
from tuning.arguments import arguments
from tuning.image_network import FAMILIES, fixed_sides, most_stages, network
from tuning.tables import check_names, choose, replaced, size, under, without
from tuning.training import TRAINING, compiled, with_training

OWN = {"num_classes", "name"}
CHOICES = {
    "width": [8, 16, 24, 32, 48],  # channels of the first stage, doubled at each further one
    "depth": [1, 2, 3],  # blocks a stage
    "attention": ["none", "squeeze_excite", "self_attention"],
    "norm": ["batch", "group"],
    "activation": "relu",
    "dropout": [0.0, 0.2, 0.4],
    "label_smoothing": [0.0, 0.1],
    "weight_decay": TRAINING["weight_decay"],
    "learning_rate": TRAINING["learning_rate"],
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
        choices: Table, as `choose` takes it, that replaces rows of `CHOICES` and of
            `tuning.training.TRAINING`; `"stages"` too, which by default follows from the image's
            size.
        families: Which families there are: a table for each, that replaces rows of its table in
            `FAMILIES`.
        steps: Number of training steps, for the schedule; see `training_space`.
        mean: Mean of the image's values, a number or one for each channel.
        std: Their standard deviation. The model's first layer takes both off.
        **head: Arguments of `heads.ClassificationHead` that are no choice, such as
            `class_weights`.

    Raises:
        ValueError: If the shape is open or too small, or a table has an unknown name.

    >>> import keras_tuner
    >>> space = image_space((8, 8, 1), 10, choices={"width": [8, 16]}, mean=8, std=6)
    >>> space(keras_tuner.HyperParameters()).output_shape, space.size
    ((None, 10), 114048)
    """
    most = most_stages(min(fixed_sides(input_shape)))
    families = FAMILIES if families is None else families
    families = replaced({"family": FAMILIES}, {"family": families}, what="families")["family"]
    check_names("heads.ClassificationHead", head, set(arguments(heads.ClassificationHead)) - OWN)
    own = without({"stages": sorted({max(1, most - 1), most}), **CHOICES}, head)
    table = with_training(own, choices, steps)
    # As they were drawn before there were others, so that a search goes on as it began.
    table = {name: table[name] for name in (*own, "optimizer", "schedule")}

    def build(hp):
        chosen = choose(hp, {"family": list(families), **table})
        chosen |= under(hp, "family", chosen["family"], families)
        options = {name: chosen[name] for name in ("dropout", "label_smoothing") if name in chosen}
        made = heads.ClassificationHead(num_classes, **options, **head, name="head")
        return compiled(hp, network(input_shape, chosen, mean, std), made, chosen, steps)

    build.size = size({"family": families, **table})
    return build
