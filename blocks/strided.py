"""Strided convolutions of small kernels, which TensorFlow does not always read right."""

import numpy as np
from keras import layers, ops

from blocks.base import register

# oneDNN's gradient of one of fewer channels writes where it must not, and brings TensorFlow or
# torch down on processors with AVX-512 (uxlfoundation/oneDNN, issue 6035).
CHANNELS = 16


@register
class PointwiseConv2D(layers.Conv2D):
    """A 1x1 convolution that reads the positions it keeps, and no others, where they are few.

    The numbers are those of `Conv2D`. Files hold the convolution itself: `in_file` is on while
    they are made.
    """

    in_file = False

    def convolution_op(self, inputs, kernel):
        if self.in_file or inputs.shape[-1] >= CHANNELS:
            return super().convolution_op(inputs, kernel)
        high, wide = self.strides
        return ops.conv(inputs[:, ::high, ::wide], kernel, 1, "valid", self.data_format)


def padding_of_volumes(kernel_size, strides, padding):
    """Return the padding by which a volume is read at the right places.

    Without oneDNN, TensorFlow 2.21 shifts what "same" reads where steps leave out two positions or
    more. Kernels of 1 read the same by "valid"; others are refused.
    """
    sides, steps = (np.broadcast_to(x, 3) for x in (kernel_size, strides))
    if padding != "same" or not (steps >= sides + 2).any():
        return padding
    if (sides == 1).all():
        return "valid"
    raise ValueError(
        'Over volumes, a stride is at most one more than its kernel (`padding="same"`). '
        f"Received: kernel_size={kernel_size}, strides={strides}. Pool before, or use "
        'padding="valid".'
    )
