"""ResNet, second version: blocks that normalize and activate before they convolve."""

import keras
from keras import layers

from backbones.common import network_input, stage_and_block
from backbones.weights import filled
from blocks import PreActivationBlock

# Blocks of every stage: table 1 of the first paper. As in keras.applications, the stride is the
# last block's of a stage, and the pooled stem neither normalizes nor activates.
DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
NORM = {"type": "batch", "epsilon": 1.001e-5}
TWINS = {
    50: keras.applications.ResNet50V2,
    101: keras.applications.ResNet101V2,
    152: keras.applications.ResNet152V2,
}
PARTS = {"norm": "preact", "shortcut": "0", "narrow": "1", "conv": "2", "last": "3"}


def resnet_v2(
    input_shape=(224, 224, 3), depth=50, *, weights=None, include_preprocessing=None, name=None
):
    """Return ResNetV2 as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications`.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        depth: Number of layers with weights: 50, 101 or 152.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layer brings pixels from 0 to 255 to -1 to 1; by
            default where the file of the weights says so (a `.weights.h5` file says nothing).
        name: Name of the model; by default `"resnet50_v2"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`. The last alone is normalized and activated.

    Raises:
        ValueError: If the image is smaller than 32 x 32, there is no such depth, or the weights
            are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [He et al., 2016](https://arxiv.org/abs/1603.05027)

    >>> resnet_v2((64, 64, 3)).output["P5"].shape[1:]
    (2, 2, 2048)
    """
    if depth not in DEPTHS:
        raise ValueError(f"`depth` must be one of {sorted(DEPTHS)}. Received: depth={depth!r}.")
    twin = TWINS[depth]
    image, x = network_input(
        input_shape,
        "tf",
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    x = layers.ZeroPadding2D(3, name="stem_pad")(x)  # not what "same" pads where sides are even
    x = layers.Conv2D(64, 7, 2, name="stem")(x)
    levels = {"P1": x}
    x = layers.ZeroPadding2D(1, name="pool_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool")(x)
    for stage, blocks in enumerate(DEPTHS[depth]):
        for i in range(blocks):
            is_end = i == blocks - 1
            strides = 2 if is_end and stage < 3 else 1
            if strides == 2:
                levels[f"P{stage + 2}"] = x
            x = PreActivationBlock(
                256 * 2**stage,
                strides=strides,
                reduction=4,
                norm=NORM,
                name=f"stage{stage}_block{i}",
            )(x)
    x = layers.BatchNormalization(epsilon=NORM["epsilon"], name="last_norm")(x)
    levels["P5"] = layers.Activation("relu", name="last_act")(x)
    model = keras.Model(image, levels, name=name or f"resnet{depth}_v2")
    return filled(model, weights, twin, twin_layer)


def twin_layer(path):
    """Return the name in `keras.applications.ResNet50V2` and the deeper ones of our layer."""
    place, *parts = path.split(".")
    if not parts:
        return {"stem": "conv1_conv", "last_norm": "post_bn"}[place]
    stage, block = stage_and_block(place)
    kind = "bn" if parts[-1] == "norm" else "conv"
    return f"conv{stage + 2}_block{block + 1}_{PARTS[parts[0]]}_{kind}"
