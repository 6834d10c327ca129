"""EfficientNet: one small network, widened and deepened by rule; and Lite, which quantizes well."""

import math

import keras

from backbones.common import network_input, stage_and_block
from backbones.preprocessing import divide_again, standardized
from backbones.weights import filled, is_published
from blocks import ConvNormAct, InvertedResidual
from blocks.channels import round_channels

# Kernel, depth, filters, expansion and first stride of every stage: table 1 of the paper.
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
# Factors of width and depth, from the authors' code; they trained at 224, 240, 260, 300, 380,
# 456, 528 and 600 pixels a side, Lite at 224, 240, 260, 280 and 300.
VARIANTS = {
    "b0": (1.0, 1.0),
    "b1": (1.0, 1.1),
    "b2": (1.1, 1.2),
    "b3": (1.2, 1.4),
    "b4": (1.4, 1.8),
    "b5": (1.6, 2.2),
    "b6": (1.8, 2.6),
    "b7": (2.0, 3.1),
    "lite0": (1.0, 1.0),
    "lite1": (1.0, 1.1),
    "lite2": (1.1, 1.2),
    "lite3": (1.2, 1.4),
    "lite4": (1.4, 1.8),
}
PARTS = {  # in keras.applications
    "stem.conv": "stem_conv",
    "stem.norm": "stem_bn",
    "last.conv": "top_conv",
    "last.norm": "top_bn",
    "preprocessing_normalization": "normalization:0",
    "expand.conv": "expand_conv",
    "expand.norm": "expand_bn",
    "depthwise.conv": "dwconv",
    "depthwise.norm": "bn",
    "scale.reduce": "se_reduce",
    "scale.expand": "se_expand",
    "project.conv": "project_conv",
    "project.norm": "project_bn",
}


def efficientnet(
    input_shape=(224, 224, 3),
    variant="b0",
    *,
    drop_path=0.2,
    weights=None,
    include_preprocessing=None,
    name=None,
):
    """Return EfficientNet as a feature pyramid: `{"P1": …, …, "P5": …}`.

    `"b0"` to `"b7"` are weight for weight the networks of `keras.applications`; but an odd side
    is rounded up where sides are open too, of which those then lose the last position. `"lite0"` to
    `"lite4"` are the authors' for integer hardware: no squeeze-and-excitation, ReLU6 in the
    place of SiLU, first and last layers of one size.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        variant: `"b0"` to `"b7"`, or `"lite0"` to `"lite4"`.
        drop_path: Share of the samples whose branch the last block leaves out in training,
            those before it in proportion; the authors' 0.2.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layers take pixels from 0 to 255; by default where
            the file of the weights says so (a `.weights.h5` file says nothing). Those of `"b0"` to
            `"b7"` have numbers of their own: adapt `model.get_layer("preprocessing_normalization")`
            where they come from no file.
        name: Name of the model; by default `"efficientnet_b0"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, there is no such variant, or the
            weights are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Tan and Le, 2019](https://arxiv.org/abs/1905.11946)

    >>> {level: x.shape[1:] for level, x in efficientnet((96, 96, 3)).output.items()}["P5"]
    (3, 3, 1280)
    """
    if variant not in VARIANTS:
        raise ValueError(
            f"`variant` must be one of {', '.join(VARIANTS)}. Received: variant={variant!r}."
        )
    width, depth = VARIANTS[variant]
    lite = variant.startswith("lite")
    twin = None if lite else getattr(keras.applications, f"EfficientNet{variant.upper()}")
    image, x = network_input(
        input_shape,
        "lite" if lite else standardized,
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    activation = "relu6" if lite else "silu"
    ends = 1.0 if lite else width
    x = ConvNormAct(round_channels(32 * ends), strides=2, activation=activation, name="stem")(x)
    repeats = [math.ceil(row[1] * depth) for row in STAGES]
    if lite:
        repeats[0], repeats[-1] = STAGES[0][1], STAGES[-1][1]
    levels, level, number = {}, 1, 0
    for stage, (kernel_size, _, filters, expansion, strides) in enumerate(STAGES):
        if strides == 2:
            levels[f"P{level}"], level = x, level + 1
        for i in range(repeats[stage]):
            x = InvertedResidual(
                round_channels(filters * width),
                strides if i == 0 else 1,
                expansion=expansion,
                kernel_size=kernel_size,
                activation=activation,
                # A quarter of the block's input, seen from what is wide.
                se_ratio=0.0 if lite else {"ratio": 0.25 / expansion, "activation": activation},
                drop_path=drop_path * number / sum(repeats),
                name=f"stage{stage}_block{i}",
            )(x)
            number += 1
    x = ConvNormAct(round_channels(1280 * ends), 1, activation=activation, name="last")(x)
    levels[f"P{level}"] = x
    model = keras.Model(image, levels, name=name or f"efficientnet_{variant}")
    model = filled(model, weights, twin, twin_layer)
    if is_published(weights):
        divide_again(model)
    return model


def twin_layer(path, parts=PARTS):
    """Return the name in `keras.applications.EfficientNetB0` and the larger ones of our layer."""
    if path in parts:
        return parts[path]
    place, part = path.split(".", 1)
    stage, block = stage_and_block(place)
    return f"block{stage + 1}{chr(ord('a') + block)}_{parts[part]}"
