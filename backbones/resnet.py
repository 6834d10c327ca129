"""ResNet: residual blocks, the first network of a hundred layers."""

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled
from blocks import BottleneckBlock, ConvNormAct, ResidualBlock

# Block, filters of the first stage and blocks of every stage (table 1 of the paper), and
# whether the convolutions have biases: those of keras.applications have, the paper's have not.
DEPTHS = {
    18: (ResidualBlock, 64, (2, 2, 2, 2), False),
    34: (ResidualBlock, 64, (3, 4, 6, 3), False),
    50: (BottleneckBlock, 256, (3, 4, 6, 3), True),
    101: (BottleneckBlock, 256, (3, 4, 23, 3), True),
    152: (BottleneckBlock, 256, (3, 8, 36, 3), True),
}
NORM = {"type": "batch", "epsilon": 1.001e-5}


TWINS = {
    50: keras.applications.ResNet50,
    101: keras.applications.ResNet101,
    152: keras.applications.ResNet152,
}


def resnet(
    input_shape=(224, 224, 3), depth=50, *, weights=None, include_preprocessing=None, name=None
):
    """Return ResNet as a feature pyramid: `{"P1": …, …, "P5": …}`.

    At depths 50, 101 and 152 it is, weight for weight, the network of `keras.applications`,
    whose convolutions have biases; at 18 and 34 it has the paper's parameters.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        depth: Number of layers with weights: 18, 34, 50, 101 or 152.
        weights: `None`, `"imagenet"` for those of `keras.applications` (depth 50 and more), or
            the path of a file.
        include_preprocessing: Whether the first layer takes the data set's mean off pixels from
            0 to 255, red first; by default where the weights were trained so. Without it,
            published weights read blue first.
        name: Name of the model; by default `"resnet50"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, there is no such depth, or the weights
            are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [He et al., 2015](https://arxiv.org/abs/1512.03385)

    >>> resnet((64, 64, 3), depth=18).output["P5"].shape[1:]
    (2, 2, 512)
    """
    if depth not in DEPTHS:
        raise ValueError(f"`depth` must be one of {sorted(DEPTHS)}. Received: depth={depth!r}.")
    block, filters, blocks, use_bias = DEPTHS[depth]
    twin = TWINS.get(depth)
    image, x = network_input(
        input_shape,
        "caffe",
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    common = {"norm": NORM, "use_bias": use_bias}
    x = layers.ZeroPadding2D(3, name="stem_pad")(x)  # not what "same" pads where sides are even
    x = ConvNormAct(64, 7, 2, padding="valid", name="stem", **common)(x)
    levels = {"P1": x}
    x = layers.ZeroPadding2D(1, name="pool_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool")(x)
    for stage, depth_of_stage in enumerate(blocks):
        for i in range(depth_of_stage):
            strides = 2 if stage > 0 and i == 0 else 1
            x = block(filters * 2**stage, strides=strides, name=f"stage{stage}_block{i}", **common)(
                x
            )
        levels[f"P{stage + 2}"] = x
    model = keras.Model(image, levels, name=name or f"resnet{depth}")
    return filled(model, weights, twin, twin_layer, blue_first=True)


def twin_layer(path):
    """Return the name in `keras.applications.ResNet50` and the deeper ones of our layer."""
    place, *parts = path.split(".")
    kind = "bn" if parts[-1] == "norm" else "conv"
    if place == "stem":
        return f"conv1_{kind}"
    stage, block = (int(x.lstrip("stageblock")) for x in place.split("_"))
    number = ("shortcut", "narrow", "conv", "widen").index(parts[0])
    return f"conv{stage + 2}_block{block + 1}_{number}_{kind}"
