"""ViT: a transformer over the patches of an image."""

import math

import keras
from keras import layers

from backbones.common import network_input
from backbones.weights import filled
from blocks import PatchEmbedding, PositionEmbedding, SimpleFeaturePyramid, TransformerEncoder
from blocks.base import check_positive, check_rate
from blocks.simple_pyramid import FoldLike

# Channels, blocks and heads: table 1 of the paper; tiny and small are DeiT's.
SIZES = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
}
NORM = {"type": "layer", "epsilon": 1e-6}
PUBLISHED_SIDE = 224


def vit(
    input_shape=(224, 224, 3),
    size="base",
    patch_size=16,
    *,
    class_token=True,
    pyramid=False,
    position_size=None,
    drop_path=0.0,
    weights=None,
    include_preprocessing=None,
    name=None,
):
    """Return ViT as its tokens: `{"tokens": …}`, and what is made of them.

    With a class token, which comes first, `"features"` is that token alone, and heads of whole
    images take it; without one they average the tokens. A side that patches do not divide is
    padded with zeros. Other sides than those of the positions interpolate them.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        size: `"tiny"`, `"small"`, `"base"` or `"large"`.
        patch_size: Side of a patch, in pixels; the paper has 16, 32 and 14.
        class_token: Whether a learned token gathers what the image is.
        pyramid: Whether to add ViTDet's maps of 256 channels, made of the last block's tokens
            alone: of patches of 16 pixels `"P2"`, `"P3"`, `"P4"` and `"P5"`.
        position_size: Side of the images that the positions are learned for, or
            `(height, width)`; by default the input's, and 224 where it is open.
        drop_path: Share of the samples whose branches the last block leaves out in training,
            those before it proportionally fewer.
        weights: `None` or the path of a file; `keras.applications` has none.
        include_preprocessing: Whether the first layer takes pixels from 0 to 255 to -1 to 1, as the
            paper's code does; by default where the file of the weights says so (a `.weights.h5`
            file says nothing).
        name: Name of the model; by default `"vit_base16"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict: `"tokens"`, `(batch, length,
        channels)`, with a class token `"features"`, `(batch, channels)`, and with `pyramid`
        four maps by level, level `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than a patch, there is no such size, a pyramid is
            asked for of patches whose side is no power of 2 from 4 on, or the weights are of
            another network.

    Reference: [Dosovitskiy et al., 2020](https://arxiv.org/abs/2010.11929);
    [Touvron et al., 2020](https://arxiv.org/abs/2012.12877) (tiny, small);
    [Li et al., 2022](https://arxiv.org/abs/2203.16527) (pyramid)

    >>> vit((64, 96, 3), "tiny").output["tokens"].shape[1:]
    (25, 192)
    """
    if size not in SIZES:
        raise ValueError(f"`size` must be one of {', '.join(SIZES)}. Received: size={size!r}.")
    check_positive(patch_size=patch_size)
    check_rate(drop_path=drop_path)
    if pyramid and (patch_size < 4 or patch_size & (patch_size - 1)):
        raise ValueError(
            "A pyramid needs patches whose side is a power of 2, at least 4. "
            f"Received: patch_size={patch_size}."
        )
    image, x = network_input(
        input_shape,
        "tf",
        stride=patch_size,
        twin=None,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    channels, depth, num_heads = SIZES[size]
    patches = PatchEmbedding(channels, patch_size, flatten=False, name="patches")(x)
    sides = table_sides(input_shape, patch_size, position_size)
    x = PositionEmbedding(sides, class_token=class_token, name="positions")(patches)
    if not class_token:
        x = layers.Reshape((-1, channels), name="line")(x)
    for i in range(depth):
        rate = drop_path * i / (depth - 1)
        x = TransformerEncoder(num_heads, norm=NORM, drop_path=rate, name=f"block{i}")(x)
    outputs = {}
    if pyramid:
        maps = SimpleFeaturePyramid(name="pyramid")(FoldLike(name="fold")([x, patches]))
        finest = patch_size.bit_length() - 3
        outputs = {f"P{finest + i}": each for i, each in enumerate(maps)}
    outputs["tokens"] = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    if class_token:
        outputs["features"] = outputs["tokens"][:, 0]
    name = name or f"vit_{size}{patch_size}"
    try:
        return filled(keras.Model(image, outputs, name=name), weights)
    except ValueError as error:
        if "positions" not in str(error):
            raise
        raise ValueError(
            f"{error} If only the size of the image is another, give `position_size`, the side "
            "that the positions were learned for."
        ) from error


def table_sides(input_shape, patch_size, position_size):
    """Return how many patches high and wide the images of the positions are."""
    if position_size is None:
        given = [PUBLISHED_SIDE if side is None else side for side in input_shape[:2]]
    else:
        given = [position_size] * 2 if isinstance(position_size, int) else list(position_size)
        if len(given) != 2:
            raise ValueError(
                "`position_size` must be a side or (height, width). "
                f"Received: position_size={position_size!r}."
            )
        for side in given:
            check_positive(position_size=side)
    return [math.ceil(side / patch_size) for side in given]
