"""What the tests of values share."""

import keras
import numpy as np
from keras import ops, tree


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def outputs_of(layer, x, **kwargs):
    """Call a layer; on JAX as one program, which compiles sooner than each of its operations."""
    if keras.backend.backend() != "jax" or kwargs.get("training"):
        return layer(x, **kwargs)
    import jax

    built(layer, x)
    return jax.jit(lambda x: layer(x, **kwargs))(x)


def built(layer, x):
    if not layer.built:
        layer.build(tree.map_structure(lambda a: tuple(a.shape), x))
    return layer


def shaken(layer, x):
    """Build, then move every weight away from its start."""
    rng = np.random.default_rng(1)
    for w in built(layer, x).weights:
        if "seed" not in w.path:
            w.assign(ops.convert_to_numpy(w) + 0.3 * rng.uniform(size=w.shape))
    return layer


def assert_equal(layer, x, expected, **kwargs):
    actual = ops.convert_to_numpy(outputs_of(layer, x, **kwargs))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
