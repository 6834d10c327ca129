"""LeNet-5: the convolutional network that read cheques."""

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct

# Filters and kernel of C1, C3, C5 and F6: section II B of the paper. F6 is dense, on one position.
CONVS = {"c1": (6, 5), "c3": (16, 5), "c5": (120, 5), "f6": (84, 1)}


def lenet(
    input_shape=(32, 32, 1),
    *,
    activation="tanh",
    weights=None,
    include_preprocessing=None,
    name="lenet",
):
    """Return LeNet-5 as a feature pyramid: `{"P1": …, "P2": …}`.

    In its common form: C3 reads all maps of S2, where the paper leaves some out, poolings are
    averages without weights, and the last layer is the head's. With 10 classes it has 61,706
    parameters.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        activation: Name of a Keras activation; `"tanh"` in the paper.
        weights: `None` or the path of a file.
        include_preprocessing: `None` or `False`: none was published as a layer.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`. Of an image of 32 x 32, `"P2"` is one position.

    Raises:
        ValueError: If the image is smaller than 32 x 32, or the weights are of another network.

    Reference: [LeCun et al., 1998](https://doi.org/10.1109/5.726791)

    >>> lenet().output["P2"].shape[1:]
    (1, 1, 84)
    """
    image, x = network_input(
        input_shape,
        None,
        stride=32,
        twin=None,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    levels = {}
    for place, (filters, kernel_size) in CONVS.items():
        x = ConvNormAct(
            filters, kernel_size, padding="valid", norm="none", activation=activation, name=place
        )(x)
        if place == "c3":
            levels["P1"] = x
        if place in ("c1", "c3"):
            x = layers.AveragePooling2D(2, name=place.replace("c", "s"))(x)
    levels["P2"] = x
    return filled(keras.Model(image, levels, name=name), weights)
