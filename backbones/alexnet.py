"""AlexNet: the network that won ImageNet."""

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct

# Filters, kernel, stride, groups (the paper's two processors) and whether a pooling follows:
# section 3.5 of the paper.
CONVS = (
    (96, 11, 4, 1, True),
    (256, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (384, 3, 1, 2, False),
    (256, 3, 1, 2, True),
)


def alexnet(
    input_shape=(224, 224, 3),
    *,
    dense_layers=True,
    weights=None,
    include_preprocessing=None,
    name="alexnet",
):
    """Return AlexNet as a feature pyramid: `{"P2": …, …, "P5": …}`.

    Its two dense layers are convolutions over 6 x 6 and 1 x 1 positions, and the last one is the
    head's. With 1000 classes it has the paper's 60,965,224 parameters. Response
    normalization, which has none and which later networks found idle, is left out.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`. Three zeros
            are added to each side: the paper says 224, and its sizes are those of 227.
        dense_layers: Whether the dense layers follow; without them `"P5"` has 256 channels, and
            images may be smaller.
        weights: `None` or the path of a file.
        include_preprocessing: `None` or `False`: none was published as a layer.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`. There is no `"P1"`, as the first stride is 4. Of an
        image of 224 x 224, `"P5"` is one position.

    Raises:
        ValueError: If the image is smaller than 224 x 224 (without dense layers 64 x 64), or the
            weights are of another network.

    Reference: [Krizhevsky et al., 2012](https://papers.nips.cc/paper/4824)

    >>> alexnet((64, 64, 3), dense_layers=False).output["P5"].shape[1:]
    (1, 1, 256)
    """
    image, x = network_input(
        input_shape,
        None,
        stride=224 if dense_layers else 64,
        twin=None,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    levels = {}
    x = layers.ZeroPadding2D(((1, 2), (1, 2)), name="pad")(x)
    for i, (filters, kernel_size, strides, groups, is_pooled) in enumerate(CONVS):
        x = ConvNormAct(
            filters,
            kernel_size,
            strides,
            groups=groups,
            padding="valid" if strides > 1 else "same",
            norm="none",
            name=f"conv{i}",
        )(x)
        if is_pooled:
            levels[f"P{len(levels) + 2}"] = x
            x = layers.MaxPooling2D(3, 2, name=f"pool{i}")(x)
    if dense_layers:
        x = ConvNormAct(4096, 6, padding="valid", norm="none", name="dense0")(x)
        x = ConvNormAct(4096, 1, norm="none", name="dense1")(x)
    levels["P5"] = x
    return filled(keras.Model(image, levels, name=name), weights)
