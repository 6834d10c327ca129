"""Strided 1x1 convolutions, as their gradient needs them."""

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
