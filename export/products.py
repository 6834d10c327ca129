"""Multiply-adds of one call of a layer or operation, from its shapes, for a batch of one.

Counted are convolutions of all kinds, dense, einsum, matrix and attention products. Biases,
normalization, activations, pooling and element-wise arithmetic are not.
"""

import math

import keras
from keras import layers, tree

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
# Layers of Keras with products but no matrix among their weights: their `call` is read too.
PRODUCTS = (layers.Attention, layers.Dot, layers.MelSpectrogram)
# Operations that run a function which cannot be looked into.
CLOSED = {"AssociativeScan", "Cond", "ForiLoop", "Map", "Scan", "VectorizedMap", "WhileLoop"}


def calls(graph, tensors):
    """Yield each operation of a functional graph with its arguments and outputs, in order.

    The sizes are those that `tensors`, one symbolic tensor for each input, lead to.
    """
    known = {id(old): new for old, new in zip(graph.inputs, tensors)}
    for _, nodes in sorted(graph._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            if not node.is_input:
                args, kwargs = node.arguments.fill_in(known)
                outputs = tree.flatten(_outputs(node.operation, args, kwargs))
                known.update((id(old), new) for old, new in zip(node.outputs, outputs))
                yield node.operation, args, kwargs, outputs


def count(operation, args, kwargs, outputs):
    """Return the multiply-adds of one call, or `None` if they cannot be told."""
    if isinstance(operation, keras.Layer):
        return layer_count(operation, args, kwargs)
    kind = type(operation).__name__
    if not type(operation).__module__.startswith("keras.") or kind not in COUNTS:
        return None if kind in CLOSED else 0
    shapes = [tuple(x.shape) for x in tree.flatten((args, kwargs)) if hasattr(x, "shape")]
    return COUNTS[kind](operation, shapes, tuple(outputs[0].shape))


def layer_count(layer, args, kwargs):
    """Return the multiply-adds of `layer` on symbolic arguments, or `None`."""
    x = tree.flatten((args, kwargs))[0]
    if isinstance(layer, CONVOLUTIONS):  # `ops.conv` refuses groups on symbolic tensors
        positions = math.prod(layer.compute_output_shape(x.shape)[1:]) // layer.filters
        return positions * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Bidirectional):
        return _recurrent(layer.forward_layer, x) + _recurrent(layer.backward_layer, x)
    if isinstance(layer, layers.RNN):
        return _recurrent(layer, x)
    if isinstance(layer, layers.AdditiveAttention):
        query, value = args[0][:2]
        width = (query.shape[-1] if layer.use_scale else 0) + value.shape[-1]
        return query.shape[1] * value.shape[1] * width
    if isinstance(layer, layers.TimeDistributed):
        step = keras.KerasTensor((x.shape[0], *x.shape[2:]), x.dtype)
        one = layer_count(layer.layer, (step,), {})
        return None if one is None else x.shape[1] * one
    matrices = any(len(weight.shape) > 1 for weight in layer.weights)
    foreign = not type(layer).__module__.startswith("keras.")
    return _opened(layer, args, kwargs) if matrices or foreign or isinstance(layer, PRODUCTS) else 0


def total(counts):
    """Return the sum, or `None` if one of them is."""
    counts = list(counts)
    return None if None in counts else sum(counts)


def _opened(layer, args, kwargs):
    """Count what the layer's `call` does with symbolic tensors."""
    try:
        given = [x for x in tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
        inputs = [keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in given]
        fresh = {id(old): new for old, new in zip(given, inputs)}
        args, kwargs = tree.map_structure(lambda x: fresh.get(id(x), x), (args, kwargs))
        outputs = tree.flatten(layer.call(*args, **kwargs))
        graph = keras.Model(inputs, [x for x in outputs if isinstance(x, keras.KerasTensor)])
    except Exception:  # whatever a foreign `call` raises: it needs real tensors
        return None
    return total(count(*call) for call in calls(graph, inputs))


def _outputs(operation, args, kwargs):
    if isinstance(operation, layers.EinsumDense):  # Keras leaves sizes open that its input fixes
        x = args[0]
        terms, _, result = operation.equation.replace(" ", "").partition("->")
        sizes = _sizes(terms, [tuple(x.shape), tuple(operation.kernel.shape)])
        spread = [sizes[i] for i in sorted((i for i in sizes if isinstance(i, int)), reverse=True)]
        start, _, end = result.partition("...")
        named = [[sizes[label] for label in part] for part in (start, end)]
        return keras.KerasTensor((*named[0], *spread, *named[1]), operation.compute_dtype)
    return operation.compute_output_spec(*args, **kwargs)


def _conv(_, shapes, output):
    kernels = shapes[1:]  # a separable convolution has two
    return math.prod(output) // kernels[-1][-1] * sum(math.prod(x) for x in kernels)


def _depthwise(_, shapes, output):
    return math.prod(output) * math.prod(shapes[1][:-2])


def _transposed(_, shapes, output):
    kernel = shapes[1]
    return math.prod(shapes[0]) // kernel[-1] * math.prod(kernel)


def _matmul(_, shapes, output):
    return math.prod(output) * shapes[0][-1]


def _tensordot(_, shapes, output):
    return math.isqrt(math.prod(shapes[0]) * math.prod(shapes[1]) * math.prod(output))


def _attention(_, shapes, output):
    query, key, value = shapes[:3]
    return math.prod(query[:-1]) * key[1] * (query[-1] + value[-1])


def _einsum(operation, shapes, output):
    terms, _, result = operation.subscripts.replace(" ", "").partition("->")
    sizes = _sizes(terms, shapes)
    summed = any(isinstance(label, str) and label not in result for label in sizes)
    return math.prod(sizes.values()) * (len(shapes) - 1) if summed else 0


def _sizes(terms, shapes):
    """Return the size of each label, and of each axis of an ellipsis, counted from the right."""
    sizes = {}
    for term, shape in zip(terms.split(","), shapes):
        start, _, end = term.partition("...")
        spread = shape[len(start) : len(shape) - len(end)]
        for index, size in enumerate(reversed(spread)):
            sizes[index] = max(sizes.get(index, 1), size)
        sizes.update(zip(start + end, shape[: len(start)] + shape[len(shape) - len(end) :]))
    return sizes


COUNTS = {
    "Conv": _conv,
    "SeparableConv": _conv,
    "DepthwiseConv": _depthwise,
    "ConvTranspose": _transposed,
    "Matmul": _matmul,
    "Dot": _tensordot,
    "Inner": _tensordot,
    "Tensordot": _tensordot,
    "Einsum": _einsum,
    "DotProductAttention": _attention,
}


def _recurrent(layer, x):
    """Each step uses each matrix of the cell once; a convolutional cell, once a position."""
    matrices = [w for w in layer.cell.weights if len(w.shape) > 1 and "bias" not in w.name]
    step = sum(math.prod(w.shape) for w in matrices)
    if hasattr(layer.cell, "kernel_size"):
        output, _ = layer.cell.compute_output_shape((x.shape[0], *x.shape[2:]))
        step *= math.prod(output[1:]) // layer.cell.filters
    return x.shape[1] * step
