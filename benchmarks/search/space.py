"""The space that all searches share: 256 networks of blocks, 64 architectures at 4 rates."""

import itertools

import keras

import heads
from blocks import ConvNormAct
from tuning.image_network import NORMS, block, normalized

SIDE = 32
CHOICES = {
    "family": ["plain", "residual", "separable", "inverted"],
    "width": [4, 8, 12, 16],
    "depth": [1, 2],
    "kernel": [3, 5],
    "learning_rate": [3e-4, 1e-3, 3e-3, 1e-2],
}
STAGES = 3
FIXED = {"norm": NORMS["batch"], "activation": "relu", "attention": "none", "drop_path": 0.0}


def configurations():
    """Return every configuration as a dict of plain values."""
    return [dict(zip(CHOICES, values)) for values in itertools.product(*CHOICES.values())]


def chosen(hp):
    """Return a configuration, as any tuner draws it."""
    return {name: hp.Choice(name, values) for name, values in CHOICES.items()}


def network(values):
    """Return the network of a configuration, not compiled."""
    settings = {**FIXED, "expansion": 3, **values}
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = normalized(image, 128.0, 64.0)
    x = ConvNormAct(values["width"], 5, 4, norm=FIXED["norm"], name="stem")(x)
    for stage in range(STAGES):
        for i in range(values["depth"]):
            strides = 2 if stage and i == 0 else 1
            name = f"stage{stage + 1}_block{i + 1}"
            x = block(x, values["width"] * 2**stage, strides, settings, name)
    head = heads.ClassificationHead(10, name="head")
    return heads.attach(keras.Model(image, {"P1": x}, name="network"), head), head


def compiled(values):
    """Return the network of a configuration with its optimizer."""
    model, head = network(values)
    # XLA's convolutions are slower than oneDNN's on a processor.
    optimizer = keras.optimizers.Adam(values["learning_rate"])
    model.compile(optimizer, loss=head.loss(), metrics=head.metrics(), jit_compile=False)
    return model
