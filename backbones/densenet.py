"""DenseNet: every layer reads all before it."""

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct, DenseBlock, TransitionBlock

# Layers of every block, growth rate and channels of the stem: table 1 of the paper; 161 is that
# of its authors' code.
DEPTHS = {
    121: ((6, 12, 24, 16), 32, 64),
    161: ((6, 12, 36, 24), 48, 96),
    169: ((6, 12, 32, 32), 32, 64),
    201: ((6, 12, 48, 32), 32, 64),
}
NORM = {"type": "batch", "epsilon": 1.001e-5}
TWINS = {
    121: keras.applications.DenseNet121,
    169: keras.applications.DenseNet169,
    201: keras.applications.DenseNet201,
}
ENDS = {"stem.conv": "conv1_conv", "stem.norm": "conv1_bn", "last_norm": "bn"}
PARTS = {"norm": "0_bn", "narrow.conv": "1_conv", "narrow.norm": "1_bn", "conv.conv": "2_conv"}


def densenet(
    input_shape=(224, 224, 3),
    depth=121,
    *,
    growth_rate=None,
    weights=None,
    include_preprocessing=None,
    name=None,
):
    """Return DenseNet as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications` at depths 121, 169 and 201.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        depth: Number of layers with weights: 121, 161, 169 or 201.
        growth_rate: Channels that every layer adds; by default the paper's. The stem has twice
            as many.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layer takes the data set's mean and deviation off
            pixels from 0 to 255; by default where the weights were trained so.
        name: Name of the model; by default `"densenet121"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, there is no such depth, or the weights
            are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Huang et al., 2016](https://arxiv.org/abs/1608.06993)

    >>> {level: x.shape[1:] for level, x in densenet((64, 64, 3)).output.items()}["P5"]
    (2, 2, 1024)
    """
    if depth not in DEPTHS:
        raise ValueError(f"`depth` must be one of {sorted(DEPTHS)}. Received: depth={depth!r}.")
    blocks, rate, filters = DEPTHS[depth]
    twin = TWINS.get(depth) if growth_rate in (None, rate) else None
    if growth_rate is not None:
        rate, filters = growth_rate, 2 * growth_rate
    image, x = network_input(
        input_shape,
        "torch",
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    x = layers.ZeroPadding2D(3, name="stem_pad")(x)
    x = ConvNormAct(filters, 7, 2, padding="valid", norm=NORM, name="stem")(x)
    levels = {"P1": x}
    x = layers.ZeroPadding2D(1, name="pool_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool")(x)
    for stage, layers_of_block in enumerate(blocks):
        if stage:
            x = TransitionBlock(0.5, norm=NORM, name=f"stage{stage}_transition")(x)
        x = DenseBlock(layers_of_block, rate, norm=NORM, name=f"stage{stage}_block")(x)
        levels[f"P{stage + 2}"] = x
    x = layers.BatchNormalization(epsilon=NORM["epsilon"], name="last_norm")(x)
    levels["P5"] = layers.Activation("relu", name="last_act")(x)
    model = keras.Model(image, levels, name=name or f"densenet{depth}")
    return filled(model, weights, twin, twin_layer)


def twin_layer(path):
    """Return the name in `keras.applications.DenseNet121` and the deeper ones of our layer."""
    if path in ENDS:
        return ENDS[path]
    place, *parts = path.split(".")
    stage, kind = place.removeprefix("stage").split("_")
    if kind == "transition":
        return f"pool{int(stage) + 1}_{'bn' if parts == ['norm'] else 'conv'}"
    number = int(parts[0].removeprefix("layer")) + 1
    return f"conv{int(stage) + 2}_block{number}_{PARTS['.'.join(parts[1:])]}"
