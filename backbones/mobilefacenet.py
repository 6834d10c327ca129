"""MobileFaceNet: a narrow MobileNetV2 for faces, which keeps its map for the head to weigh."""

import keras

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct, DepthwiseNormAct, InvertedResidual
from blocks.channels import round_channels

# Expansion, filters, depth and first stride of every stage: table 1 of the paper.
STAGES = (
    (2, 64, 5, 2),
    (4, 128, 1, 2),
    (2, 128, 6, 1),
    (4, 128, 1, 2),
    (2, 128, 2, 1),
)


def mobilefacenet(
    input_shape=(112, 112, 3),
    alpha=1.0,
    *,
    activation="prelu",
    weights=None,
    include_preprocessing=None,
    name="mobilefacenet",
):
    """Return MobileFaceNet up to its 512 channels as a feature pyramid: `{"P1": …, …, "P4": …}`.

    The paper's network ends in a global depthwise convolution and the embedding: attached to
    `heads.MarginHead(num_classes, 128, pool="depthwise")` and deployed it has the paper's 221
    million multiply-adds. Of its 0.99 million parameters, 976,000 are kernels and 7,552 slopes,
    and the rest is one bias a channel: what is left of the normalization in a file.

    Args:
        input_shape: `(height, width, channels)` of an aligned face; sides may be `None`, but the
            depthwise pooling needs to know them.
        alpha: Width factor: the channels of every layer are multiplied by it and rounded to
            a multiple of 8.
        activation: Name of a Keras activation, or `"prelu"`, the paper's. LiteRT has no fast int8
            PRELU: for int8 files take `"relu"` or `"relu6"`.
        weights: `None`, or the path of a file; none were published by the authors.
        include_preprocessing: Whether the first layer brings pixels from 0 to 255 to about -1 to 1,
            less 127.5 and divided by 128; by default where the file of the weights says so (a
            `.weights.h5` file says nothing).
        name: Name of the model.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 16 x 16, `alpha` is not above 0, or the weights
            are of another network.

    Reference: [Chen et al., 2018](https://arxiv.org/abs/1804.07573)

    >>> mobilefacenet().output["P4"].shape[1:]
    (7, 7, 512)
    """
    if not alpha > 0:
        raise ValueError(f"`alpha` must be above 0. Received: alpha={alpha!r}.")
    image, x = network_input(
        input_shape,
        "face",
        stride=16,
        twin=None,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    narrow = round_channels(64 * alpha)
    x = ConvNormAct(narrow, strides=2, activation=activation, name="stem")(x)
    x = DepthwiseNormAct(activation=activation, name="depthwise")(x)
    levels, stride = {}, 1
    for stage, (expansion, filters, depth, strides) in enumerate(STAGES):
        if strides == 2:
            levels[f"P{stride}"], stride = x, stride + 1
        for i in range(depth):
            x = InvertedResidual(
                round_channels(filters * alpha),
                strides if i == 0 else 1,
                expansion=expansion,
                activation=activation,
                name=f"stage{stage}_block{i}",
            )(x)
    last = round_channels(512 * alpha)
    levels[f"P{stride}"] = ConvNormAct(last, 1, activation=activation, name="last")(x)
    return filled(keras.Model(image, levels, name=name), weights)
