"""Whether an operation treats channels alike and alone, found by trying."""

import keras
import numpy as np
from keras import ops, tree

OPEN = 8  # stands in for sizes that are not known
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def trial(operation, node, known):
    """Try whether narrower inputs of an operation give a narrower output, and nothing else.

    Such are activations, sums, products with a gate, pooling, resizing, batch normalization; layer
    normalization, whose mean is of all channels, and softmax are not.

    Args:
        operation: A layer or operation.
        node: Its call in a graph.
        known: A dict that keeps what was found, for layers of the same configuration.

    Returns:
        The channels, the places of the inputs that have them, and of those that must stay as they
        are, for others do not matter; or `None` where it is not so, or cannot be tried.
    """
    key = id(node)
    if isinstance(operation, keras.Layer) and len(node.input_tensors) == 1:
        config = {**operation.get_config(), "name": None}
        key = repr((type(operation), config, node.input_tensors[0].shape))
    if key not in known:
        try:
            known[key] = _trial(operation, node)
        except Exception:  # whatever an operation raises on shapes it was not made for
            known[key] = None
    return known[key]


def activation_is_alone(layer):
    """Return whether a layer's activation computes each channel from itself alone."""
    activation = getattr(layer, "activation", None)
    if activation is None:
        return True
    x = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    some = np.array([0, 3, 4, 6])
    try:
        whole, part = (
            ops.convert_to_numpy(activation(ops.convert_to_tensor(y))) for y in (x, x[:, some])
        )
    except ValueError:  # of a foreign one
        return False
    return part.shape == (4, 4) and np.allclose(whole[:, some], part, **CLOSE)


def _trial(operation, node):
    (output,) = node.outputs
    rng = np.random.default_rng(0)
    width, tensors = output.shape[-1], node.input_tensors
    arrays = [_array(x, rng) for x in tensors]
    call = _Caller(operation, node, width, rng)
    expected = call(arrays)

    def gives(answer, places, some):
        try:
            got = call([x[..., some] if i in places else x for i, x in enumerate(arrays)], some)
        except Exception:  # the widths do not fit
            return False
        return got.shape == answer.shape and np.allclose(got, answer, **CLOSE)

    wide = [i for i, x in enumerate(tensors) if len(x.shape) > 1 and (x.shape[-1] or 0) > 1]
    idle = []  # only the shape of such an input is read
    if len(tensors) > 1 and not call.weights:
        idle = [i for i in wide if gives(expected, [i], _some(tensors[i].shape[-1], rng))]
    narrowed = [i for i in wide if i not in idle and tensors[i].shape[-1] == width]
    if not narrowed:
        return None
    kept = [i for i in range(len(tensors)) if i not in idle and i not in narrowed]
    some = _some(width, rng)
    return (width, narrowed, kept) if gives(expected[..., some], narrowed, some) else None


class _Caller:
    """Calls an operation on arrays; a layer with weights as a copy of the width it is given."""

    def __init__(self, operation, node, width, rng):
        self.operation, self.node, self.width = operation, node, width
        # None of them is special, as those of a new layer are: 0 would hide what they scale.
        self.weights = [
            rng.uniform(0.5, 1.5, [*w.shape]) for w in getattr(operation, "weights", ())
        ]

    def __call__(self, arrays, some=None):
        operation = self.operation
        if isinstance(operation, keras.Layer) and not isinstance(operation, keras.layers.Lambda):
            operation = type(operation).from_config({**operation.get_config(), "name": "trial"})
        given = {
            id(x): ops.convert_to_tensor(y, x.dtype)
            for x, y in zip(self.node.input_tensors, arrays)
        }
        args, kwargs = self.node.arguments.fill_in(given)
        if self.weights:
            operation(*args, **kwargs)  # makes its weights
            operation.set_weights([self.narrow(w, some) for w in self.weights])
        (answer,) = tree.flatten(operation(*args, **kwargs))
        return ops.convert_to_numpy(ops.cast(answer, "float32"))

    def narrow(self, weight, some):
        if some is None or not weight.ndim or weight.shape[-1] != self.width:
            return weight
        return weight[..., some]


def _array(x, rng):
    shape = [1 if i == 0 else size or OPEN for i, size in enumerate(x.shape)]
    return rng.normal(size=shape) if "float" in x.dtype else np.ones(shape)


def _some(width, rng):
    return np.sort(rng.permutation(width)[: max(1, width // 2)])
