"""A model's plain graph: every composite layer opened, every leaf named by its path."""

import inspect
import re

import keras
from keras import ops, tree

from blocks.copies import copied, hand_on, sublayers

# What joins the names of a path in the names of copies. Torch takes no "." in the path of a weight.
STEP = ">" if keras.backend.backend() == "torch" else "."
ODD = re.compile(r"[^A-Za-z0-9_.>-]")  # what no scope of TensorFlow holds


def flatten(model, *, fuse=False):
    """Return a copy of `model` as a plain functional graph of leaves.

    Nested models and layers made of layers are opened: their `call` is run on symbolic
    tensors, and what it connects is connected in the new graph. A leaf is called by its path
    (`"stage1_block0.conv1.conv"`; what is no letter, digit or `. _ > -` becomes `_`), has the
    original's configuration and a copy of its weights; the outputs are equal. The given model is
    not changed. On the torch backend, which takes no `.` in the name of what holds weights, a
    leaf is called `"stage1_block0>conv1>conv"`; its path is the same.

    A layer stays a leaf where it holds weights of its own beside its sublayers, or where its
    `call` does not run on symbolic tensors (recurrent layers). A `call` that chooses by
    `training` is opened as in inference; blocks never do.

    Args:
        model: A functional or a built `Sequential` `keras.Model`, whatever it is made of.
        fuse: Whether a layer that has a method `fuse()` is replaced by the layer it returns,
            which must give the same outputs at inference.

    Returns:
        A functional `keras.Model` with the inputs, outputs and name of `model`.

    Raises:
        ValueError: If the model has no graph: subclassed, or a `Sequential` not yet built.

    >>> image = keras.Input((8, 8, 3))
    >>> inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()], name="inner")
    >>> [layer.name for layer in flatten(keras.Model(image, inner(image))).layers[1:]]
    ['inner.flatten']
    """
    flat, _, copy_weights = trace(model, fuse=fuse)
    copy_weights()
    return flat


def trace(model, *, fuse=False, closed=()):
    """Return the flat copy of `model`, its tensor for each tensor's id, and how to fill it.

    Its weights are fresh until the third, a function, is called. Layers of `closed` stay whole.
    """
    flat, copies, copier = _trace(model, fuse, closed)
    return flat, copies, lambda: [hand_on(*pair) for pair in copier.made.values()]


def trace_layers(model):
    """Return the flat copy of `model`, with fresh weights, and each operation's original by id."""
    flat, _, copier = _trace(model)
    return flat, {id(copy): original for original, copy in copier.made.values()}


def _trace(model, fuse=False, closed=()):
    graph = graph_of(model)
    if graph is None:
        raise ValueError(
            "A functional keras.Model or a built Sequential is needed, whose graph can be read. "
            f"Received: {getattr(model, 'name', model)!r} of type {type(model).__name__}. "
            "Write a subclassed model "
            "with keras.Input and keras.Model(inputs, outputs); give a Sequential a keras.Input."
        )
    names = [x._keras_history.operation.name for x in graph.inputs]
    inputs = [
        keras.Input(batch_shape=x.shape, dtype=x.dtype, name=name)
        for x, name in zip(graph.inputs, names)
    ]
    copies = {id(old): new for old, new in zip(graph.inputs, inputs)}
    copier = _Copier(inputs, names, fuse, closed)
    copier.run(graph.outputs, copies, "")
    outputs = tree.map_structure(lambda x: copies[id(x)], graph._outputs_struct)
    inputs = tree.pack_sequence_as(graph._inputs_struct, inputs)
    return keras.Model(inputs, outputs, name=model.name), copies, copier


def graph_of(model):
    """Return the functional graph behind a model, or `None` if there is none."""
    graph = getattr(model, "_functional", model)
    if not hasattr(graph, "_outputs_struct"):
        return None
    drawn_over = type(graph).call.__module__ != "keras.src.models.functional"
    return None if drawn_over else graph  # a subclass may compute something else


def offers_fuse(operation):
    """Return whether an operation can say what gives its outputs with less."""
    return callable(getattr(operation, "fuse", None))


def nodes_between(outputs, known):
    """Return the nodes that compute `outputs` from tensors whose id is in `known`, in order."""
    order, seen = [], set()
    stack = [(_maker(x), False) for x in outputs if id(x) not in known]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(_maker(x), False) for x in node.input_tensors if id(x) not in known]
    return order


def _maker(tensor):
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index]


def path_of(operation):
    """Return the path of an operation of a flat graph, wherever it was made, with dots."""
    return dotted(operation.name)


def dotted(path):
    """Return a path as it is on every backend."""
    return path.replace(">", ".")


