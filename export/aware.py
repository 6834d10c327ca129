"""Quantization-aware training: a model that learns under the rounding of its int8 file."""

import keras
import numpy as np
from keras import layers, ops, tree

from blocks import flatten
from blocks.graph import nodes_between
from export import samples as data
from export import signature
from export.aware_layers import FakeQuant, QuantizedActivation, quantized_kind
from export.float32 import rebuilt

BATCH = 32
ACTIVATIONS = keras.activations
FUSED = (ACTIVATIONS.relu, ACTIVATIONS.relu6)  # a part of the operation before them in a file
LAST = (ACTIVATIONS.softmax, ACTIVATIONS.sigmoid)  # computed in floats where they are the answer
KEEPS_RANGE = (
    layers.Reshape,
    layers.Flatten,
    layers.Permute,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.GlobalMaxPooling2D,
    layers.ZeroPadding2D,
    layers.Cropping2D,
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout2D,
)
KEEPS_RANGE_OPS = {"Reshape", "Transpose", "Squeeze", "ExpandDims", "GetItem", "Split", "Pad"}


def quantize_aware(model, calibration, *, weight_bits=8, input_shape=None):
    """Return a copy of a model that computes as its int8 file will, to be trained on with `fit`.

    Batch normalization is folded into the convolution or dense layer before it, weights are
    rounded to a range a channel, and what flows to a range each, as a file of 8 bits has them.
    The ranges begin at those of `calibration` and follow the training. Train it for a few epochs
    with a hundredth to a tenth of the learning rate; `to_tflite(…, "int8")` then makes a file that
    needs no calibration and answers as the trained copy does.

    Layers of other kinds, such as recurrent ones and layer normalization, stay in floats, in the
    file, too.

    Args:
        model: A trained functional or `Sequential` `keras.Model`, whatever it is made of. Of
            several, such as what trains and what answers, a list of models on shared layers.
        calibration: Typical samples, as for `to_tflite`.
        weight_bits: Bits of the weights, 8 or 4.
        input_shape: Sizes of open axes, as in `to_tflite`.

    Returns:
        A `keras.Model` with the inputs, outputs and name of `model`, not compiled; of a list, one
        each, which share their layers.

    Raises:
        ValueError: If an argument is wrong.

    Reference: [Jacob et al., 2018](https://arxiv.org/abs/1712.05877)

    >>> image = keras.Input((8, 8, 1))
    >>> x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(image)
    >>> x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    >>> model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    >>> aware = quantize_aware(model, keras.random.uniform((16, 8, 8, 1), seed=0))
    >>> type(aware.get_layer("conv")).__name__
    'QuantizedConv2D'
    """
    if weight_bits not in (8, 4):
        raise ValueError(f"`weight_bits` must be 8 or 4. Received: weight_bits={weight_bits!r}.")
    several = isinstance(model, (list, tuple))
    models = list(model) if several else [model]
    tensors = signature.inputs_of(models[0], input_shape)
    known = data.take(calibration, tensors)
    whole = _together(models)
    flat = flatten(rebuilt(whole), fuse=True)
    rewriter = _Rewriter(flat, weight_bits)
    outputs = tree.flatten(rewriter.outputs())
    made, first = [], 0
    for each in models:
        graph = signature.graph_of(each)
        some = outputs[first : first + len(graph.outputs)]
        first += len(some)
        inputs = rewriter.inputs_struct
        made.append(
            keras.Model(inputs, tree.pack_sequence_as(graph._outputs_struct, some), name=each.name)
        )
    _observe(keras.Model(rewriter.inputs_struct, outputs), known)
    return made if several else made[0]


def _together(models):
    """Return a model of all outputs of several models that have the same inputs."""
    if len(models) == 1:
        return models[0]
    graphs = [signature.graph_of(each) for each in models]
    if any([id(x) for x in graph.inputs] != [id(x) for x in graphs[0].inputs] for graph in graphs):
        raise ValueError(
            "Several models are made aware together that share their inputs and layers, as a "
            f"model and what heads.deploy makes of it. Received: {[x.name for x in models]}."
        )
    outputs = [x for graph in graphs for x in graph.outputs]
    return keras.Model(graphs[0]._inputs_struct, outputs, name=models[0].name)


def _observe(model, samples):
    """Set the ranges of a model to what passes for these samples."""
    ranges = [x for x in model._flatten_layers() if isinstance(x, FakeQuant)]
    graph = signature.graph_of(model)
    count = len(next(iter(samples.values())))
    for each in ranges:
        each.observing = True
    try:
        for start in range(0, count, BATCH):
            batch = [ops.convert_to_tensor(x[start : start + BATCH]) for x in samples.values()]
            model(tree.pack_sequence_as(graph._inputs_struct, batch), training=False)
    finally:
        for each in ranges:
            each.observing = False


