"""MobileNetV4: universal inverted bottlenecks, searched for what phones run fast."""

import keras

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct, FusedInvertedResidual, UniversalInvertedBottleneck
from blocks.channels import round_channels

# What a stage repeats, of tables 11 to 13 of the paper, as (how often, kernel before, kernel
# between, expansion, filters): `None` is no kernel; the first strides.
SMALL = (
    ((1, 5, 5, 3, 96), (4, None, 3, 2, 96), (1, 3, None, 4, 96)),
    (
        (1, 3, 3, 6, 128),
        (1, 5, 5, 4, 128),
        (1, None, 5, 4, 128),
        (1, None, 5, 3, 128),
        (2, None, 3, 4, 128),
    ),
)
MEDIUM = (
    ((1, 3, 5, 4, 80), (1, 3, 3, 2, 80)),
    (
        (1, 3, 5, 6, 160),
        (2, 3, 3, 4, 160),
        (1, 3, 5, 4, 160),
        (1, 3, 3, 4, 160),
        (1, 3, None, 4, 160),
        (1, None, None, 2, 160),
        (1, 3, None, 4, 160),
    ),
    (
        (1, 5, 5, 6, 256),
        (1, 5, 5, 4, 256),
        (2, 3, 5, 4, 256),
        (1, None, None, 4, 256),
        (1, 3, None, 4, 256),
        (1, 3, 5, 2, 256),
        (1, 5, 5, 4, 256),
        (2, None, None, 4, 256),
        (1, 5, None, 2, 256),
    ),
)
LARGE = (
    ((1, 3, 5, 4, 96), (1, 3, 3, 4, 96)),
    (
        (1, 3, 5, 4, 192),
        (3, 3, 3, 4, 192),
        (1, 3, 5, 4, 192),
        (5, 5, 3, 4, 192),
        (1, 3, None, 4, 192),
    ),
    (
        (4, 5, 5, 4, 512),
        (1, 5, None, 4, 512),
        (1, 5, 3, 4, 512),
        (2, 5, None, 4, 512),
        (1, 5, 3, 4, 512),
        (1, 5, 5, 4, 512),
        (3, 5, None, 4, 512),
    ),
)
# Filters of the first layer, and the stages of bottlenecks: those of strides 8, 16 and 32. The
# small network has pairs of plain convolutions before: of filters, and a 1x1 convolution's.
SIZES = {
    "conv_small": (32, ((32, 32), (96, 64)), SMALL),
    "conv_medium": (32, (), MEDIUM),
    "conv_large": (24, (), LARGE),
}
LAST = 960


def mobilenet_v4(
    input_shape=(224, 224, 3),
    size="conv_small",
    alpha=1.0,
    *,
    weights=None,
    include_preprocessing=None,
    name=None,
):
    """Return MobileNetV4 as a feature pyramid: `{"P1": …, …, "P5": …}`.

    ReLU throughout and no squeeze-and-excitation: it quantizes well. The paper's classifier, a
    hidden layer of 1,280 units with batch normalization behind the pooling, is the head's.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        size: `"conv_small"`, `"conv_medium"` or `"conv_large"`.
        alpha: Width factor: the channels of every layer are multiplied by it and rounded to a
            multiple of 8. The paper has 1.0 alone.
        weights: `None` or the path of a file; `keras.applications` has none.
        include_preprocessing: Whether the first layer takes pixels from 0 to 255; by default where
            the file of the weights says so (a `.weights.h5` file says nothing).
        name: Name of the model; by default `"mobilenet_v4_conv_small"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, there is no such size, `alpha` is not
            above 0, or the weights are of another network.

    Reference: [Qin et al., 2024](https://arxiv.org/abs/2404.10518)

    >>> {level: x.shape[1:] for level, x in mobilenet_v4((96, 96, 3)).output.items()}["P5"]
    (3, 3, 960)
    """
    if size not in SIZES:
        raise ValueError(f"`size` must be one of {', '.join(SIZES)}. Received: size={size!r}.")
    if not alpha > 0:
        raise ValueError(f"`alpha` must be above 0. Received: alpha={alpha!r}.")
    image, x = network_input(
        input_shape,
        "torch",
        stride=32,
        twin=None,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )

    def width(filters):
        return round_channels(filters * alpha)

    stem, pairs, stages = SIZES[size]
    levels = {"P1": ConvNormAct(width(stem), strides=2, name="stem")(x)}
    x = levels["P1"]
    for i, (wide, narrow) in enumerate(pairs):
        x = ConvNormAct(width(wide), strides=2, name=f"stage{i}_conv")(x)
        x = ConvNormAct(width(narrow), 1, name=f"stage{i}_mix")(x)
        levels[f"P{len(levels) + 1}"] = x
    if not pairs:
        x = FusedInvertedResidual(width(48), 2, activation="relu", name="stage0_block0")(x)
        levels["P2"] = x
    for stage, rows in enumerate(stages, start=len(levels) - 1):
        blocks = [row for row in rows for _ in range(row[0])]
        for i, (_, start_kernel_size, kernel_size, expansion, filters) in enumerate(blocks):
            x = UniversalInvertedBottleneck(
                width(filters),
                2 if i == 0 else 1,
                expansion=expansion,
                kernel_size=kernel_size,
                start_kernel_size=start_kernel_size,
                name=f"stage{stage}_block{i}",
            )(x)
        levels[f"P{stage + 2}"] = x
    levels["P5"] = ConvNormAct(width(LAST), 1, name="last")(x)
    return filled(keras.Model(image, levels, name=name or f"mobilenet_v4_{size}"), weights)
