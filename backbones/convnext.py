"""ConvNeXt: a residual network with the habits of a transformer."""

import keras

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNeXtBlock, ConvNormAct
from blocks.base import make_norm
from blocks.convnext import NORM

# Depth and channels of every stage, by version and size: section 2.2 of the first paper,
# appendix A.1 of the second.
SIZES = {
    1: {
        "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
        "small": ((3, 3, 27, 3), (96, 192, 384, 768)),
        "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
        "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
        "xlarge": ((3, 3, 27, 3), (256, 512, 1024, 2048)),
    },
    2: {
        "atto": ((2, 2, 6, 2), (40, 80, 160, 320)),
        "femto": ((2, 2, 6, 2), (48, 96, 192, 384)),
        "pico": ((2, 2, 6, 2), (64, 128, 256, 512)),
        "nano": ((2, 2, 8, 2), (80, 160, 320, 640)),
        "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
        "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
        "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
        "huge": ((3, 3, 27, 3), (352, 704, 1408, 2816)),
    },
}
PARTS = {  # in keras.applications
    "depthwise": "depthwise_conv",
    "norm": "layernorm",
    "widen": "pointwise_conv_1",
    "narrow": "pointwise_conv_2",
    "scale": "layer_scale",
}


def convnext(
    input_shape=(224, 224, 3),
    size="tiny",
    *,
    version=1,
    drop_path=0.0,
    kernel_size=7,
    norm=NORM,
    activation="gelu",
    weights=None,
    include_preprocessing=None,
    name=None,
):
    """Return ConvNeXt as a feature pyramid: `{"P2": …, "P3": …, "P4": …, "P5": …}`.

    The first version is, weight for weight, the network of `keras.applications`.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`. What is left
            of a side after division by 32 is not seen.
        size: `"tiny"`, `"small"`, `"base"`, `"large"` or `"xlarge"`; of the second version
            `"atto"`, `"femto"`, `"pico"`, `"nano"`, `"tiny"`, `"base"`, `"large"` or `"huge"`.
        version: 1, or 2 for the one with `GlobalResponseNorm`.
        drop_path: Share of the samples whose branch the last block leaves out in training, those
            before it in proportion; 0.1 to 0.5 in the paper, the larger the network.
        kernel_size: Side of the blocks' depthwise kernels, in positions. XNNPACK is slow above 5,
            in int8 ten times so: 5, `norm="batch"` and `activation="relu"` are for phones.
        norm: The papers' layer normalization, or another as `ConvNormAct` takes it.
        activation: Name of the Keras activation inside the blocks.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layer takes pixels from 0 to 255; by default where
            the file of the weights says so (a `.weights.h5` file says nothing).
        name: Name of the model; by default `"convnext_tiny"` or `"convnext_v2_tiny"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, there is no such version or size, or
            the weights are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Liu et al., 2022](https://arxiv.org/abs/2201.03545) and
    [Woo et al., 2023](https://arxiv.org/abs/2301.00808)

    >>> model = convnext((96, 96, 3), "atto", version=2)
    >>> {level: x.shape[1:] for level, x in model.output.items()}["P5"]
    (3, 3, 320)
    """
    if version not in SIZES:
        raise ValueError(f"`version` must be 1 or 2. Received: version={version!r}.")
    if size not in SIZES[version]:
        raise ValueError(
            f"`size` must be one of {', '.join(SIZES[version])} in version {version}. "
            f"Received: size={size!r}."
        )
    depths, widths = SIZES[version][size]
    twin = getattr(keras.applications, f"ConvNeXt{_title(size)}") if version == 1 else None
    image, x = network_input(
        input_shape,
        "torch",
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    second = {"response_norm": True, "layer_scale": 0.0} if version == 2 else {}
    block = {"kernel_size": kernel_size, "norm": norm, "activation": activation, **second}
    conv = {"padding": "valid", "use_bias": True, "activation": None}
    x = ConvNormAct(widths[0], 4, 4, norm=norm, name="stem", **conv)(x)
    levels, number = {}, 0
    for stage, (depth, width) in enumerate(zip(depths, widths)):
        if stage:
            x = make_norm(norm, x.shape[-1], name=f"stage{stage}_norm")(x)
            x = ConvNormAct(width, 2, 2, norm="none", name=f"stage{stage}_reduce", **conv)(x)
        for i in range(depth):
            rate = drop_path * number / (sum(depths) - 1)
            x = ConvNeXtBlock(drop_path=rate, name=f"stage{stage}_block{i}", **block)(x)
            number += 1
        levels[f"P{stage + 2}"] = x
    levels["P5"] = make_norm(norm, x.shape[-1], name="last")(x)
    version_name = "convnext" if version == 1 else "convnext_v2"
    model = keras.Model(image, levels, name=name or f"{version_name}_{size}")
    return filled(model, weights, twin, lambda path: twin_layer(path, size))


def _title(size):
    return {"xlarge": "XLarge"}.get(size, size.title())


def twin_layer(path, size):
    """Return the name in `keras.applications.ConvNeXtTiny` and the others of our layer."""
    place, *parts = path.split(".")
    prefix = f"convnext_{size}_"
    if place == "last":
        return "layer_normalization:0"
    if place == "stem":
        return prefix + ("stem_conv" if parts == ["conv"] else "stem_layernorm")
    stage, part = place.removeprefix("stage").split("_")
    if part in ("norm", "reduce"):
        kind = "layernorm" if part == "norm" else "conv"
        return f"{prefix}downsampling_{kind}_{int(stage) - 1}"
    return f"{prefix}stage_{stage}_block_{part.removeprefix('block')}_{PARTS[parts[0]]}"
