"""Inception, third version: convolutions of many kernels side by side, large ones factorised."""

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct, InceptionBlock

# Filters, kernel, stride and padding of the first convolutions; two of them end with a pooling.
STEM = ((32, 3, 2, "valid"), (32, 3, 1, "valid"), (64, 3, 1, "same"))
STEM += ((80, 1, 1, "valid"), (192, 3, 1, "valid"))
POOLED = (2, 4)
NORM = {"type": "batch", "scale": False}


def _small(pooled):
    """Return figure 5 of the paper: a kernel of 5, and two of 3 in its place."""
    return [[(64, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)], ["avg", (pooled, 1)]]


def _factorised(filters):
    """Return figure 6: kernels of 7 as rows and columns."""
    row, column = (1, 7), (7, 1)
    return [
        [(192, 1)],
        [(filters, 1), (filters, row), (192, column)],
        [(filters, 1), (filters, column), (filters, row), (filters, column), (192, row)],
        ["avg", (192, 1)],
    ]


def _split():
    """Return figure 7: kernels of 3 as a row beside a column."""
    ends = [[(384, (1, 3))], [(384, (3, 1))]]
    return [[(320, 1)], [(384, 1), ends], [(448, 1), (384, 3), ends], ["avg", (192, 1)]]


# Branches and stride of every block: table 1 of the paper, the numbers of its authors' code.
MIXED = (
    (_small(32), 1),
    (_small(64), 1),
    (_small(64), 1),
    ([[(384, 3)], [(64, 1), (96, 3), (96, 3)], ["max"]], 2),
    (_factorised(128), 1),
    (_factorised(160), 1),
    (_factorised(160), 1),
    (_factorised(192), 1),
    ([[(192, 1), (320, 3)], [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)], ["max"]], 2),
    (_split(), 1),
    (_split(), 1),
)


def inception(
    input_shape=(299, 299, 3), *, weights=None, include_preprocessing=None, name="inception_v3"
):
    """Return Inception-v3 as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications.InceptionV3`. Windows that step do not
    reach over the border, so maps are smaller than a stride says: 8 positions of 299.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layer brings pixels from 0 to 255 to -1 to 1; by
            default where the file of the weights says so (a `.weights.h5` file says nothing).
        name: Name of the model.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 75 x 75, of which one position is left, or the
            weights are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Szegedy et al., 2015](https://arxiv.org/abs/1512.00567)

    >>> inception((299, 299, 3)).output["P5"].shape[1:]
    (8, 8, 2048)
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
    levels = {}
    for i, (filters, kernel_size, strides, padding) in enumerate(STEM):
        x = ConvNormAct(filters, kernel_size, strides, padding=padding, norm=NORM, name=f"stem{i}")(
            x
        )
        if i in POOLED:
            levels[f"P{len(levels) + 1}"] = x
            x = layers.MaxPooling2D(3, 2, name=f"stem{i}_pool")(x)
    for i, (branches, strides) in enumerate(MIXED):
        if strides == 2:
            levels[f"P{len(levels) + 1}"] = x
        x = InceptionBlock(branches, strides=strides, norm=NORM, name=f"mixed{i}")(x)
    levels["P5"] = x
    return filled(keras.Model(image, levels, name=name), weights, twin, twin_layer)


def twin_layer(path):
    """Return the name in `keras.applications.InceptionV3` of our layer: Keras numbers them."""
    place, kind = path.rsplit(".", 1)
    return f"{'conv2d' if kind == 'conv' else 'batch_normalization'}:{ORDER[place]}"


def _convolutions(branches, place):
    for i, branch in enumerate(branches):
        for j, step in enumerate(branch):
            name = f"{place}.branch{i}_{j}"
            if isinstance(step, tuple):
                yield name
            elif isinstance(step, list):
                yield from _convolutions(step, name)


PLACES = [f"stem{i}" for i in range(len(STEM))]
PLACES += [x for i, (branches, _) in enumerate(MIXED) for x in _convolutions(branches, f"mixed{i}")]
ORDER = {place: i for i, place in enumerate(PLACES)}