def scoped(name):
    """Return a name as a scope of TensorFlow may have it."""
    return ODD.sub("_", name).lstrip("_->") or "layer"


class _Copier:
    """Repeats graphs on new tensors, with a copy of every operation it meets."""

    def __init__(self, inputs, names, fuse, closed):
        self.made = {}  # id of the original -> (original, copy)
        self.fuse, self.closed = fuse, closed
        self.fused = {}  # id of the original -> (original, what its `fuse()` returned)
        self.taken = set(names)
        self.fresh = {id(x): x for x in inputs}  # every tensor of the new graph

    def run(self, outputs, copies, path):
        """Repeat the graph from the tensors in `copies` to `outputs`, adding to `copies`."""
        for node in nodes_between(outputs, copies):
            args, kwargs = node.arguments.fill_in(copies)
            results = self.call(node.operation, args, kwargs, path)
            copies.update((id(old), new) for old, new in zip(node.outputs, tree.flatten(results)))

    def call(self, operation, args, kwargs, path):
        name = path + operation.name
        if self.fuse and offers_fuse(operation):
            if id(operation) not in self.fused:
                self.fused[id(operation)] = operation, operation.fuse()
            operation = self.fused[id(operation)][1]
        if path and type(operation) is keras.layers.Identity:
            return args[0]
        whole = isinstance(operation, self.closed)
        if id(operation) not in self.made and sublayers(operation) and not whole:
            opened = self.open(operation, args, kwargs, name + STEP)
            if opened is not None:
                return opened
        if id(operation) not in self.made:
            self.made[id(operation)] = operation, copied(operation, self.unique(name))
        copy = self.made[id(operation)][1]
        if isinstance(copy, keras.Layer) and "mask" in inspect.signature(copy.call).parameters:
            # What an opened layer would have handed on at run time is handed on in the graph.
            kwargs.setdefault("mask", tree.map_structure(_mask, args[0] if args else None))
        results = copy(*args, **kwargs)
        self.fresh.update((id(x), x) for x in tree.flatten(results))
        return results

    def open(self, layer, args, kwargs, path):
        graph = graph_of(layer)
        if graph is not None:
            given = args[0] if args else next(iter(kwargs.values()))
            if isinstance(graph._inputs_struct, dict):
                given = {key: given[key] for key in graph._inputs_struct}
            given = [_cast(x, y.dtype) for x, y in zip(tree.flatten(given), graph.inputs)]
            copies = {id(old): new for old, new in zip(graph.inputs, given)}
            outputs = graph._outputs_struct
        else:
            if layer._trainable_variables or layer._non_trainable_variables:
                return None
            given = [x for x in tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
            masks = [_mask(x) for x in given]
            if "training" not in inspect.signature(layer.call).parameters:  # any layer is given it
                kwargs = {key: x for key, x in kwargs.items() if key != "training"}
            try:
                args, kwargs = tree.map_structure(
                    lambda x: (
                        layer.dtype_policy.convert_input(x, layer.autocast, layer.input_dtype)
                        if isinstance(x, keras.KerasTensor)
                        else x
                    ),
                    (args, kwargs),
                )
                outputs = layer.call(*args, **kwargs, **_mask_arguments(layer, args, kwargs))
            except Exception:  # whatever a foreign `call` raises: it needs real tensors
                return None
            finally:
                for x, mask in zip(given, masks):  # attention layers take masks off
                    x._keras_mask = mask
            copies = dict(self.fresh)
        self.run(tree.flatten(outputs), copies, path)
        results = tree.map_structure(lambda x: copies[id(x)], outputs)
        if graph is None and layer.supports_masking and args:
            layer._set_mask_metadata(args[0], results, tree.map_structure(_mask, args[0]))
        return results

    def unique(self, name):
        name = new = scoped(name)
        count = 0
        while new in self.taken:
            count += 1
            new = f"{name}_{count}"
        self.taken.add(new)
        return new


def _mask(x):
    return getattr(x, "_keras_mask", None)


def _mask_arguments(layer, args, kwargs):
    """Return the mask arguments that Keras fills in where a layer is called."""
    names = inspect.signature(layer.call).parameters
    given = {**dict(zip(names, args)), **kwargs}
    if "mask" in names and "mask" not in given:
        return {"mask": tree.map_structure(_mask, args[0] if args else None)}
    return {
        f"{name}_mask": _mask(x)
        for name, x in given.items()
        if f"{name}_mask" in names and f"{name}_mask" not in given
    }


def _cast(x, dtype):
    return x if x.dtype == dtype else ops.cast(x, dtype)
