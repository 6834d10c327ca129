"""A graph repeated with rounding wherever an int8 file rounds."""

import keras
import numpy as np
from keras import layers, ops, tree

from blocks.copies import copied, hand_on
from blocks.graph import STEP, nodes_between
from export.aware_layers import FakeQuant, QuantizedActivation, Unrounded, quantized_kind
from export.steps import PREPROCESSING, computes_in_floats, keeps_range

ACTIVATIONS = keras.activations
FUSED = (ACTIVATIONS.relu, ACTIVATIONS.relu6)  # a part of the operation before them in a file
LAST = (ACTIVATIONS.softmax, ACTIVATIONS.sigmoid)  # computed in floats where they are the answer


class Rounder:
    """Repeats a flat graph with rounding wherever an int8 file rounds."""

    def __init__(self, flat, weight_bits, trained):
        self.flat, self.bits = flat, weight_bits
        known = {id(x) for x in flat.inputs}
        self.nodes = nodes_between(trained, known)
        self.rounded = {id(node.operation) for node in self.nodes}
        known |= {id(x) for node in self.nodes for x in node.outputs}
        self.nodes += nodes_between(flat.outputs, known)
        self.readers = {}
        for node in self.nodes:
            for x in node.input_tensors:
                self.readers.setdefault(id(x), []).append(node)
        self.ends = {id(x) for x in flat.outputs}
        self.floating = set()
        self.calls, self.reads = {}, {}
        self.folded = self.foldable()
        self.made = {}  # by id of a layer: its copy, for layers that are called twice
        fresh = [
            keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x._keras_history.operation.name)
            for x in flat.inputs
        ]
        self.inputs_struct = tree.pack_sequence_as(flat._inputs_struct, fresh)
        self.copies = {}
        for old, new in zip(flat.inputs, fresh):
            readers = [x.operation for x in self.readers.get(id(old), [])]
            scaled = all(isinstance(x, PREPROCESSING) for x in readers)  # in floats, in the file
            self.copies[id(old)] = new if scaled else self.range(new, f"{new.name}{STEP}range")

    def outputs(self):
        done = {}  # models that share layers call some twice with the same
        for node in self.nodes:
            args, kwargs = node.arguments.fill_in(self.copies)
            key = id(node.operation), *(id(self.copies[id(x)]) for x in node.input_tensors)
            if key not in done:
                done[key] = tree.flatten(self.call(node, args, kwargs))
            self.copies.update((id(old), new) for old, new in zip(node.outputs, done[key]))
        return tree.map_structure(lambda x: self.copies[id(x)], self.flat._outputs_struct)

    def foldable(self):
        """Return by id of a normalization the layer before it that takes it in."""
        found = {}
        for node in self.nodes:
            norm = node.operation
            if not isinstance(norm, layers.BatchNormalization) or len(norm._inbound_nodes) > 1:
                continue
            (x,) = node.input_tensors
            before = x._keras_history.operation
            alone = self.readers[id(x)] == [node] and id(x) not in self.ends
            plain = getattr(before, "activation", None) is ACTIVATIONS.linear
            last = norm.axis in (-1, len(x.shape) - 1)
            once = isinstance(before, keras.Layer) and len(before._inbound_nodes) == 1
            takes = quantized_kind(before) and hasattr(before, "use_bias")
            known = {id(before), id(norm)} <= self.rounded
            if alone and plain and last and once and takes and known:
                found[id(norm)] = before
        return found

    def call(self, node, args, kwargs):
        """Return what an operation gives on the new tensors, rounded where a file rounds."""
        operation, name = node.operation, node.operation.name
        if id(operation) not in self.rounded:
            return self.again(operation, name)(*args, **kwargs)
        kind = quantized_kind(operation)
        function = operation.activation if kind else _function(operation)
        function = None if function is ACTIVATIONS.linear else function
        exact = self.exact(node, function)
        if not kind and not function and self.in_floats(node):
            args, kwargs = self.unrounded(name, args, kwargs)
        last = self.is_end(operation)  # an output keeps the name of what made it
        if id(operation) in self.folded or (function and not kind):
            y = args[0]
        else:
            inner = f"{name}{STEP}values" if last and not exact else name
            y = self.again(operation, inner)(*args, **kwargs)
        if exact:
            return y
        count = self.calls[name] = self.calls.get(name, 0) + 1
        name = f"{name}_{count}" if count > 1 else name
        if function and kind and function not in FUSED:
            y = self.range(y, f"{name}{STEP}range")
        if function is None:
            return self.range(y, name if last else f"{name}{STEP}range")
        name = name if last else f"{name}{STEP}activation"
        if last and function in LAST:
            return layers.Activation(function, name=name)(y)
        said = keras.activations.serialize(function)
        if isinstance(said, str):
            return QuantizedActivation(said, name=name)(y)
        return self.range(layers.Activation(function, name=f"{name}{STEP}function")(y), name)

    def in_floats(self, node):
        """Return whether a node's operation reads what is rounded and computes in floats."""
        operation = node.operation
        moves = keeps_range(node) or _changes_nothing(node)
        if moves or isinstance(operation, PREPROCESSING) or id(operation) in self.folded:
            return False
        return getattr(operation, "stays_float", False) or computes_in_floats(node)

    def unrounded(self, name, args, kwargs):
        """Return arguments that operations in floats may read, in the file, too."""
        made = {}

        def read(x):
            if not isinstance(x, keras.KerasTensor) or "float" not in x.dtype:
                return x
            if id(x) not in made:
                count = self.reads[name] = self.reads.get(name, 0) + 1
                made[id(x)] = Unrounded(name=f"{name}{STEP}input{count}")(x)
            return made[id(x)]

        return tree.map_structure(read, (args, kwargs))

    def is_end(self, operation):
        return any(id(x) in self.ends for n in operation._inbound_nodes for x in n.outputs)

    def exact(self, node, function):
        """Return whether what an operation gives is not rounded here."""
        operation, x = node.operation, node.outputs[0]
        floating = getattr(operation, "stays_float", False)
        reads = not quantized_kind(operation) and any(
            id(y) in self.floating for y in node.input_tensors
        )
        if floating or reads:
            self.floating.update(map(id, node.outputs))
        if floating or reads or len(node.outputs) > 1 or "float" not in x.dtype:
            return True
        if keeps_range(node):
            return True
        if function or id(x) in self.ends or len(self.readers[id(x)]) != 1:
            return not function and _changes_nothing(node)
        after = self.readers[id(x)][0].operation
        return id(after) in self.folded or _function(after) in FUSED or _changes_nothing(node)

    def again(self, operation, name):
        """Return the copy of an operation by a name; a layer that is called twice has one."""
        if not isinstance(operation, layers.Layer):
            return copied(operation, name)
        if id(operation) not in self.made:
            self.made[id(operation)] = self.copy(operation, name)
        return self.made[id(operation)]

    def copy(self, layer, name):
        """Return a copy of a layer that rounds its weights, with a normalization in them."""
        kind = quantized_kind(layer) if id(layer) in self.rounded else None
        if kind is None:
            copy = copied(layer, name)
            hand_on(layer, copy)
            if isinstance(layer, layers.BatchNormalization):
                copy.trainable = False  # its statistics stay
            return copy
        config = {**layer.get_config(), "name": name}
        config |= {"activation": "linear", "weight_bits": self.bits}
        norm = next((x for x in self.flat.layers if self.folded.get(id(x)) is layer), None)
        if norm is not None:
            config["use_bias"] = True
        copy = kind.from_config(config)
        if layer.built and (first := layer.get_build_config()):
            copy.build_from_config(first)
        copy.set_weights(_folded(layer, norm))
        return copy

    def range(self, x, name):
        if "float" not in x.dtype:
            return x
        return FakeQuant(name=name)(x)


