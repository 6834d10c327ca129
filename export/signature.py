"""The names, shapes and types under which a model is called from outside."""

import keyword
import re
from dataclasses import dataclass

import keras

from blocks.graph import path_of
from export.errors import ExportError


@dataclass(frozen=True)
class Tensor:
    """An input or output of a file: its name, shape and type."""

    name: str
    shape: tuple
    dtype: str


def graph_of(model):
    """Return the functional graph of `model`: itself, or what a `Sequential` holds."""
    if not isinstance(model, keras.Model):
        raise ExportError(f"A keras.Model is exported. Received: {type(model).__name__}.")
    if not model.built:
        raise ExportError(
            f"The model has not been built, so its shapes are unknown. Received: {model.name!r}. "
            "Begin a Sequential with keras.Input, or call the model once."
        )
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_inputs_struct"):
        raise ExportError(
            "Only a functional or Sequential keras.Model says what its inputs are. Received: "
            f"{model.name!r} of type {type(model).__name__}. Wrap it: image = keras.Input(shape); "
            "keras.Model(image, model(image))."
        )
    return graph


def inputs_of(model, input_shape=None):
    """Return the inputs of `model` as static `Tensor`s of batch 1.

    Args:
        model: A functional or `Sequential` model.
        input_shape: Shape without the batch axis that stands in for open sizes, or a dict of
            such shapes by name of input.
    """
    named = list(zip(input_names(model), graph_of(model).inputs))
    given = _shapes_by_name(input_shape, [name for name, _ in named])
    return [_static(name, x, given.get(name)) for name, x in named]


def output_names(model):
    """Return a name for each output: a dict's keys, else the paths of the output layers."""
    names = []
    for path, x in keras.tree.flatten_with_path(graph_of(model)._outputs_struct):
        words = [part for part in path if isinstance(part, str)]
        maker = path_of(x._keras_history.operation)
        name = wanted = "_".join(words) or maker
        count = 0
        while name in names:
            count += 1
            name = f"{wanted}_{count}"
        names.append(name)
    return names


def outputs_of(model):
    """Return the outputs of `model` as `Tensor`s of batch 1; open sizes are `None`."""
    named = zip(output_names(model), graph_of(model).outputs)
    return [
        Tensor(name, (1, *x.shape[1:]), keras.backend.standardize_dtype(x.dtype))
        for name, x in named
    ]


def call(model, tensors):
    """Call `model` on one tensor for each of `inputs_of`; return its outputs by name."""
    graph = graph_of(model)
    given = keras.tree.pack_sequence_as(graph._inputs_struct, list(tensors))
    outputs = keras.tree.flatten(model(given, training=False))
    return dict(zip(output_names(model), outputs))


def input_names(model):
    """Return a name for each input: a flat dict's keys, else the names of the input layers."""
    names = []
    for path, x in keras.tree.flatten_with_path(graph_of(model)._inputs_struct):
        name = (
            path[0]
            if len(path) == 1 and isinstance(path[0], str)
            else x._keras_history.operation.name
        )
        if not re.fullmatch(r"[A-Za-z0-9][\w./-]*", name, re.ASCII) or (
            keyword.iskeyword(name) or name == "self"
        ):
            raise ExportError(
                "An input's name goes into the file: ASCII letters, digits and `_ . / -`, no "
                f"word of Python. Received: {name!r}. Rename that keras.Input (or dict key)."
            )
        names.append(name)
    return names


def knows_ranges(model):
    """Return whether a model rounds as its file will: see `quantize_aware`."""
    return any(getattr(x, "quantizes", False) for x in model._flatten_layers())


def _shapes_by_name(input_shape, names):
    if input_shape is None:
        return {}
    if not isinstance(input_shape, dict):
        if len(names) > 1:
            raise ExportError(
                f"`input_shape` must be a dict by name where there are several inputs: {names}. "
                f"Received: input_shape={input_shape!r}."
            )
        input_shape = {names[0]: input_shape}
    unknown = sorted(set(input_shape) - set(names))
    if unknown:
        raise ExportError(f"`input_shape` names inputs among {names}. Received: {unknown}.")
    return input_shape


def _static(name, x, given):
    if x.shape[0] not in (None, 1):
        raise ExportError(
            f"A file takes one sample a call. Received: input {name!r} of shape {x.shape}. "
            "Leave the batch size of keras.Input open; begin a Sequential with keras.Input."
        )
    shape = tuple(x.shape[1:]) if given is None else tuple(given)
    fits = len(shape) == len(x.shape) - 1 and all(
        wanted in (None, size) for wanted, size in zip(x.shape[1:], shape)
    )
    if not fits:
        raise ExportError(
            f"`input_shape` must fit input {name!r} of shape {tuple(x.shape[1:])}, without the "
            f"batch axis. Received: {given!r}."
        )
    if x.dtype == "string":
        raise ExportError(
            f"Text stays outside a file. Received: input {name!r} of type string. Begin the model "
            "after the layer that makes numbers of it."
        )
    if None in shape:
        raise ExportError(
            f"A file has fixed sizes. Received: input {name!r} of shape {shape}. Say which with "
            f"input_shape=, for instance {tuple(size or 96 for size in shape)}."
        )
    return Tensor(name, (1, *shape), keras.backend.standardize_dtype(x.dtype))
