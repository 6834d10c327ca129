"""Layers that judge their own answers: boxes in another order say the same."""

import keras
import numpy as np

from blocks import flatten
from blocks.graph import graph_of
from export import signature

MOST_APART = 0.1  # share of samples that a layer may excuse


def judged(model, expected, actual):
    """Yield each layer that judges its own answers, their names by key, and both answers by key.

    Such a layer offers `agreement(expected, actual)` and `aligned(expected, actual)` of its own
    outputs, a dict whose keys are `answers`. Where rounding may change an answer altogether, it
    also offers `excuses(expected, actual)`, of the samples whose answers differ.
    """
    made = {}
    for name, x in zip(signature.output_names(model), signature.graph_of(model).outputs):
        path, layer, place = _maker(x)
        if callable(getattr(layer, "agreement", None)):
            keys = sorted(layer.answers)  # as Keras flattens a dict
            made.setdefault(path, (layer, {}))[1][keys[place]] = name
    for layer, names in made.values():
        given = [{key: x[name] for key, name in names.items()} for x in (expected, actual)]
        same = all(x.shape == given[1][key].shape for key, x in given[0].items())
        if same and set(names) == set(layer.answers):
            yield layer, names, given


def classes_of(model):
    """Return how many classes a model's first output tells of if a layer judges it, or `None`."""
    _, layer, _ = _maker(signature.graph_of(model).outputs[0])
    judges = callable(getattr(layer, "agreement", None))
    return getattr(layer, "num_classes", None) if judges else None


def shares_of(model, expected, actual):
    """Return, by output name, how far answers agree as the layers say that made them."""
    shares = {}
    for layer, names, given in judged(model, expected, actual):
        shares |= dict.fromkeys(names.values(), layer.agreement(*given))
    return shares


def apart(expected, actual, relative):
    """Return which samples differ in any output by more than a share of its largest number."""
    found = np.zeros(len(next(iter(expected.values()))), bool)
    for name, reference in expected.items():
        bound = relative * np.abs(reference).max(initial=0.0) if reference.dtype.kind == "f" else 0
        error = np.abs(actual[name].astype("float64") - reference)
        found |= ~(error <= bound).reshape(len(found), -1).all(axis=1)
    return found


def excused(layer, expected, actual, which):
    """Return whether some samples are few and their layer excuses them."""
    if not 0 < which.mean() <= MOST_APART or not hasattr(layer, "excuses"):
        return False
    return layer.excuses(
        *({key: x[which] for key, x in each.items()} for each in (expected, actual))
    )


def before(model):
    """Return the model of what goes into the layers that judge their own answers."""
    flat = flatten(model)
    nodes = {}
    for x in flat.outputs:
        path, layer, _ = _maker(x)
        if callable(getattr(layer, "agreement", None)):
            nodes[path] = layer._inbound_nodes[path[-1][1]]
    parts = [x for node in nodes.values() for x in node.input_tensors]
    return keras.Model(flat.inputs, {f"boxes_from_{i}": x for i, x in enumerate(parts)})


def _maker(x):
    """Return the way into nested models, the layer that made a tensor, and its place there."""
    path = []
    while True:
        operation, index, place = x._keras_history
        inner = graph_of(operation) if isinstance(operation, keras.Model) else None
        if isinstance(operation, keras.layers.Identity):
            (x,) = operation._inbound_nodes[index].input_tensors
        else:
            path.append((id(operation), index))
            if inner is None:
                return tuple(path), operation, place
            x = inner.outputs[place]
