"""What the tests of values share."""

import numpy as np
from keras import ops


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def shaken(layer, x):
    """Call once, then move every weight away from its start."""
    layer(x)
    rng = np.random.default_rng(1)
    for w in layer.weights:
        if "seed" not in w.path:
            w.assign(w + 0.3 * rng.uniform(size=w.shape))
    return layer


def assert_equal(layer, x, expected, **kwargs):
    actual = ops.convert_to_numpy(layer(x, **kwargs))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
