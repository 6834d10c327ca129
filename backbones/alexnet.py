"""AlexNet: the network that began it."""

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct


def alexnet(
    input_shape=(227, 227, 3),
    *,
    dropout=0.5,
    weights=None,
    include_preprocessing=None,
    name="alexnet",
):
    """Return AlexNet as a feature pyramid: `{"P2": …, "P3": …, "P4": …, "P5": …}`.

    Its two dense layers are convolutions, which leave one position of 227 x 227; where smaller
    images leave less than 6 x 6 for the first, its kernel is as small. With a
    `ClassificationHead(1000)` it has the paper's 60,965,224 parameters: the second, fourth and
    fifth convolution have two groups. Local response normalization, which has none and which
    no later network kept, is left out.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        dropout: Share of the last pool's and of the first dense layer's outputs that is dropped
            in training; the paper's.
        weights: `None`, or the path of a file that this network was saved to.
        include_preprocessing: Must not be true: none was published.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 67 x 67, of which nothing is left for the dense
            layers, or the weights are of another network.

    Reference: [Krizhevsky et al., 2012](https://papers.nips.cc/paper/4824)

    >>> {level: x.shape[1:] for level, x in alexnet().output.items()}["P5"]
    (1, 1, 4096)
    """
    image, x = network_input(
        input_shape,
        None,
        stride=67,
        twin=None,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    levels = {"P2": ConvNormAct(96, 11, 4, padding="valid", norm="none", name="conv1")(x)}
    x = layers.MaxPooling2D(3, 2, name="pool1")(levels["P2"])
    levels["P3"] = ConvNormAct(256, 5, groups=2, norm="none", name="conv2")(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(levels["P3"])
    x = ConvNormAct(384, 3, norm="none", name="conv3")(x)
    x = ConvNormAct(384, 3, groups=2, norm="none", name="conv4")(x)
    levels["P4"] = ConvNormAct(256, 3, groups=2, norm="none", name="conv5")(x)
    x = layers.MaxPooling2D(3, 2, name="pool5")(levels["P4"])
    x = layers.Dropout(dropout, name="drop6")(x)
    kernel_size = [min(6, side or 6) for side in x.shape[1:3]]
    x = ConvNormAct(4096, kernel_size, padding="valid", norm="none", name="dense6")(x)
    x = layers.Dropout(dropout, name="drop7")(x)
    levels["P5"] = ConvNormAct(4096, 1, norm="none", name="dense7")(x)
    return filled(keras.Model(image, levels, name=name), weights)
