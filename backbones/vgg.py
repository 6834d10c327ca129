"""VGG: small kernels alone, one after the other."""

import keras
from keras import layers

from backbones.common import network_input, stage_and_block
from backbones.weights import filled
from blocks import ConvNormAct

# Convolutions of every stage: columns A, B, D and E of the paper's table 1.
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)
TWINS = {16: keras.applications.VGG16, 19: keras.applications.VGG19}


def vgg(
    input_shape=(224, 224, 3),
    depth=16,
    *,
    dense_layers=False,
    weights=None,
    include_preprocessing=None,
    name=None,
):
    """Return VGG as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications` at depths 16 and 19; 11 and 13 are the
    paper's smaller ones.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        depth: Number of layers with weights, the three of the classifier counted: 11, 13, 16 or
            19.
        dense_layers: Whether the first two layers of the paper's classifier follow, as
            convolutions over 7 x 7 and 1 x 1 positions: 119 million parameters more. Published
            weights do not come with them.
        weights: `None`, `"imagenet"` for those of `keras.applications` (depths 16 and 19), or the
            path of a file.
        include_preprocessing: Whether the first layer takes the data set's mean off pixels from 0
            to 255, red first; by default where the file of the weights says so (a `.weights.h5`
            file says nothing). Without it, published weights read blue first.
        name: Name of the model; by default `"vgg16"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32 (with dense layers 224 x 224), there is
            no such depth, or the weights are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Simonyan and Zisserman, 2014](https://arxiv.org/abs/1409.1556)

    >>> vgg((64, 64, 3), depth=11).output["P5"].shape[1:]
    (2, 2, 512)
    """
    if depth not in DEPTHS:
        raise ValueError(f"`depth` must be one of {sorted(DEPTHS)}. Received: depth={depth!r}.")
    twin = TWINS.get(depth) if not dense_layers else None
    image, x = network_input(
        input_shape,
        "caffe",
        stride=224 if dense_layers else 32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    levels = {}
    for stage, (filters, depth_of_stage) in enumerate(zip(FILTERS, DEPTHS[depth])):
        for i in range(depth_of_stage):
            x = ConvNormAct(filters, norm="none", name=f"stage{stage}_block{i}")(x)
        if stage > 0:
            levels[f"P{stage}"] = x
        x = layers.MaxPooling2D(2, 2, name=f"stage{stage}_pool")(x)
    if dense_layers:
        x = ConvNormAct(4096, 7, padding="valid", norm="none", name="dense0")(x)
        x = ConvNormAct(4096, 1, norm="none", name="dense1")(x)
    levels["P5"] = x
    model = keras.Model(image, levels, name=name or f"vgg{depth}")
    return filled(model, weights, twin, twin_layer, blue_first=True)


def twin_layer(path):
    """Return the name in `keras.applications.VGG16` and `VGG19` of our layer."""
    stage, block = stage_and_block(path.split(".")[0])
    return f"block{stage + 1}_conv{block + 1}"
