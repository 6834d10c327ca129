"""DenseNet: every layer reads what all before it in its block made."""

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct, DenseBlock, TransitionBlock
from blocks.base import check_positive

# Layers of every dense block: table 1 of the paper.
DEPTHS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
NORM = {"type": "batch", "epsilon": 1.001e-5}
TWINS = {
    121: keras.applications.DenseNet121,
    169: keras.applications.DenseNet169,
    201: keras.applications.DenseNet201,
}
PARTS = {"norm": "0_bn", "narrow.conv": "1_conv", "narrow.norm": "1_bn", "conv.conv": "2_conv"}


def densenet(
    input_shape=(224, 224, 3),
    depth=121,
    growth_rate=32,
    *,
    weights=None,
    include_preprocessing=None,
    name=None,
):
    """Return DenseNet as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications`.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        depth: Number of layers with weights: 121, 169 or 201.
        growth_rate: Channels that each layer adds, 32 in the paper. The first convolution has
            twice as many.
        weights: `None`, `"imagenet"` for those of `keras.applications` (a growth rate of 32), or
            the path of a file.
        include_preprocessing: Whether the first layer standardizes pixels from 0 to 255, red first,
            by the mean and deviation of the data set; by default where the file of the weights says
            so (a `.weights.h5` file says nothing).
        name: Name of the model; by default `"densenet121"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, there is no such depth, `growth_rate`
            is no whole number above zero, or the weights are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Huang et al., 2017](https://arxiv.org/abs/1608.06993)

    >>> densenet((64, 64, 3)).output["P5"].shape[1:]
    (2, 2, 1024)
    """
    if depth not in DEPTHS:
        raise ValueError(f"`depth` must be one of {sorted(DEPTHS)}. Received: depth={depth!r}.")
    check_positive(growth_rate=growth_rate)
    twin = TWINS[depth] if growth_rate == 32 else None
    image, x = network_input(
        input_shape,
        "torch",
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    x = layers.ZeroPadding2D(3, name="stem_pad")(x)  # not what "same" pads where sides are even
    x = ConvNormAct(2 * growth_rate, 7, 2, padding="valid", norm=NORM, use_bias=False, name="stem")(
        x
    )
    levels = {"P1": x}
    x = layers.ZeroPadding2D(1, name="pool_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool")(x)
    for stage, layers_of_stage in enumerate(DEPTHS[depth]):
        if stage > 0:
            x = TransitionBlock(norm=NORM, name=f"transition{stage - 1}")(x)
        x = DenseBlock(layers_of_stage, growth_rate, norm=NORM, name=f"stage{stage}")(x)
        levels[f"P{stage + 2}"] = x
    x = layers.BatchNormalization(epsilon=NORM["epsilon"], name="last_norm")(x)
    levels["P5"] = layers.Activation("relu", name="last_act")(x)
    model = keras.Model(image, levels, name=name or f"densenet{depth}")
    return filled(model, weights, twin, twin_layer)


def twin_layer(path):
    """Return the name in `keras.applications.DenseNet121` and the deeper ones of our layer."""
    place, *parts = path.split(".")
    kind = "bn" if path.endswith("norm") else "conv"
    if place in ("stem", "last_norm"):
        return {"stem": f"conv1_{kind}", "last_norm": "bn"}[place]
    if place.startswith("transition"):
        return f"pool{int(place[len('transition') :]) + 2}_{kind}"
    layer = int(parts[0][len("layer") :]) + 1
    return f"conv{int(place[len('stage') :]) + 2}_block{layer}_{PARTS['.'.join(parts[1:])]}"
