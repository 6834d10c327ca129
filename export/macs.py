"""Multiply-adds of one sample, layer by layer.

Counted are convolutions of all kinds, dense, einsum, matrix and attention products. Biases,
normalization, activations, pooling and element-wise arithmetic are not.
"""

import math
from dataclasses import dataclass

import keras

from blocks import flatten
from export import signature

# Layers of Keras with products but no matrix among their weights: their `call` is read too.
PRODUCTS = (
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
    keras.layers.Dot,
    keras.layers.MelSpectrogram,
)
# Operations that run a function which cannot be looked into.
CLOSED = {"AssociativeScan", "Cond", "ForiLoop", "Map", "Scan", "VectorizedMap", "WhileLoop"}


@dataclass(frozen=True)
class Row:
    """A layer's facts; `macs` is `None` where they cannot be told."""

    name: str
    kind: str
    output_shape: tuple
    params: int
    macs: int | None


def rows_of(model, input_shape=None):
    """Return a `Row` for each leaf of the flattened model and each operation that multiplies."""
    inputs = [
        keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name.replace("/", "_"))
        for x in signature.inputs_of(model, input_shape)
    ]
    prefix = f"{model.name}."
    flat = flatten(keras.Model(inputs, signature.call(model, inputs)))
    rows = []
    for operation, nodes in _calls(flat).items():
        is_layer = isinstance(operation, keras.Layer)
        macs = _sum(leaf_macs(node) if is_layer else operation_macs(node) for node in nodes)
        if is_layer or macs != 0:
            rows.append(
                Row(
                    operation.name.removeprefix(prefix),
                    type(operation).__name__,
                    tuple(nodes[0].outputs[0].shape[1:]),
                    operation.count_params() if is_layer else 0,
                    macs,
                )
            )
    return rows


def _calls(flat):
    """Return the nodes of each operation of a functional model, in the order they run."""
    calls = {}
    for _, nodes in sorted(flat._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            if not node.is_input:
                calls.setdefault(node.operation, []).append(node)
    return calls


def by_block(rows):
    """Return rows summed by block: the first part of each dotted name."""
    blocks = {}
    for row in rows:
        blocks.setdefault(row.name.split(".")[0], []).append(row)
    return [
        Row(
            name,
            part[0].kind if len(part) == 1 else "block",
            part[-1].output_shape,
            sum(row.params for row in part),
            _sum(row.macs for row in part),
        )
        for name, part in blocks.items()
    ]


def leaf_macs(node):
    """Return the multiply-adds of one call of a layer."""
    return layer_macs(node.operation, node.arguments.args, node.arguments.kwargs)


def layer_macs(layer, args, kwargs):
    """Return the multiply-adds of `layer` called on these symbolic arguments."""
    if isinstance(layer, keras.layers.Bidirectional):
        sides = (layer.forward_layer, layer.backward_layer)
        return _sum(layer_macs(side, args, kwargs) for side in sides)
    if isinstance(layer, keras.layers.RNN):
        return _recurrent(layer, args[0].shape)
    if isinstance(layer, keras.layers.TimeDistributed):
        x = args[0]
        step = keras.KerasTensor((x.shape[0], *x.shape[2:]), x.dtype)
        macs = layer_macs(layer.layer, (step,), {})
        return None if macs is None else x.shape[1] * macs
    matrices = any(len(weight.shape) > 1 for weight in layer.weights)
    foreign = not type(layer).__module__.startswith("keras.")
    if not (matrices or foreign or isinstance(layer, PRODUCTS)):
        return 0
    try:
        outputs = keras.tree.flatten(layer.call(*args, **kwargs))
    except Exception:  # whatever a foreign `call` raises: it needs real tensors
        return None
    given = {id(x) for x in keras.tree.flatten((args, kwargs))}
    return _sum(operation_macs(node) for node in _nodes_between(outputs, given))


def operation_macs(node):
    """Return the multiply-adds of one call of a plain operation (or of a layer met inside one)."""
    if isinstance(node.operation, keras.Layer):
        return leaf_macs(node)
    kind = type(node.operation).__name__
    if not type(node.operation).__module__.startswith("keras.") or kind not in COUNTS:
        return None if kind in CLOSED else 0
    values = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    shapes = [tuple(x.shape) for x in values if hasattr(x, "shape")]
    return COUNTS[kind](node.operation, shapes, tuple(node.outputs[0].shape))


def _conv(_, shapes, output):
    positions = math.prod(output[1:]) // _channels_out(shapes)
    return positions * sum(math.prod(kernel) for kernel in shapes[1:3] if len(kernel) > 2)


def _channels_out(shapes):
    return shapes[-1][-1]


def _depthwise(_, shapes, output):
    kernel = shapes[1]
    return math.prod(output[1:]) * math.prod(kernel[:-2])


def _transposed(_, shapes, output):
    kernel = shapes[1]
    return math.prod(shapes[0][1:]) // kernel[-1] * math.prod(kernel)


def _matmul(_, shapes, output):
    return math.prod(output) * shapes[0][-1]


def _tensordot(_, shapes, output):
    return math.isqrt(math.prod(shapes[0]) * math.prod(shapes[1]) * math.prod(output))


def _attention(_, shapes, output):
    query, key, value = shapes[:3]
    products = math.prod(query[:-1]) * key[1]
    return products * (query[-1] + value[-1])


def _einsum(operation, shapes, output):
    terms, _, result = operation.subscripts.replace(" ", "").partition("->")
    sizes = {}
    for term, shape in zip(terms.split(","), shapes):
        named = term.replace("...", "")
        spread = len(shape) - len(named)
        start = term.find("...") if "..." in term else len(term)
        for index in range(spread):  # axes of an ellipsis count from the right
            sizes[spread - index] = max(sizes.get(spread - index, 1), shape[start + index])
        sizes.update(zip(named, shape[:start] + shape[start + spread :]))
    summed = any(isinstance(label, str) and label not in result for label in sizes)
    return math.prod(sizes.values()) * (len(shapes) - 1) if summed else 0


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


def _recurrent(layer, shape):
    """Each step uses each weight of a cell once; a convolutional one, once a position."""
    weights = sum(math.prod(w.shape) for w in layer.cell.weights if len(w.shape) > 1)
    if "ConvLSTM" in type(layer).__name__:
        state = layer.cell.compute_output_shape((shape[0], *shape[2:]))
        weights *= math.prod(keras.tree.flatten(state)[1:]) // layer.cell.filters
    return shape[1] * weights


def _nodes_between(outputs, given):
    seen, stack = {}, [x for x in outputs if isinstance(x, keras.KerasTensor)]
    while stack:
        x = stack.pop()
        if id(x) in given or not hasattr(x, "_keras_history"):
            continue
        operation, index, _ = x._keras_history
        node = operation._inbound_nodes[index]
        if id(node) not in seen:
            seen[id(node)] = node
            stack += node.input_tensors
    return seen.values()


def _sum(counts):
    counts = list(counts)
    return None if None in counts else sum(counts)
