"""The segmenters, all on one mobile backbone; membranes on a plain one."""

import keras

import backbones
import heads
from blocks import ConvNormAct, ResidualBlock

NORM = {"type": "batch", "momentum": 0.9}
STREETS = {
    "U-Net": lambda **k: heads.UNetHead(levels=["P1", "P2", "P3", "P4"], filters=16, **k),
    "DeepLabV3+": lambda **k: heads.DeepLabHead(level="P4", low_level="P2", filters=96, **k),
    "LR-ASPP": lambda **k: heads.LRASPPHead(level="P4", low_level="P2", filters=96, **k),
    "pyramid": lambda **k: heads.PyramidSegmentationHead(
        levels=["P2", "P3", "P4"], filters=48, pyramid_filters=64, norm="batch", **k
    ),
    "SegFormer": lambda **k: heads.SegFormerHead(levels=["P2", "P3", "P4"], filters=96, **k),
}
MEMBRANES = {
    "U-Net": lambda **k: heads.UNetHead(levels=["P0", "P1", "P2", "P3"], filters=12, **k),
}


def streets(name, shape, classes, void):
    """Return an untrained segmenter of streets."""
    backbone = backbones.mobilenet_v4(shape, size="conv_small", include_preprocessing=True)
    return heads.attach(backbone, STREETS[name](num_classes=classes, ignore_label=void))


def membranes(name, shape=(None, None, 1)):
    """Return an untrained segmenter of membranes, for images of any size."""
    image = keras.Input(shape, name="image")
    x = keras.layers.Rescaling(1 / 64, -2.0, name="normalization")(image)
    levels = {}
    for level, filters in enumerate((12, 24, 48, 96)):
        block = ConvNormAct if level == 0 else ResidualBlock
        stride = {"strides": min(2, level + 1), "norm": NORM, "name": f"stage{level}"}
        x = levels[f"P{level}"] = block(filters, **stride)(x)
    loss = {"cross_entropy": 1.0, "dice": 1.0}
    head = MEMBRANES[name](num_classes=1, ignore_label=None, norm=NORM, loss=loss)
    return heads.attach(keras.Model(image, levels, name="plain"), head)
