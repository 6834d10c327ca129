"""What the operations of an int8 file compute in: 8 bits, or floats."""

import keras
from keras import layers, tree

from blocks.graph import nodes_between

PREPROCESSING = (layers.Rescaling, layers.Normalization)
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
MOVES = KEEPS_RANGE_OPS | {  # what is not computed
    "BroadcastTo",
    "Cast",
    "Concatenate",
    "Moveaxis",
    "Repeat",
    "Stack",
    "StopGradient",
    "Swapaxes",
    "Unstack",
}
POOLS = {"AveragePool", "MaxPool"}  # files have one range on both sides of them
INTEGER = {  # what LiteRT computes in 8 bits at least as fast as in floats
    "Absolute",
    "AdaptiveAveragePool",
    "Add",
    "Max",
    "Maximum",
    "Mean",
    "Min",
    "Minimum",
    "Multiply",
    "Relu",
    "Relu6",
    "Resize",
    "Subtract",
    "Sum",
}
INTEGER_LAYERS = (  # one operation of a file, though several of Keras
    layers.Average,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.LeakyReLU,
    layers.UpSampling1D,
    layers.UpSampling2D,
)


def keeps_range(node):
    """Return whether what a node gives has the range of what it reads."""
    operation = node.operation
    if not isinstance(operation, keras.Layer):
        return type(operation).__name__ in KEEPS_RANGE_OPS
    if isinstance(operation, KEEPS_RANGE):
        return True
    steps = set(_steps(node))
    return bool(steps & POOLS) and steps <= KEEPS_RANGE_OPS | POOLS


def computes_in_floats(node):
    """Return whether what a node computes stays in floats, as a layer of several steps does.

    LiteRT's quick kernels leave out what layer normalization and attention are made of in 8 bits.
    On one core, over 197 positions of 192 channels, three attentions took 3.4 ms in floats, 32 ms
    in 8 bits and 1.9 ms with their products in floats and their dense layers in 8 bits; a layer
    normalization of 65 positions took 0.11 ms in 8 bits, 0.008 ms in floats between them.
    """
    operation = node.operation
    if isinstance(operation, INTEGER_LAYERS):
        return False
    steps = _steps(node) if isinstance(operation, keras.Layer) else [type(operation).__name__]
    rounded = [name for name in steps if name not in MOVES]
    return len(set(rounded)) > 1 or not INTEGER.issuperset(rounded)


def _steps(node):
    """Return the names of the operations that a leaf's `call` makes of what it reads."""
    try:
        return _traced(node)
    except Exception:  # whatever a `call` raises that needs real tensors, as loops do
        return ["Unknown"]


def _traced(node):
    fresh = {id(x): keras.KerasTensor((1, *x.shape[1:]), x.dtype) for x in node.input_tensors}
    args, kwargs = node.arguments.fill_in(fresh)
    made = tree.flatten(node.operation.call(*args, **kwargs))
    known = {id(x) for x in fresh.values()}
    return [type(x.operation).__name__ for x in nodes_between(made, known)]
