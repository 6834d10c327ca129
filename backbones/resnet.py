"""ResNet: residual blocks, the first network of a hundred layers."""

import keras
from keras import layers

from backbones.common import network_input, stage_and_block
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
# Networks for images of 32 x 32 (section 4.2): blocks of every stage. That of 8 layers is MLPerf
# Tiny's, with biases everywhere and shortcuts that are convolutions without a norm.
SMALL_DEPTHS = {8: 1, 20: 3, 32: 5, 44: 7, 56: 9, 110: 18}
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
    whose convolutions have biases; at 18 and 34 it has the paper's parameters. Depths of
    `6 n + 2` are for small images: 20, 32, 44, 56 and 110 are the paper's, with shortcuts that
    have no weights, and 8 is that of the MLPerf Tiny benchmark. Their levels end with `"P2"`.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        depth: Number of layers with weights: 18, 34, 50, 101 or 152, or for small images 8,
            20, 32, 44, 56 or 110.
        weights: `None`, `"imagenet"` for those of `keras.applications` (depth 50 and more), or
            the path of a file.
        include_preprocessing: Whether the first layer takes the data set's mean off pixels from 0
            to 255, red first; by default where the file of the weights says so (a `.weights.h5`
            file says nothing). Without it, published weights read blue first.
        name: Name of the model; by default `"resnet50"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32 (4 x 4 at the depths for small images),
            there is no such depth, or the weights are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [He et al., 2015](https://arxiv.org/abs/1512.03385)

    >>> resnet((64, 64, 3), depth=18).output["P5"].shape[1:]
    (2, 2, 512)
    """
    depths = [*DEPTHS, *SMALL_DEPTHS]
    if depth not in depths:
        raise ValueError(f"`depth` must be one of {sorted(depths)}. Received: depth={depth!r}.")
    twin, is_small = TWINS.get(depth), depth in SMALL_DEPTHS
    image, x = network_input(
        input_shape,
        None if is_small else "caffe",
        stride=4 if is_small else 32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    levels = _small(x, depth) if is_small else _large(x, depth)
    model = keras.Model(image, levels, name=name or f"resnet{depth}")
    return filled(model, weights, twin, twin_layer, blue_first=True)


def _large(x, depth):
    block, filters, depths, use_bias = DEPTHS[depth]
    common = {"norm": NORM, "use_bias": use_bias}
    x = layers.ZeroPadding2D(3, name="stem_pad")(x)  # not what "same" pads where sides are even
    x = ConvNormAct(64, 7, 2, padding="valid", name="stem", **common)(x)
    pooled = layers.ZeroPadding2D(1, name="pool_pad")(x)
    pooled = layers.MaxPooling2D(3, 2, name="pool")(pooled)
    stages = _stages(pooled, block, filters, depths, **common)
    return {"P1": x, **{f"P{i + 2}": end for i, end in enumerate(stages)}}


def _small(x, depth):
    common = {"use_bias": True} if depth == 8 else {"norm": NORM, "use_bias": False}
    x = ConvNormAct(16, name="stem", **common)(x)
    common["shortcut"] = "conv" if depth == 8 else "pad"
    _, *stages = _stages(x, ResidualBlock, 16, [SMALL_DEPTHS[depth]] * 3, **common)
    return {f"P{i + 1}": end for i, end in enumerate(stages)}


def _stages(x, block, filters, depths, **common):
    """Return the end of every stage; from the second on, the first block is strided."""
    ends = []
    for stage, depth in enumerate(depths):
        for i in range(depth):
            strides = 2 if stage > 0 and i == 0 else 1
            x = block(filters * 2**stage, strides=strides, name=f"stage{stage}_block{i}", **common)(
                x
            )
        ends.append(x)
    return ends


def twin_layer(path):
    """Return the name in `keras.applications.ResNet50` and the deeper ones of our layer."""
    place, *parts = path.split(".")
    kind = "bn" if parts[-1] == "norm" else "conv"
    if place == "stem":
        return f"conv1_{kind}"
    stage, block = stage_and_block(place)
    number = ("shortcut", "narrow", "conv", "widen").index(parts[0])
    return f"conv{stage + 2}_block{block + 1}_{number}_{kind}"
