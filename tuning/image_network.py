"""The network that a configuration of `image_space` means."""

import math

import keras
from keras import layers

from backbones.common import image_input
from blocks import (
    BottleneckBlock,
    ConvNormAct,
    DepthwiseSeparableConv,
    InvertedResidual,
    ResidualBlock,
    SelfAttention,
    SqueezeExcite,
)

LARGE = 64  # least side of images that the stem and the first stage halve, too
LEAST_SIDE = 2  # of the coarsest map
MOST_STAGES = 4
# Keras's momentum of 0.99 takes hundreds of steps, and short trials would be judged by chance.
NORMS = {"batch": {"type": "batch", "momentum": 0.9}}
FAMILIES = {  # what only the blocks of one family have
    "plain": {"kernel": [3, 5]},
    "residual": {"kernel": [3, 5], "drop_path": [0.0, 0.1]},
    "bottleneck": {"drop_path": [0.0, 0.1]},
    "inverted": {"kernel": [3, 5], "expansion": [2, 4, 6], "drop_path": [0.0, 0.1]},
    "separable": {"kernel": [3, 5]},
}
SQUEEZE = 0.25  # channels inside a squeeze-excite, as a share


def fixed_sides(input_shape, least=LEAST_SIDE):
    """Return height and width of an image; raise where these are open or too small."""
    sides = image_input(input_shape).shape[1:3]
    if None in sides or min(sides) < least:
        raise ValueError(
            f"`input_shape` must have fixed sides of at least {least}. "
            f"Received: input_shape={input_shape!r}."
        )
    return sides


def most_stages(side):
    """Return the number of stages after which an image is still at least 2 x 2, at most 4.

    >>> [most_stages(side) for side in (2, 8, 28, 64, 224)]
    [1, 3, 4, 4, 4]
    """
    large = side >= LARGE
    halvings = int(math.log2(side / LEAST_SIDE)) - large
    return min(MOST_STAGES, halvings + (not large))


def network(input_shape, chosen, mean=0.0, std=1.0):
    """Return the features of each stage, `{"P0": …, "P1": …}`, by their stride.

    Args:
        input_shape: `(height, width, channels)`.
        chosen: Dict of plain values, one for each name of the tables of `image_space`.
        mean: Mean of the image's values, a number or one for each channel.
        std: Their standard deviation.
    """
    side = min(input_shape[:2])
    if chosen["stages"] > most_stages(side):
        raise ValueError(
            f"`stages` must be at most {most_stages(side)} for a side of {side}: the coarsest map "
            f"is at least {LEAST_SIDE} x {LEAST_SIDE}. Received: stages={chosen['stages']}."
        )
    chosen = {**chosen, "norm": NORMS.get(chosen["norm"], chosen["norm"])}
    common = {"norm": chosen["norm"], "activation": chosen["activation"]}
    stride = 2 if side >= LARGE else 1
    level = stride - 1
    image = image_input(input_shape)
    x = normalized(image, mean, std)
    x = ConvNormAct(chosen["width"], 3, stride, **common, name="stem")(x)
    levels = {}
    for stage in range(chosen["stages"]):
        filters = chosen["width"] * 2**stage
        strides = stride if stage == 0 else 2
        level += strides - 1
        for i in range(chosen["depth"]):
            name = f"stage{stage + 1}_block{i + 1}"
            x = block(x, filters, strides if i == 0 else 1, chosen, name)
        if stage == chosen["stages"] - 1 and chosen["attention"] == "self_attention":
            x = attended(x)
        levels[f"P{level}"] = x
    return keras.Model(image, levels, name="image_network")


def normalized(image, mean, std):
    """Take mean and standard deviation off an image, if there is anything to take off."""
    if mean == 0 and std == 1:
        return image
    shape = image.shape[-1:]
    means = [float(m) for m in mean] if hasattr(mean, "__len__") else [float(mean)] * shape[0]
    stds = [float(s) for s in std] if hasattr(std, "__len__") else [float(std)] * shape[0]
    if len(means) != shape[0] or len(stds) != shape[0] or min(stds) <= 0:
        raise ValueError(
            "`mean` and `std` are one number or one for each channel, `std` above zero. "
            f"Received: mean={mean!r}, std={std!r} for {shape[0]} channels."
        )
    return layers.Rescaling(
        [1 / s for s in stds], [-m / s for m, s in zip(means, stds)], name="normalization"
    )(image)


def block(x, filters, strides, chosen, name):
    """Return `x` after a block of the chosen family."""
    family, squeeze = chosen["family"], chosen["attention"] == "squeeze_excite"
    common = {"norm": chosen["norm"], "activation": chosen["activation"], "name": name}
    if family in ("plain", "separable"):
        kind = ConvNormAct if family == "plain" else DepthwiseSeparableConv
        x = kind(filters, chosen["kernel"], strides, **common)(x)
        return SqueezeExcite(SQUEEZE, name=f"{name}_squeeze")(x) if squeeze else x
    common |= {"se_ratio": SQUEEZE if squeeze else 0.0, "drop_path": chosen["drop_path"]}
    if family == "residual":
        return ResidualBlock(filters, chosen["kernel"], strides, **common)(x)
    if family == "bottleneck":
        return BottleneckBlock(filters, strides, reduction=math.gcd(filters, 4), **common)(x)
    inside = {"expansion": chosen["expansion"], "kernel_size": chosen["kernel"]}
    return InvertedResidual(filters, strides, **inside, **common)(x)


def attended(x):
    """Add to every position what it reads from all others."""
    height, width, channels = x.shape[1:]
    num_heads = math.gcd(channels, 2 ** max(0, int(math.log2(channels)) - 4))  # of 16 and more
    tokens = layers.Reshape((height * width, channels), name="tokens")(x)
    read = layers.LayerNormalization(name="attention_norm")(tokens)
    read = SelfAttention(num_heads, name="attention")(read)
    tokens = layers.Add(name="attention_add")([tokens, read])
    return layers.Reshape((height, width, channels), name="attention_map")(tokens)
