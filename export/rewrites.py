"""What the converter cannot take, replaced by what gives the same."""

import keras
from keras import layers, ops, tree

from blocks.graph import nodes_between, trace
from export.findings import Finding, floats, loops_in, place

BEST = ("Argmax", "Argmin")
ADDS = ("Add", "Average")  # Keras's operation and layers
MOST_STEPS = 256  # a longer sequence makes more operations than a converter takes in minutes


@keras.saving.register_keras_serializable("keras_blocks")
class Best(layers.Layer):
    """The place of the largest or least value along an axis, by top-k, which LiteRT has."""

    def __init__(self, axis, keepdims=False, least=False, **kwargs):
        super().__init__(**kwargs)
        self.axis, self.keepdims, self.least = axis, keepdims, least

    def call(self, x):
        values = ops.negative(x) if self.least else x
        best = ops.top_k(ops.moveaxis(values, self.axis, -1), 1)[1]
        best = ops.moveaxis(best, -1, self.axis)
        return best if self.keepdims else ops.squeeze(best, self.axis)

    def compute_output_spec(self, x):  # Keras takes what is multiplied by a number for sparse
        shape, axis = list(x.shape), self.axis % len(x.shape)
        shape[axis : axis + 1] = [1] * self.keepdims
        return keras.KerasTensor(shape, "int32")


@keras.saving.register_keras_serializable("keras_blocks")
class PlainSum(layers.Layer):
    """The sum of tensors, or their mean.

    Keras's TensorFlow backend takes a second tensor of one axis longer than 1 for a bias if the
    last axis of the first, or its second, is as long, and adds it along that one. With a batch of
    1, as a file's, tensors of shape `(1, 8, 1)` are such; `(1, 8, 8)` then gets it the other way.
    """

    def __init__(self, mean=False, **kwargs):
        super().__init__(**kwargs)
        self.mean = mean
        self.supports_masking = True  # the graph hands masks on

    def call(self, *given):
        given = tree.flatten(given)
        dtype = _type_of(given)
        first, *others = (ops.cast(x, dtype) for x in given)
        for x in others:
            first = ops.subtract(first, ops.negative(x))
        return first / len(given) if self.mean else first

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_spec(self, *given):  # as `Best`: sparse tensors have no sum on JAX
        given = tree.flatten(given)
        return keras.KerasTensor(_whole([x.shape for x in given]), _type_of(given))


def rewritten(flat, fill, precision, shapes, rounds=True):
    """Return a flat model with operations replaced, and `Finding`s that say which.

    Args:
        flat: A copy of a model as `blocks.flatten` makes it; its layers are used.
        fill: Gives the copy its weights; called where something is replaced.
        precision: A key of `parity.TOLERANCES`.
        shapes: Shapes of the inputs with a batch of one, in order, or `None`.
        rounds: Whether an int8 file takes its ranges from samples.
    """
    unroll = precision == "int8" and rounds
    nodes = nodes_between(flat.outputs, {id(x) for x in flat.inputs})
    sums = {id(x.operation) for x in nodes if _is_misread(x)}
    if not sums and not any(_is_best(x) or (unroll and loops_in(x.operation)) for x in nodes):
        return flat, []
    fill()
    shapes = shapes or [x.shape for x in flat.inputs]
    inputs = [
        keras.Input(shape[1:], dtype=x.dtype, name=x._keras_history.operation.name)
        for x, shape in zip(flat.inputs, shapes)
    ]
    copies = {id(old): new for old, new in zip(flat.inputs, inputs)}
    made, found = {}, []  # layers by id of those they stand for
    for node in nodes:
        operation = node.operation
        args, kwargs = node.arguments.fill_in(copies)
        if id(operation) not in made:
            made[id(operation)] = operation
            if _is_best(node):
                made[id(operation)] = _best(operation)
                what = f"{type(operation).__name__.lower()} of floats by top_k: it has no kernel"
                found.append(Finding(place(node), "rewritten", what))
            elif id(operation) in sums:
                mean = isinstance(operation, layers.Average)
                made[id(operation)] = PlainSum(mean, name=operation.name, dtype="float32")
                what = "a sum whose second term Keras takes for a bias in a batch of 1"
                found.append(Finding(place(node), "rewritten", what))
            elif unroll and _opens(operation, args, kwargs):
                made[id(operation)] = _unrolled(operation)
                what = f"unrolled, {args[0].shape[1]} steps: int8 holds no loop"
                found.append(Finding(place(node), "rewritten", what))
        results = made[id(operation)](*args, **kwargs)
        copies.update((id(old), new) for old, new in zip(node.outputs, tree.flatten(results)))
    outputs = tree.map_structure(lambda x: copies[id(x)], flat._outputs_struct)
    inputs = tree.pack_sequence_as(flat._inputs_struct, inputs)
    return keras.Model(inputs, outputs, name=flat.name), found


