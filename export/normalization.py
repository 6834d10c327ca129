"""What a model's first layers do to its inputs: they normalise, and know what they were shown."""

import keras
import numpy as np

from blocks import flatten
from blocks.graph import path_of
from export.signature import input_names

KINDS = (keras.layers.Rescaling, keras.layers.Normalization)


def normalization_of(model):
    """Return, by name of input, how a model itself normalises it: `(x - mean) / std`.

    Returns:
        A dict of `"mean"` and `"std"`, lists of one number or one for each channel, and the
        `"layers"` that do it, by their paths; inputs that go in as they are have none.
    """
    if not any(isinstance(x, KINDS) for x in model._flatten_layers()):
        return {}
    flat, found = opened(model), {}
    for name, x in zip(input_names(model), flat.inputs) if flat else ():
        scale, offset, names = np.float64(1), np.float64(0), []
        while (node := _only_user(x)) and (step := _affine(node.operation)):
            scale, offset = scale * step[0], offset * step[0] + step[1]
            names.append(path_of(node.operation))
            (x,) = node.outputs
        if names and np.all(scale):
            found[name] = {
                "mean": _numbers(-offset / scale),
                "std": _numbers(1 / scale),
                "layers": names,
            }
    return found


def opened(model):
    """Return the flat copy of a model, or `None` where there is none."""
    try:
        return flatten(model)
    except Exception:  # whatever a foreign layer raises: the model converts all the same
        return None


def _only_user(x):
    """Return the node that reads a tensor, if there is one alone."""
    nodes = [
        node
        for node in x._keras_history.operation._outbound_nodes
        if any(given is x for given in node.input_tensors)
    ]
    return nodes[0] if len(nodes) == 1 else None


def _affine(layer):
    """Return the scale and offset of a layer that has them, for each channel or for all."""
    if isinstance(layer, keras.layers.Rescaling):
        pair = layer.scale, layer.offset
    elif isinstance(layer, keras.layers.Normalization):
        mean, std = _array(layer.mean), np.sqrt(_array(layer.variance))
        if mean.size != mean.shape[-1]:
            return None  # of other axes than channels
        std = np.maximum(std.ravel(), keras.config.epsilon())
        pair = (std, mean.ravel()) if layer.invert else (1 / std, -mean.ravel() / std)
    else:
        return None
    return tuple(np.asarray(x, "float64") for x in pair)


def _array(x):
    return np.atleast_1d(keras.ops.convert_to_numpy(x)).astype("float64")


def _numbers(values):
    """Return numbers as a list, of which there is one where all are equal; of float32's digits."""
    values = [float(str(np.float32(x))) + 0.0 for x in np.atleast_1d(values).ravel()]
    return values[:1] if len(set(values)) == 1 else values
