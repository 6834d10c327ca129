"""MobileNetV2: inverted residuals with linear bottlenecks."""

import functools

import keras

from backbones.common import network_input, stage_and_block
from backbones.weights import filled
from blocks import ConvNormAct, InvertedResidual
from blocks.channels import round_channels

# Expansion, filters, depth and first stride of every stage: table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
NORM = {"type": "batch", "epsilon": 1e-3, "momentum": 0.999}
ENDS = {"stem": ("Conv1", "bn_Conv1"), "last": ("Conv_1", "Conv_1_bn")}  # in keras.applications


def mobilenet_v2(
    input_shape=(224, 224, 3),
    alpha=1.0,
    *,
    weights=None,
    include_preprocessing=None,
    name="mobilenet_v2",
):
    """Return MobileNetV2 as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications.MobileNetV2`.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        alpha: Width factor: the channels of every layer are multiplied by it and rounded to
            a multiple of 8. The paper gives 0.35, 0.5, 0.75, 1.0, 1.3 and 1.4.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layer brings pixels from 0 to 255 to -1 to 1; by
            default where the file of the weights says so (a `.weights.h5` file says nothing).
        name: Name of the model.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, `alpha` is not above 0, or the weights
            are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Sandler et al., 2018](https://arxiv.org/abs/1801.04381)

    >>> {level: x.shape[1:] for level, x in mobilenet_v2((224, 224, 3)).output.items()}["P5"]
    (7, 7, 1280)
    """
    if not alpha > 0:
        raise ValueError(f"`alpha` must be above 0. Received: alpha={alpha!r}.")
    twin = functools.partial(keras.applications.MobileNetV2, alpha=alpha)
    image, x = network_input(
        input_shape,
        "tf",
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    common = {"norm": NORM, "activation": "relu6"}
    x = ConvNormAct(round_channels(32 * alpha), strides=2, name="stem", **common)(x)
    levels, stride = {}, 1
    for stage, (expansion, filters, depth, strides) in enumerate(STAGES):
        if strides == 2:
            levels[f"P{stride}"], stride = x, stride + 1
        for i in range(depth):
            x = InvertedResidual(
                round_channels(filters * alpha),
                strides if i == 0 else 1,
                expansion=expansion,
                name=f"stage{stage}_block{i}",
                **common,
            )(x)
    # The last layer keeps its width where the others get narrower: section 6.1 of the paper.
    last = max(1280, round_channels(1280 * alpha))
    levels[f"P{stride}"] = ConvNormAct(last, 1, name="last", **common)(x)
    return filled(keras.Model(image, levels, name=name), weights, twin, twin_layer)


def twin_layer(path):
    """Return the name in `keras.applications.MobileNetV2` of our layer."""
    place, *parts = path.split(".")
    if place in ENDS:
        return ENDS[place][parts == ["norm"]]
    stage, block = stage_and_block(place)
    number = sum(depth for _, _, depth, _ in STAGES[:stage]) + block
    prefix = f"block_{number}_" if number else "expanded_conv_"
    return f"{prefix}{parts[0]}{'_BN' if parts[1] == 'norm' else ''}"