def _is_best(node):
    return type(node.operation).__name__ in BEST and node.operation.axis and floats(node)


def _is_misread(node):
    """Return whether a node is another sum in a batch of 1: see `PlainSum`."""
    kind = type(node.operation)
    if kind.__name__ not in ADDS or not kind.__module__.startswith("keras."):
        return False
    given = tree.flatten((node.arguments.args, node.arguments.kwargs))
    given = [x for x in given if hasattr(x, "shape")]
    if {len(x.shape) for x in given} - {len(given[0].shape)} or len(given[0].shape) < 2:
        return False
    type_ = _type_of(given)
    if type_.startswith(("bool", "uint")) or ("float" not in type_ and kind is layers.Average):
        return False
    for i, x in enumerate(given[1:], 1):
        whole = _whole([y.shape for y in given[:i]])
        shape = [x.shape[0] or 1, *x.shape[1:]]
        longer = [size for size in shape if size != 1]
        if len(longer) == 1 and not whole[-1] == shape[-1] == longer[0]:
            sides = whole[1], whole[-1]
            taken = longer[0] in sides or None in (*longer, *sides)  # which may be any size
            second = longer[0] != whole[-1] and longer[0] == shape[1]  # the same, not for files
            if taken and (x.shape[0] is None or second):  # else so in every batch
                return True
    return False


def misreads(model):
    """Return whether a model is another in a batch of 1, as far as can be seen: see `PlainSum`."""
    try:
        flat, _, _ = trace(model)
    except Exception:  # whatever a foreign layer raises
        return False
    return any(map(_is_misread, nodes_between(flat.outputs, {id(x) for x in flat.inputs})))


def _whole(shapes):
    """Return the shape of a sum."""
    return [next((x for x in sizes if x != 1), 1) for sizes in zip(*shapes)]


def _type_of(given):
    return keras.backend.result_type(*(keras.backend.standardize_dtype(x.dtype) for x in given))


def _best(operation):
    least = type(operation).__name__ == "Argmin"
    return Best(operation.axis, operation.keepdims, least, name=operation.name, dtype="float32")


def _opens(layer, args, kwargs):
    """Return whether a layer has a loop that gives the same unrolled."""
    if not loops_in(layer) or not 0 < (args[0].shape[1] or 0) <= MOST_STEPS:
        return False
    zeros = getattr(layer, "zero_output_for_mask", False)  # which Keras forgets without the loop
    return not (zeros and kwargs.get("mask") is not None)


def _unrolled(layer):
    """Return a recurrent layer without its loop, with the same weights."""
    config = layer.get_config()
    inner = [config[key] for key in ("layer", "backward_layer") if config.get(key)]
    for part in [x["config"] for x in inner] or [config]:
        part["unroll"] = True
    copy = type(layer).from_config(config)
    copy.build_from_config(layer.get_build_config())
    copy.set_weights(layer.get_weights())
    return copy
