"""LeNet-5: convolutions for handwritten digits."""

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct


def lenet(input_shape=(32, 32, 1), *, weights=None, include_preprocessing=None, name="lenet"):
    """Return LeNet-5 as features: `{"P1": …, "P2": …}`.

    Its last two layers before the classes, of 120 and 84 units, are convolutions, as the paper's
    C5 is; at 32 x 32 they leave one position. With a `ClassificationHead(10)` it has 61,706
    parameters: every map of C3 reads all of S2, the pools learn nothing, and the output is
    linear, as the network is built since.

    Args:
        input_shape: `(height, width, channels)` of an image, 32 x 32 in the paper; sides may be
            `None`.
        weights: `None`, or the path of a file that this network was saved to.
        include_preprocessing: Must not be true: none was published.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, or the weights are of another network.

    Reference: [LeCun et al., 1998](http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf)

    >>> {level: x.shape[1:] for level, x in lenet().output.items()}
    {'P1': (10, 10, 16), 'P2': (1, 1, 84)}
    """
    image, x = network_input(
        input_shape,
        None,
        stride=32,
        twin=None,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    common = {"padding": "valid", "norm": "none", "activation": "tanh"}
    x = ConvNormAct(6, 5, name="c1", **common)(x)
    x = layers.AveragePooling2D(2, name="s2")(x)
    levels = {"P1": ConvNormAct(16, 5, name="c3", **common)(x)}
    x = layers.AveragePooling2D(2, name="s4")(levels["P1"])
    x = ConvNormAct(120, 5, name="c5", **common)(x)
    levels["P2"] = ConvNormAct(84, 1, name="f6", **common)(x)
    return filled(keras.Model(image, levels, name=name), weights)
