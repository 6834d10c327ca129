"""Depthwise convolution of volumes, which Keras has none of."""

from keras import layers, ops

from blocks.base import PlainArguments, register


@register
class DepthwiseConv3D(PlainArguments, layers.Layer):
    """Convolve every channel of a volume by itself, with zeros around it (`"same"`).

    It is a sum of two-dimensional convolutions, one for each depth of the kernel: a grouped
    `Conv3D` has the same numbers, but LiteRT no operation for it.

    Shape: `(batch, depth, height, width, channels)` to
    `(batch, *sides / strides, channels * depth_multiplier)`, rounded up.

    >>> DepthwiseConv3D(3, 2)(np.ones((1, 8, 7, 6, 2))).shape
    (1, 4, 4, 3, 2)
    """

    def __init__(
        self,
        kernel_size,
        strides=1,
        padding="same",
        *,
        dilation_rate=1,
        depth_multiplier=1,
        use_bias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if padding != "same":
            raise ValueError(f'`padding` must be "same". Received: padding={padding!r}.')
        self.kernel_size, self.strides = _three(kernel_size), _three(strides)
        self.dilation_rate = _three(dilation_rate)
        self.depth_multiplier, self.use_bias = depth_multiplier, use_bias

    def build(self, input_shape):
        channels, multiplier = input_shape[-1], self.depth_multiplier
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels, multiplier),
            initializer="glorot_uniform",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(channels * multiplier,), initializer="zeros"
            )

    def call(self, x):
        _, depth, height, width, channels = ops.shape(x)
        step, dilation = self.strides[0], self.dilation_rate[0]
        reach = (self.kernel_size[0] - 1) * dilation
        outputs = (depth + step - 1) // step
        needed = (outputs - 1) * step + 1  # positions that one depth of the kernel reads
        more = needed + reach - depth  # an open depth is a tensor here
        more = max(more, 0) if isinstance(depth, int) else ops.maximum(more, 0)
        start = reach - more // 2
        x = ops.pad(x, [[0, 0], [reach, reach], [0, 0], [0, 0], [0, 0]])
        y = 0
        for i in range(self.kernel_size[0]):
            first = start + i * dilation
            read = x[:, first : first + needed : step]
            y = y + ops.depthwise_conv(
                ops.reshape(read, (-1, height, width, channels)),
                self.kernel[i],
                strides=self.strides[1:],
                padding="same",
                dilation_rate=self.dilation_rate[1:],
            )
        if self.use_bias:
            y = y + self.bias
        return ops.reshape(y, (-1, outputs, *ops.shape(y)[1:]))

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        sides = [n and -(-n // step) for n, step in zip(sides, self.strides)]
        return (batch, *sides, channels * self.depth_multiplier)


def _three(value):
    return (value,) * 3 if isinstance(value, int) else tuple(value)
