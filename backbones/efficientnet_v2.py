"""EfficientNetV2: dense convolutions where channels are few, depthwise ones behind."""

import math

import keras

from backbones.common import network_input
from backbones.efficientnet import PARTS as FIRST_PARTS
from backbones.efficientnet import twin_layer as first_twin_layer
from backbones.weights import filled
from blocks import ConvNormAct, FusedInvertedResidual, InvertedResidual

# Depth, filters, expansion and first stride of every stage (table 4 of the paper and the
# authors' code). The first three are fused, the others squeeze a quarter of their input.
BASE = ((1, 16, 1, 1), (2, 32, 4, 2), (2, 48, 4, 2), (3, 96, 4, 2), (5, 112, 6, 1), (8, 192, 6, 2))
SMALL = (
    (2, 24, 1, 1),
    (4, 48, 4, 2),
    (4, 64, 4, 2),
    (6, 128, 4, 2),
    (9, 160, 6, 1),
    (15, 256, 6, 2),
)
MEDIUM = (
    (3, 24, 1, 1),
    (5, 48, 4, 2),
    (5, 80, 4, 2),
    (7, 160, 4, 2),
    (14, 176, 6, 1),
    (18, 304, 6, 2),
    (5, 512, 6, 1),
)
LARGE = (
    (4, 32, 1, 1),
    (7, 64, 4, 2),
    (7, 96, 4, 2),
    (10, 192, 4, 2),
    (19, 224, 6, 1),
    (25, 384, 6, 2),
    (7, 640, 6, 1),
)
FUSED = 3
# Stages, filters of the first layer, factors of width and depth, preprocessing.
VARIANTS = {
    "b0": (BASE, 32, 1.0, 1.0, "torch"),
    "b1": (BASE, 32, 1.0, 1.1, "torch"),
    "b2": (BASE, 32, 1.1, 1.2, "torch"),
    "b3": (BASE, 32, 1.2, 1.4, "torch"),
    "s": (SMALL, 24, 1.0, 1.0, "128"),
    "m": (MEDIUM, 24, 1.0, 1.0, "128"),
    "l": (LARGE, 32, 1.0, 1.0, "128"),
}
PARTS = {**FIRST_PARTS, "depthwise.conv": "dwconv2"}  # in keras.applications


def efficientnet_v2(
    input_shape=(224, 224, 3),
    variant="b0",
    *,
    activation="silu",
    squeeze=True,
    drop_path=0.2,
    weights=None,
    include_preprocessing=None,
    name=None,
):
    """Return EfficientNetV2 as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications`, as the defaults are.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        variant: `"b0"` to `"b3"`, `"s"`, `"m"` or `"l"`.
        activation: Name of a Keras activation. `"relu6"`, with `squeeze=False`, quantizes
            better than the paper's `"silu"`.
        squeeze: Whether the blocks that are not fused hold a `SqueezeExcite`.
        drop_path: Share of the samples whose branch the last block leaves out in training,
            those before it in proportion; the authors' 0.2.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layer takes pixels from 0 to 255; by default where
            the file of the weights says so (a `.weights.h5` file says nothing).
        name: Name of the model; by default `"efficientnet_v2_b0"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, there is no such variant, or the
            weights are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Tan and Le, 2021](https://arxiv.org/abs/2104.00298)

    >>> {level: x.shape[1:] for level, x in efficientnet_v2((96, 96, 3)).output.items()}["P5"]
    (3, 3, 1280)
    """
    if variant not in VARIANTS:
        raise ValueError(
            f"`variant` must be one of {', '.join(VARIANTS)}. Received: variant={variant!r}."
        )
    stages, stem, width, depth, mode = VARIANTS[variant]
    twin = getattr(keras.applications, f"EfficientNetV2{variant.upper()}")
    image, x = network_input(
        input_shape,
        mode,
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    common = {"norm": {"type": "batch", "momentum": 0.9}, "activation": activation}
    x = ConvNormAct(_rounded(stem * width), strides=2, name="stem", **common)(x)
    repeats = [math.ceil(row[0] * depth) for row in stages]
    levels, level, number = {}, 1, 0
    for stage, (_, filters, expansion, strides) in enumerate(stages):
        if strides == 2:
            levels[f"P{level}"], level = x, level + 1
        se_ratio = {"ratio": 0.25 / expansion, "activation": activation} if squeeze else 0.0
        kind = {} if stage < FUSED else {"se_ratio": se_ratio}
        block = FusedInvertedResidual if stage < FUSED else InvertedResidual
        for i in range(repeats[stage]):
            x = block(
                _rounded(filters * width),
                strides if i == 0 else 1,
                expansion=expansion,
                drop_path=drop_path * number / sum(repeats),
                name=f"stage{stage}_block{i}",
                **kind,
                **common,
            )(x)
            number += 1
    levels[f"P{level}"] = ConvNormAct(_rounded(1280 * width), 1, name="last", **common)(x)
    model = keras.Model(image, levels, name=name or f"efficientnet_v2_{variant}")
    return filled(model, weights, twin, twin_layer)


def _rounded(channels):
    """Return the nearest multiple of 8, without the first version's bound of a tenth."""
    return max(8, int(channels + 4) // 8 * 8)


def twin_layer(path):
    """Return the name in `keras.applications.EfficientNetV2B0` and the others of our layer."""
    return first_twin_layer(path, PARTS)