def _function(operation):
    """Return the activation that an operation without weights is, or `None`."""
    if isinstance(operation, layers.Activation):
        return operation.activation
    if isinstance(operation, layers.ReLU):
        slope, least, most = (
            operation.negative_slope,
            operation.threshold,
            operation.max_value,
        )
        if not slope and not least and most in (None, 6, 6.0):
            return ACTIVATIONS.relu6 if most else ACTIVATIONS.relu
    kind = type(operation).__name__
    if kind == "Softmax":
        return ACTIVATIONS.softmax if operation.axis == -1 else None
    plain = ("Relu", "Relu6", "Sigmoid", "Silu", "Tanh")  # of `keras.ops`
    return getattr(ACTIVATIONS, kind.lower()) if kind in plain else None


def _changes_nothing(node):
    """Return whether a layer without weights gives what it reads, as those of training do."""
    layer = node.operation
    if not isinstance(layer, layers.Layer) or layer.weights or len(node.input_tensors) != 1:
        return False
    (x,) = node.input_tensors
    if tuple(x.shape) != tuple(node.outputs[0].shape):
        return False
    shape = [2, *(n or 8 for n in x.shape[1:])]
    values = np.random.default_rng(0).normal(size=shape).astype("float32")
    try:
        given = layer(ops.convert_to_tensor(values), training=False)
    except TypeError:
        given = layer(ops.convert_to_tensor(values))
    return np.array_equal(ops.convert_to_numpy(given), values)


def _folded(layer, norm):
    """Return a layer's kernel and bias with what follows in them."""
    weights = [np.array(w) for w in layer.get_weights()]
    if norm is None:
        return weights
    gamma, beta, mean, variance = (
        np.asarray(ops.convert_to_numpy(x)) if x is not None else default
        for x, default in (
            (norm.gamma, 1.0),
            (norm.beta, 0.0),
            (norm.moving_mean, 0.0),
            (norm.moving_variance, 1.0),
        )
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    kernel, bias = weights[0], weights[1] if layer.use_bias else 0.0
    by_channel = scale
    if isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D)):
        by_channel = scale.reshape(kernel.shape[-2:])
    elif isinstance(layer, layers.Conv2DTranspose):
        by_channel = scale[:, None]
    return [kernel * by_channel, beta + (bias - mean) * scale]
