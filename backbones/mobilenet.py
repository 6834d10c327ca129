"""MobileNet: depthwise separable convolutions, one after the other."""

import functools

import keras
from keras import layers

from backbones.common import network_input, stage_and_block
from backbones.weights import filled
from blocks import ConvNormAct, DepthwiseSeparableConv

# Filters, depth and first stride of every stage: table 1 of the paper.
STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))


def mobilenet(
    input_shape=(224, 224, 3),
    alpha=1.0,
    *,
    weights=None,
    include_preprocessing=None,
    name="mobilenet",
):
    """Return MobileNet as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications.MobileNet`. As there, an odd side
    loses its last position where the stride is: 75 becomes 38, 19, 9, 4 and 2.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        alpha: Width factor: the channels of every layer are multiplied by it and rounded
            down. The paper gives 0.25, 0.5, 0.75 and 1.0.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layer brings pixels from 0 to 255 to -1 to 1; by
            default where the file of the weights says so (a `.weights.h5` file says nothing).
        name: Name of the model.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, `alpha` leaves a layer no channels,
            or the weights are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Howard et al., 2017](https://arxiv.org/abs/1704.04861)

    >>> {level: x.shape[1:] for level, x in mobilenet((96, 96, 3), 0.25).output.items()}["P5"]
    (3, 3, 256)
    """
    if not alpha >= 1 / 32:
        raise ValueError(f"`alpha` must be at least 1/32. Received: alpha={alpha!r}.")
    twin = functools.partial(keras.applications.MobileNet, alpha=alpha)
    image, x = network_input(
        input_shape,
        "tf",
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    x = ConvNormAct(int(32 * alpha), strides=2, activation="relu6", name="stem")(x)
    levels = {}
    for stage, (filters, depth, strides) in enumerate(STAGES):
        for i in range(depth):
            strided = i == 0 and strides == 2
            if strided:  # not what "same" pads where sides are odd
                x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"stage{stage}_pad")(x)
            x = DepthwiseSeparableConv(
                int(filters * alpha),
                strides=2 if strided else 1,
                padding="valid" if strided else "same",
                activation="relu6",
                name=f"stage{stage}_block{i}",
            )(x)
        levels[f"P{stage + 1}"] = x
    return filled(keras.Model(image, levels, name=name), weights, twin, twin_layer)


def twin_layer(path):
    """Return the name in `keras.applications.MobileNet` of our layer."""
    place, *parts = path.split(".")
    end = "_bn" if parts[-1] == "norm" else ""
    if place == "stem":
        return f"conv1{end}"
    stage, block = stage_and_block(place)
    number = sum(depth for _, depth, _ in STAGES[:stage]) + block + 1
    return f"conv_{'dw' if parts[0] == 'depthwise' else 'pw'}_{number}{end}"
