"""The layers of a network that hold weights, and how one takes another's."""

import numpy as np
from keras import layers

from blocks.graph import path_of


def leaves_of(model):
    """Return the layers that hold weights, each with its path: `[("stem.conv", layer), …]`."""
    found = []

    def walk(layer, path):
        parts = list(layer._flatten_layers(include_self=False, recursive=False))
        for part in parts:
            walk(part, f"{path}.{path_of(part)}")
        if not parts and layer.weights:
            found.append((path, layer))

    for layer in model.layers:
        walk(layer, path_of(layer))
    return found


def set_leaf(layer, values, path, source):
    """Give a layer weights, or say that they are of other shapes."""
    expected = [tuple(w.shape) for w in layer.weights]
    received = [np.shape(value) for value in values]
    if [[n for n in s if n > 1] for s in expected] != [[n for n in s if n > 1] for s in received]:
        raise ValueError(
            f"Layer {path!r} takes weights of shapes {expected}. Received: {received} from "
            f"{source}, which is another network, or of another size or other input channels."
        )
    # A dense layer on maps is a 1x1 convolution, one of a channel a group is a depthwise one.
    layer.set_weights([np.reshape(value, shape) for value, shape in zip(values, expected)])
    if isinstance(layer, layers.Normalization):
        layer.finalize_state()  # it computes with what it read from its weights
