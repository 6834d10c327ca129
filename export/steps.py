"""What a layer or operation computes in, in an int8 file that learned to round."""

import keras
from keras import layers, tree

from blocks.graph import nodes_between

MOVES = {  # what leaves a range as it is
    "BroadcastTo",
    "Cast",
    "Concatenate",
    "ExpandDims",
    "Flatten",
    "GetItem",
    "Identity",
    "Moveaxis",
    "Pad",
    "Repeat",
    "Reshape",
    "Split",
    "Squeeze",
    "Stack",
    "StopGradient",
    "SwapAxes",
    "Swapaxes",
    "Transpose",
    "Unstack",
}
INTEGER = {  # what LiteRT computes in 8 bits at least as fast as in floats
    "Absolute",
    "AdaptiveAveragePool",
    "Add",
    "AveragePool",
    "Max",
    "MaxPool",
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
    layers.PReLU,
    layers.UpSampling1D,
    layers.UpSampling2D,
)


def computes_in_floats(node):
    """Return whether what a node computes stays in floats: it takes more than one rounding.

    Layer normalization and the products of attention would be slower in 8 bits, up to ten times,
    as LiteRT's quick kernels leave out their operations.
    """
    operation = node.operation
    if isinstance(operation, INTEGER_LAYERS):
        return False
    steps = [type(operation).__name__]
    if isinstance(operation, keras.Layer):
        try:
            steps = _steps(node)
        except Exception:  # whatever a `call` raises that needs real tensors, as loops do
            return True
    rounded = [name for name in steps if name not in MOVES]
    return len(rounded) > 1 or not INTEGER.issuperset(rounded)


def _steps(node):
    """Return the names of the operations that a leaf's `call` makes of what it reads."""
    fresh = {id(x): keras.KerasTensor(x.shape, x.dtype) for x in node.input_tensors}
    args, kwargs = node.arguments.fill_in(fresh)
    made = tree.flatten(node.operation.call(*args, **kwargs))
    known = {id(x) for x in fresh.values()}
    return [type(x.operation).__name__ for x in nodes_between(made, known)]
