"""A space of detectors of one stage, as tables of plain values."""

import heads
from tuning.arguments import arguments
from tuning.encoders import ENCODERS, HIGHEST, TAKES, encoder, with_norm
from tuning.image_network import fixed_sides
from tuning.tables import check_names, without
from tuning.training import compiled_space

LEAST = 32  # side of an image, a position of the coarsest level
CHOICES = {
    "backbone": {
        **ENCODERS,
        "blocks": {**ENCODERS["blocks"], "stem": 2, "stages": HIGHEST},
    },
    "head": {  # what only one of them has; any other of its arguments may be added
        "DetectionHead": {"bins": [8, 16]},
        "SSDHead": {"octaves": [1, 2], "anchor_size": [2.0, 4.0]},
    },
    "neck": ["pyramid", "path_aggregation", "bifpn"],
    "filters": [32, 64, 96],  # of the neck and the towers
    "depth": [1, 2, 3],  # of the towers
    "separable": [False, True],
}
USUAL = {"backbone": ["blocks", "mobilenet_v2", "mobilenet_v3", "resnet"]}
COMMON = ("neck", "filters", "depth", "separable")
HEADS = {name: getattr(heads, name) for name in CHOICES["head"]}


def detection_space(
    input_shape, num_classes, *, choices=None, steps=None, mean=0.0, std=1.0, **head
):
    """Return a space of detectors: a function from hyperparameters to a compiled model.

    It takes ParetoSearch and every tuner of KerasTuner. A configuration is a backbone and its
    size, a head without anchors or with them, the neck and the towers, and what trains. Losses of
    the two heads have scales of their own: models are compared by average precision, which
    `heads.CocoScores` puts into the logs of `fit`, or one head is asked for.
    Attribute `size` is the number of configurations, `None` if a range is continuous.

    Args:
        input_shape: `(height, width, channels)`, at least 32 x 32.
        num_classes: Number of classes, background not counted.
        choices: Table, as `choose` takes it, that replaces rows of `CHOICES` and of
            `tuning.training.TRAINING`: `{"backbone": ["mobilenet_v2"], "head": "SSDHead"}`, or
            with published weights `{"backbone": {"resnet": {"depth": 50, "weights": "imagenet"}}}`.
        steps: Number of training steps, for the schedule; see `training_space`.
        mean: Mean of the image's values, a number or one for each channel.
        std: Their standard deviation. The model's first layer takes both off.
        **head: Arguments that both heads have and that are no choice, such as `levels`.

    Raises:
        ValueError: If the shape is open or too small, or a name is unknown.

    >>> import keras_tuner
    >>> few = {"backbone": {"mobilenet_v2": {"alpha": 0.35}}, "head": "SSDHead", "filters": 16}
    >>> space = detection_space((64, 64, 3), 2, choices=few, levels=["P4", "P5"])
    >>> space(keras_tuner.HyperParameters()).output_shape, space.size
    ((None, 60, 10), 864)
    """
    fixed_sides(input_shape, LEAST)
    takes = {name: set(arguments(kind)) - {"num_classes", "name"} for name, kind in HEADS.items()}
    check_names("both heads", head, set.intersection(*takes.values()))
    own = without(CHOICES, head)
    common = [name for name in COMMON if name in own]
    takes = {name: set(names) - {*COMMON, *head} for name, names in takes.items()}

    def network(chosen):
        kind, options = chosen["head"]
        options = {"norm": "batch", **{name: chosen[name] for name in common}, **options, **head}
        made = HEADS[kind](num_classes, **with_norm(options), name="head")
        return encoder(input_shape, *chosen["backbone"], mean, std), made

    return compiled_space(own, choices, steps, network, {**TAKES, **takes}, usual=USUAL)
