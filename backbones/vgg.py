"""VGG: small kernels, one after the other."""

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct

# Convolutions of every stage: table 1 of the paper, columns A, B, D and E.
DEPTHS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
FILTERS = (64, 128, 256, 512, 512)
TWINS = {16: keras.applications.VGG16, 19: keras.applications.VGG19}


def vgg(
    input_shape=(224, 224, 3),
    depth=16,
    *,
    norm="none",
    weights=None,
    include_preprocessing=None,
    name=None,
):
    """Return VGG as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications` at depths 16 and 19, without the
    dense layers, which hold 124 of its 138 million parameters.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        depth: Number of layers with weights, the dense ones included: 11, 13, 16 or 19.
        norm: Name of the normalization after each convolution; the paper has none, and nets
            trained from nothing want `"batch"`.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layer takes the data set's mean off pixels from
            0 to 255, red first; by default where the weights were trained so. Without it,
            published weights read blue first.
        name: Name of the model; by default `"vgg16"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, there is no such depth, or the weights
            are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Simonyan and Zisserman, 2014](https://arxiv.org/abs/1409.1556)

    >>> {level: x.shape[1:] for level, x in vgg((64, 64, 3), 11).output.items()}["P5"]
    (2, 2, 512)
    """
    if depth not in DEPTHS:
        raise ValueError(f"`depth` must be one of {sorted(DEPTHS)}. Received: depth={depth!r}.")
    twin = TWINS.get(depth) if norm == "none" else None
    image, x = network_input(
        input_shape,
        "caffe",
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    levels = {}
    for stage, (convs, filters) in enumerate(zip(DEPTHS[depth], FILTERS)):
        for i in range(convs):
            x = ConvNormAct(filters, norm=norm, name=f"stage{stage}_conv{i}")(x)
        if stage:
            levels[f"P{stage}"] = x
        x = layers.MaxPooling2D(name=f"stage{stage}_pool")(x)
    levels["P5"] = x
    model = keras.Model(image, levels, name=name or f"vgg{depth}")
    return filled(model, weights, twin, twin_layer, blue_first=True)


def twin_layer(path):
    """Return the name in `keras.applications.VGG16` and `VGG19` of our layer."""
    stage, conv = path.split(".")[0].split("_")
    return f"block{int(stage[5:]) + 1}_conv{int(conv[4:]) + 1}"
