"""How deep in a network each weight lies: the blocks between it and the outputs."""

import math

import keras

from blocks.graph import graph_of, nodes_between


def depths(model: keras.Model, groups: int | None = None) -> dict[str, int]:
    """Return for every weight's path the number of blocks between it and the outputs.

    A block is a layer that holds a kernel, whatever it is made of: norms, biases and scales
    belong to the kernel before them. The longest way counts. Nested models are opened.

    Args:
        model: A functional or built `Sequential` `keras.Model`.
        groups: Number of groups into which the depths are gathered, beside the 0 of the head.

    >>> x = keras.Input((4,))
    >>> hidden = keras.layers.Dense(3, name="hidden")(x)
    >>> model = keras.Model(x, keras.layers.Dense(2, name="out")(hidden))
    >>> depths(model)
    {'out/kernel': 0, 'out/bias': 0, 'hidden/kernel': 1, 'hidden/bias': 1}
    """
    graph = graph_of(model)
    if graph is None:
        raise ValueError(
            "Depths are read off the graph of a functional keras.Model or a built Sequential. "
            f"Received: {model.name!r} of type {type(model).__name__}."
        )
    found = {}
    _walk(graph, {}, found)
    by_path = {}
    for variable, depth in found.values():
        if by_path.setdefault(variable.path, depth) != depth:
            raise ValueError(
                "Weights of different depths must have different paths. "
                f"Received: {variable.path!r} at {by_path[variable.path]} and at {depth}. "
                "Give the layers names of their own."
            )
    most = max(by_path.values(), default=0)
    if groups is None or not most:
        return by_path
    return {path: math.ceil(depth * groups / most) for path, depth in by_path.items()}


def _walk(graph, depth, found):
    """Fill `found` from the depths of output tensors, and return those of the inputs by id."""
    depth = dict(depth)
    for node in reversed(nodes_between(graph.outputs, ())):
        operation = node.operation
        here = max(depth.get(id(x), 0) for x in node.outputs)
        inner = graph_of(operation)
        if inner is not None:
            given = {id(x): depth.get(id(y), 0) for x, y in zip(inner.outputs, node.outputs)}
            above = _walk(inner, given, found)
            before = [above.get(id(x), here) for x in inner.inputs]
        else:
            weights = getattr(operation, "weights", ())
            for v in weights:  # of a layer that is called twice the call nearest to the outputs
                found[id(v)] = v, min(here, found.get(id(v), (v, here))[1])
            kernels = any(len(v.shape) > 1 for v in weights)
            before = [here + kernels] * len(node.input_tensors)
        for x, value in zip(node.input_tensors, before):
            depth[id(x)] = max(value, depth.get(id(x), 0))
    return depth
