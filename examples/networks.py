"""Small backbones for small images."""

import keras

from blocks import ConvNormAct, ResidualBlock

NORM = {"type": "batch", "momentum": 0.9}  # a few hundred steps must be enough


def small(shape, widths=(16, 32, 48, 64)):
    """Return a residual network with the levels P1, P2, … of strides 2, 4, …; pixels 0 to 255."""
    x = image = keras.Input(shape, name="image")
    x = keras.layers.Rescaling(1 / 64, -2.0, name="normalization")(x)
    levels = {}
    for level, filters in enumerate(widths, start=1):
        if level == 1:
            x = ConvNormAct(filters, 5, 2, norm=NORM, name="stem")(x)
        else:
            x = ResidualBlock(filters, strides=2, norm=NORM, name=f"stage{level}")(x)
        levels[f"P{level}"] = x
    return keras.Model(image, levels, name="small")
