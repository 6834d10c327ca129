"""MobileNetV3: inverted residuals with hard activations and squeeze-and-excitation."""

import functools

import keras

from backbones.common import network_input
from backbones.weights import filled
from blocks import ConvNormAct, InvertedResidual
from blocks.channels import round_channels

# Expansion, filters, kernel, stride, whether it squeezes, whether its activation is hard-swish
# (else ReLU) of every block: tables 1 and 2 of the paper.
SIZES = {
    "large": (
        (1, 16, 3, 1, False, False),
        (4, 24, 3, 2, False, False),
        (3, 24, 3, 1, False, False),
        (3, 40, 5, 2, True, False),
        (3, 40, 5, 1, True, False),
        (3, 40, 5, 1, True, False),
        (6, 80, 3, 2, False, True),
        (2.5, 80, 3, 1, False, True),
        (2.3, 80, 3, 1, False, True),
        (2.3, 80, 3, 1, False, True),
        (6, 112, 3, 1, True, True),
        (6, 112, 3, 1, True, True),
        (6, 160, 5, 2, True, True),
        (6, 160, 5, 1, True, True),
        (6, 160, 5, 1, True, True),
    ),
    "small": (
        (1, 16, 3, 2, True, False),
        (72 / 16, 24, 3, 2, False, False),
        (88 / 24, 24, 3, 1, False, False),
        (4, 40, 5, 2, True, True),
        (6, 40, 5, 1, True, True),
        (6, 40, 5, 1, True, True),
        (3, 48, 5, 1, True, True),
        (3, 48, 5, 1, True, True),
        (6, 96, 5, 2, True, True),
        (6, 96, 5, 1, True, True),
        (6, 96, 5, 1, True, True),
    ),
}
TWINS = {
    "large": keras.applications.MobileNetV3Large,
    "small": keras.applications.MobileNetV3Small,
}
NORM = {"type": "batch", "epsilon": 1e-3, "momentum": 0.999}
SQUEEZE = {"ratio": 0.25, "gate": "hard_sigmoid", "divisor": 8}
PARTS = {  # in keras.applications
    "stem.conv": "conv",
    "stem.norm": "conv_bn",
    "last.conv": "conv_1",
    "last.norm": "conv_1_bn",
    "scale.reduce": "squeeze_excite_conv",
    "scale.expand": "squeeze_excite_conv_1",
}


def mobilenet_v3(
    input_shape=(224, 224, 3),
    size="large",
    alpha=1.0,
    *,
    minimalistic=False,
    weights=None,
    include_preprocessing=None,
    name=None,
):
    """Return MobileNetV3 as a feature pyramid: `{"P1": …, …, "P5": …}`.

    Weight for weight the network of `keras.applications`; but an odd side is rounded up where
    sides are open too, of which that one then loses the last position. The paper's classifier,
    a hidden layer of 1,280 (large) or 1,024 (small) hard-swish units behind the pooling, is the
    head's.

    Args:
        input_shape: `(height, width, channels)` of an image; sides may be `None`.
        size: `"large"` or `"small"`.
        alpha: Width factor: the channels of every layer but the first are multiplied by it and
            rounded to a multiple of 8. The paper gives 0.35, 0.5, 0.75, 1.0 and 1.25.
        minimalistic: Whether to do without what quantizes badly: no squeeze-and-excitation, ReLU
            in the place of hard-swish, no kernel of 5 x 5.
        weights: `None`, `"imagenet"` for those of `keras.applications`, or the path of a file.
        include_preprocessing: Whether the first layer brings pixels from 0 to 255 to -1 to 1; by
            default where the file of the weights says so (a `.weights.h5` file says nothing).
        name: Name of the model; by default `"mobilenet_v3_large"` and so on.

    Returns:
        A functional `keras.Model` from an image to a dict of feature maps by level, level
        `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the image is smaller than 32 x 32, there is no such size, `alpha` is not
            above 0, or the weights are of another network.
        ConnectionError: If the download of weights fails.

    Reference: [Howard et al., 2019](https://arxiv.org/abs/1905.02244)

    >>> model = mobilenet_v3((96, 96, 3), "small")
    >>> {level: x.shape[1:] for level, x in model.output.items()}["P5"]
    (3, 3, 576)
    """
    if size not in SIZES:
        raise ValueError(f"`size` must be one of {sorted(SIZES)}. Received: size={size!r}.")
    if not alpha > 0:
        raise ValueError(f"`alpha` must be above 0. Received: alpha={alpha!r}.")
    twin = functools.partial(TWINS[size], alpha=alpha, minimalistic=minimalistic)
    image, x = network_input(
        input_shape,
        "tf",
        stride=32,
        twin=twin,
        weights=weights,
        include_preprocessing=include_preprocessing,
    )
    hard = {"norm": NORM, "activation": "relu" if minimalistic else "hard_swish"}
    x = ConvNormAct(16, strides=2, name="stem", **hard)(x)
    levels, level = {}, 1
    for number, row in enumerate(SIZES[size]):
        expansion, filters, kernel_size, strides, squeezes, is_hard = row
        if strides == 2:
            levels[f"P{level}"], level = x, level + 1
        x = InvertedResidual(
            round_channels(filters * alpha),
            strides,
            expansion=expansion,
            kernel_size=3 if minimalistic else kernel_size,
            se_ratio=SQUEEZE if squeezes and not minimalistic else 0.0,
            divisor=8,
            norm=NORM,
            activation=hard["activation"] if is_hard else "relu",
            name=f"block{number}",
        )(x)
    x = ConvNormAct(round_channels(6 * x.shape[-1]), 1, name="last", **hard)(x)
    levels[f"P{level}"] = x
    model = keras.Model(image, levels, name=name or f"mobilenet_v3_{size}")
    return filled(model, weights, twin, twin_layer)


def twin_layer(path):
    """Return the name in `keras.applications.MobileNetV3Large` and `Small` of our layer."""
    if path in PARTS:
        return PARTS[path]
    block, part = path.split(".", 1)
    number = int(block.removeprefix("block"))
    prefix = f"expanded_conv_{number}_" if number else "expanded_conv_"
    return prefix + (PARTS.get(part) or part.replace(".conv", "").replace(".norm", "_bn"))
