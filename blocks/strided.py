"""Strided 1x1 convolutions of few channels, as their gradient needs them."""

import keras
from keras import ops

# The gradient of one of fewer channels writes where it must not, and brings TensorFlow or torch
# down on processors with AVX-512 (uxlfoundation/oneDNN, issue 6035).
CHANNELS = 16


def has_broken_gradient(conv, channels):
    """Return whether a convolution layer is one of those."""
    return max(conv.strides) > 1 and max(conv.kernel_size) == 1 and channels < CHANNELS


def of_kept(conv, x):
    """Convolve the positions that a strided 1x1 convolution reads: the same numbers.

    In a graph of layers it is the layer itself.
    """
    if isinstance(x, keras.KerasTensor):
        return conv(x)
    steps = [slice(None, None, step) for step in conv.strides]
    y = ops.conv(x[(slice(None), *steps)], conv.kernel, 1, "valid", conv.data_format)
    return y if conv.bias is None else y + conv.bias
