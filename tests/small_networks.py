"""A network of two stages, its data, and what moved in it."""

import keras
import numpy as np

import heads
from blocks import ConvNormAct, ResidualBlock

SIDE = 8


def network(seed=0):
    """Return a classifier of two classes and the backbone it is made of."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIDE, SIDE, 1), name="image")
    x = ConvNormAct(4, 3, name="stem")(image)
    half = ConvNormAct(4, 3, 2, name="stage1")(x)
    quarter = ResidualBlock(8, strides=2, name="stage2")(half)
    backbone = keras.Model(image, {"P0": x, "P1": half, "P2": quarter}, name="small")
    head = heads.ClassificationHead(2, name="head")
    model = heads.attach(backbone, head)
    return model, backbone


def data(count=16, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, SIDE, SIDE, 1)).astype("float32")
    return x, rng.integers(0, 2, count)


def values(model):
    """Return every weight by its path, statistics included."""
    return {w.path: np.array(w) for w in model.weights}


def moved(model, before):
    """Return the paths of the weights that are not what they were."""
    return {w.path for w in model.weights if not np.array_equal(np.array(w), before[w.path])}
