"""A space of U-Nets, as tables of plain values."""

import math

import heads
from tuning.arguments import arguments
from tuning.encoders import ENCODERS, HIGHEST, TAKES, encoder, with_norm
from tuning.image_network import LARGE, LEAST_SIDE, fixed_sides
from tuning.tables import check_names, without
from tuning.training import compiled_space

CHOICES = {
    "encoder": {"blocks": ENCODERS["blocks"]},  # those of ENCODERS where they are asked for
    "filters": [8, 16, 32],  # of the decoder's finest level, doubled at each coarser one
    "block": ["conv", "residual", "separable"],
    "attention": [False, True],
    "nested": [False, True],
    "upsample": ["linear", "transposed"],
    "deep_supervision": [False, True],
    "norm": "batch",  # of the decoder
    "loss": ["cross_entropy", "focal", {"cross_entropy": 1.0, "dice": 1.0}],
}


def unet_space(input_shape, num_classes, *, choices=None, steps=None, mean=0.0, std=1.0, **head):
    """Return a space of U-Nets: a function from hyperparameters to a compiled model.

    It takes ParetoSearch and every tuner of KerasTuner. A configuration is an encoder with what
    belongs to it, the options of `heads.UNetHead`, and what trains. The encoder is made of blocks,
    like those of `image_space`, its first stage at the image's size or half of it; `choices` may
    ask for published ones, `{"encoder": ["blocks", "mobilenet_v3"]}`, and for their weights,
    `{"encoder": {"resnet": {"depth": 50, "weights": "imagenet"}}}`. Losses are offered, too, so
    that models are compared by a score, such as `"val_iou"`, and never by the loss.
    Attribute `size` is the number of configurations, `None` if a range is continuous.

    Args:
        input_shape: `(height, width, channels)`, at least 4 x 4.
        num_classes: Number of classes; 1 is a binary mask.
        choices: Table, as `choose` takes it, that replaces rows of `CHOICES` and of
            `tuning.training.TRAINING`. The encoder of blocks has two rows more, which by default
            follow from the image's size: `"stem"`, its first stride, and `"stages"`.
        steps: Number of training steps, for the schedule; see `training_space`.
        mean: Mean of the image's values, a number or one for each channel.
        std: Their standard deviation. The model's first layer takes both off.
        **head: Arguments of `heads.UNetHead` that are no choice, such as `ignore_label`.

    Raises:
        ValueError: If the shape is open or too small, or a name is unknown.

    Reference: [Ronneberger et al., 2015](https://arxiv.org/abs/1505.04597)

    >>> import keras_tuner
    >>> few = {"encoder": {"blocks": {"width": 8, "block": ["residual"]}}, "block": "conv"}
    >>> space = unet_space((32, 32, 1), 3, choices=few, loss="focal")
    >>> space(keras_tuner.HyperParameters()).output_shape, space.size
    ((None, 32, 32, 3), 36864)
    """
    side = min(fixed_sides(input_shape, 2 * LEAST_SIDE))
    check_names("heads.UNetHead", head, set(arguments(heads.UNetHead)) - {"levels", "rank", "name"})
    stems = [1, 2] if side >= LARGE else [1]
    most = min(HIGHEST, int(math.log2(side / max(stems) / LEAST_SIDE)) + 1)
    sized = {"stem": stems, "stages": sorted({max(2, most - 1), most})}
    encoders = {**ENCODERS, "blocks": {**ENCODERS["blocks"], **sized}}
    own = without({**CHOICES, "encoder": encoders}, head)
    options = [name for name in own if name != "encoder"]

    def network(chosen):
        backbone = encoder(input_shape, *chosen["encoder"], mean, std)
        made = heads.UNetHead(
            num_classes,
            sorted(backbone.output),
            **with_norm({**{name: chosen[name] for name in options}, **head}),
            name="head",
        )
        return backbone, made

    return compiled_space(own, choices, steps, network, TAKES, usual={"encoder": "blocks"})