class _Rewriter:
    """Repeats a flat graph with rounding wherever an int8 file rounds."""

    def __init__(self, flat, weight_bits):
        self.flat, self.bits = flat, weight_bits
        self.nodes = nodes_between(flat.outputs, {id(x) for x in flat.inputs})
        self.readers = {}
        for node in self.nodes:
            for x in node.input_tensors:
                self.readers.setdefault(id(x), []).append(node)
        self.ends = {id(x) for x in flat.outputs}
        self.floating = set()
        self.calls = {}
        self.folded = self.foldable()
        self.made = {}  # by id of a layer: its copy, for layers that are called twice
        fresh = [
            keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x._keras_history.operation.name)
            for x in flat.inputs
        ]
        self.inputs_struct = tree.pack_sequence_as(flat._inputs_struct, fresh)
        self.copies = {
            id(old): self.range(new, f"{new.name}.range") for old, new in zip(flat.inputs, fresh)
        }

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
            if alone and plain and last and once and hasattr(before, "use_bias"):
                found[id(norm)] = before
        return found

    def call(self, node, args, kwargs):
        """Return what an operation gives on the new tensors, rounded where a file rounds."""
        operation, name = node.operation, node.operation.name
        kind = quantized_kind(operation)
        function = operation.activation if kind else _function(operation)
        function = None if function is ACTIVATIONS.linear else function
        if id(operation) in self.folded or (function and not kind):
            y = args[0]
        elif isinstance(operation, layers.Layer):
            y = self.copy_of(operation)(*args, **kwargs)
        else:
            last = self.is_end(operation)
            y = _again(operation, f"{name}.values" if last else name)(*args, **kwargs)
        if self.exact(node, function):
            return y
        last = self.is_end(operation)  # an output keeps the name of what made it
        count = self.calls[name] = self.calls.get(name, 0) + 1
        name = f"{name}_{count}" if count > 1 else name
        if function is None:
            return self.range(y, name if last else f"{name}.range")
        if kind and function not in FUSED:
            y = self.range(y, f"{name}.range")
        name = name if last else f"{name}.activation"
        if last and function in LAST:
            return layers.Activation(function, name=name)(y)
        return QuantizedActivation(keras.activations.serialize(function), name=name)(y)

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
        if type(operation).__name__ in KEEPS_RANGE_OPS or isinstance(operation, KEEPS_RANGE):
            return True
        if function or id(x) in self.ends or len(self.readers[id(x)]) != 1:
            return not function and _changes_nothing(node)
        after = self.readers[id(x)][0].operation
        return id(after) in self.folded or _function(after) in FUSED or _changes_nothing(node)

    def copy_of(self, layer):
        if id(layer) not in self.made:
            self.made[id(layer)] = self.copy(layer)
        return self.made[id(layer)]

    def copy(self, layer):
        """Return a copy of a layer that rounds its weights, with a normalization in them."""
        kind, norm = quantized_kind(layer), None
        config = layer.get_config()
        if self.is_end(layer):
            config["name"] = f"{layer.name}.values"
        if kind:
            norm = next((x for x in self.flat.layers if self.folded.get(id(x)) is layer), None)
            config = {**config, "activation": "linear", "weight_bits": self.bits}
            if norm is not None:
                config["use_bias"] = True
        copy = (kind or type(layer)).from_config(config)
        if layer.built and (first := layer.get_build_config()):
            copy.build_from_config(first)
        if kind:
            copy.set_weights(_folded(layer, norm))
        elif layer.weights:
            copy.set_weights(layer.get_weights())
            if isinstance(layer, layers.BatchNormalization):
                copy.trainable = False  # its statistics stay
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
    if isinstance(operation, layers.Softmax):
        return ACTIVATIONS.softmax if operation.axis == -1 else None
    return None


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


def _again(operation, name):
    copy = object.__new__(type(operation))
    vars(copy).update(vars(operation), name=name, _inbound_nodes=[], _outbound_nodes=[])
    return copy


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
    if isinstance(layer, layers.DepthwiseConv2D):
        by_channel = scale.reshape(kernel.shape[2:])
    elif isinstance(layer, layers.Conv2DTranspose):
        by_channel = scale[:, None]
    return [kernel * by_channel, beta + (bias - mean) * scale]
