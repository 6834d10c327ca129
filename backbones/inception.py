"""Inception, third version: branches of factorized convolutions."""

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled, leaves_of
from blocks import ConvNormAct, InceptionBlock

NORM = {"type": "batch", "scale": False}


def small(pooled):
    """Return the branches on maps of 35 x 35: figure 5 of the paper."""
    return [
        [(64, 1)],
        [(48, 1), (64, 5)],
        [(64, 1), (96, 3), (96, 3)],
        ["avg", (pooled, 1)],
    ]


def factorized(width):
    """Return the branches on maps of 17 x 17: figure 6, with kernels of 7."""
    wide, high = (1, 7), (7, 1)
    return [
        [(192, 1)],
        [(width, 1), (width, wide), (192, high)],
        [(width, 1), (width, high), (width, wide), (width, high), (192, wide)],
        ["avg", (192, 1)],
    ]


SPLIT = [[(384, (1, 3))], [(384, (3, 1))]]
EXPANDED = [  # on maps of 8 x 8: figure 7
    [(320, 1)],
    [(384, 1), SPLIT],
    [(448, 1), (384, 3), SPLIT],
    ["avg", (192, 1)],
]
# Branches and stride of every block: table 1 of the paper, as keras.applications builds it.
BLOCKS = (
    (small(32), 1),
    (small(64), 1),
    (small(64), 1),
    ([[(384, 3)], [(64, 1), (96, 3), (96, 3)], ["max"]], 2),
    (factorized(128), 1),
    (factorized(160), 1),
    (factorized(160), 1),
    (factorized(192), 1),
    ([[(192, 1), (320, 3)], [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)], ["max"]], 2),
    (EXPANDED, 1),
    (EXPANDED, 1),
)


def inception(
    input_shape=(299, 299, 3), *, weights=None, include_preprocessing=None, name="inception_v3"
):
    """Return InceptionV3 as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications`. Its strided layers do not pad, so
    that the maps are a little smaller than the image divided by their stride.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layer brings pixels from 0 to 255 to -1 to 1; by
            default where the weights were trained so.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 75 x 75, of which nothing is left at the end, or
            the weights are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Szegedy et al., 2015](https://arxiv.org/abs/1512.00567)

    >>> {level: x.shape[1:] for level, x in inception((96, 96, 3)).output.items()}["P5"]
    (1, 1, 2048)
    """
    twin = keras.applications.InceptionV3
    image, x = network_input(
        input_shape,
        "tf",
        stride=75,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    valid = {"padding": "valid", "norm": NORM}
    x = ConvNormAct(32, 3, 2, name="stem1", **valid)(x)
    x = ConvNormAct(32, 3, name="stem2", **valid)(x)
    levels = {"P1": ConvNormAct(64, 3, norm=NORM, name="stem3")(x)}
    x = layers.MaxPooling2D(3, 2, name="pool1")(levels["P1"])
    x = ConvNormAct(80, 1, name="stem4", **valid)(x)
    levels["P2"] = ConvNormAct(192, 3, name="stem5", **valid)(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(levels["P2"])
    stride = 3
    for number, (branches, strides) in enumerate(BLOCKS):
        if strides == 2:
            levels[f"P{stride}"], stride = x, stride + 1
        x = InceptionBlock(
            branches, strides=strides, padding="valid", norm=NORM, name=f"mixed{number}"
        )(x)
    levels["P5"] = x
    model = keras.Model(image, levels, name=name)
    return filled(model, weights, twin, twin_layers(model).get)


def twin_layers(model):
    """Return the names in `keras.applications.InceptionV3` by the paths of our layers.

    The twin's layers are numbered in the order in which they were made, as ours are.
    """
    paths = [path for path, _ in leaves_of(model)]
    kinds = {"conv": "conv2d", "norm": "batch_normalization"}
    return {
        path: f"{kinds[kind]}:{number}"
        for kind in kinds
        for number, path in enumerate(path for path in paths if path.endswith(f".{kind}"))
    }
