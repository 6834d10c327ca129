"""Layers that compute as an int8 file does, and still learn."""

import keras
from keras import layers, ops

TINY = 1e-6  # a range is never empty
NEXT_TO_1 = 1 + 2.0**-23  # the next number of 32 bits
FIXED = {  # ranges that the operations of files have always
    "sigmoid": (0.0, 255 / 256),
    "softmax": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
}
fake_quant = keras.quantizers.fake_quant_with_min_max_vars
register = keras.saving.register_keras_serializable("keras_blocks")


@register
class FakeQuant(layers.Layer):
    """Rounds to the 256 steps of a range, which in training follows what passes.

    Shape: Any shape to the same.

    Args:
        low, high: A range that stays; by default it is learned, and always holds 0.
        momentum: How much of the range is kept in each step of training. What lies outside
            learns nothing until the range has followed.

    Reference: [Jacob et al., 2018](https://arxiv.org/abs/1712.05877)
    """

    quantizes = True  # `to_tflite` makes an int8 file of a model with such layers, and no other

    def __init__(self, low=None, high=None, momentum=0.95, **kwargs):
        super().__init__(**kwargs)
        self.low, self.high, self.momentum = low, high, momentum
        self.supports_masking = True
        self.observing = False

    def build(self, shape):
        if self.low is None:
            given = {"shape": (), "trainable": False, "dtype": "float32"}
            self.least = self.add_weight(name="least", initializer="zeros", **given)
            self.most = self.add_weight(name="most", initializer="zeros", **given)

    def call(self, x, training=False):
        if self.low is not None:
            return fake_quant(x, self.low, self.high)
        if self.observing or training:
            seen = ops.cast(ops.stop_gradient(x), "float32")
            least, most = ops.minimum(ops.min(seen), 0.0), ops.maximum(ops.max(seen), TINY)
            if self.observing:
                self.least.assign(ops.minimum(self.least, least))
                self.most.assign(ops.maximum(self.most, most))
                return x
            rest = 1 - self.momentum
            self.least.assign(self.momentum * self.least + rest * least)
            self.most.assign(self.momentum * self.most + rest * most)
        return fake_quant(x, ops.convert_to_tensor(self.least), ops.convert_to_tensor(self.most))

    def compute_output_shape(self, shape):
        return shape


@register
class Unrounded(layers.Layer):
    """Hands what it reads to operations that compute in floats.

    Without it, the converter spreads the range of what they read over averages, cuts and moves
    among them. It stops at a product, and it takes out a product with 1 itself.

    Shape: Any shape to the same.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x):
        # A graph may say floats of what is whole numbers when it runs.
        return x * NEXT_TO_1 if "float" in keras.backend.standardize_dtype(x.dtype) else x


@register
class QuantizedActivation(layers.Layer):
    """An activation as a file of 8 bits computes it, rounded after every step.

    Args:
        activation: Name of the Keras activation.
    """

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activation
        self.supports_masking = True
        fixed = FIXED.get("sigmoid" if activation == "silu" else activation, (None, None))
        self.ranges = []
        if activation in ("hard_silu", "hard_sigmoid", "silu"):
            self.gate = self.range("gate", *fixed)
            fixed = None, None
        if activation == "hard_silu":
            self.scaled = self.range("scaled")
        self.output_range = self.range("output", *fixed)

    def range(self, name, low=None, high=None):
        self.ranges.append(FakeQuant(low, high, name=name))
        return self.ranges[-1]

    def build(self, shape):
        for each in self.ranges:
            each.build(shape)

    def call(self, x):
        if self.activation == "hard_silu":
            return self.output_range(self.gate(ops.relu6(x + 3.0)) * self.scaled(x * (1 / 6)))
        if self.activation == "hard_sigmoid":
            return self.output_range(self.gate(ops.relu6(x + 3.0)) * (1 / 6))
        if self.activation == "silu":
            return self.output_range(x * self.gate(ops.sigmoid(x)))
        return self.output_range(keras.activations.get(self.activation)(x))


class Quantized:
    """Makes a layer compute with the rounded values of its first weight."""

    axis = None  # of the channels that have a range each

    def __init__(self, *args, weight_bits=8, **kwargs):
        super().__init__(*args, **kwargs)
        self.weight_bits = weight_bits

    def get_config(self):
        return {**super().get_config(), "weight_bits": self.weight_bits}

    def call(self, inputs):
        # Wherever the layer reads its weight, it gets the rounded one.
        values = [(v, ops.convert_to_tensor(v)) for v in self.variables]
        values[0] = values[0][0], self.rounded(values[0][1])
        with keras.StatelessScope(state_mapping=values):
            return super().call(inputs)

    def rounded(self, kernel):
        given = {"num_bits": self.weight_bits, "narrow_range": True}
        sizes = ops.abs(ops.stop_gradient(kernel))
        if self.axis is None:
            most = ops.maximum(ops.max(sizes), TINY)
            return fake_quant(kernel, -most, most, **given)
        # On JAX, Keras takes the ranges for those of the last axis, whichever it is.
        kernel, sizes = (ops.swapaxes(x, self.axis, -1) for x in (kernel, sizes))
        others = list(range(len(kernel.shape) - 1))
        most = ops.maximum(ops.max(sizes, axis=others), TINY)
        return ops.swapaxes(fake_quant(kernel, -most, most, axis=-1, **given), self.axis, -1)


@register
class QuantizedConv1D(Quantized, layers.Conv1D):
    """A `Conv1D` of rounded weights; the converter takes one range for all only."""


@register
class QuantizedDepthwiseConv1D(Quantized, layers.DepthwiseConv1D):
    """A `DepthwiseConv1D` of rounded weights; the converter takes one range for all only."""


@register
class QuantizedConv2D(Quantized, layers.Conv2D):
    """A `Conv2D` of rounded weights, a range a filter."""

    axis = -1
    in_file = False  # set while a file is made

    def convolution_op(self, inputs, kernel):
        skips = self.kernel_size == (1, 1) and max(self.strides) > 1
        if self.in_file or not skips or self.data_format != "channels_last":
            return super().convolution_op(inputs, kernel)
        # oneDNN's gradient of strided 1x1 kernels brings TensorFlow down (uxlfoundation/oneDNN,
        # issue 6035).
        high, wide = self.strides
        return ops.conv(inputs[:, ::high, ::wide], kernel, 1, "valid", self.data_format)


@register
class QuantizedDepthwiseConv2D(Quantized, layers.DepthwiseConv2D):
    """A `DepthwiseConv2D` of rounded weights, a range a channel where it gives one each."""

    @property
    def axis(self):
        return None if self.depth_multiplier > 1 else 2


@register
class QuantizedConv2DTranspose(Quantized, layers.Conv2DTranspose):
    """A `Conv2DTranspose` of weights of 8 bits; the converter takes one range for all only."""

    def __init__(self, *args, weight_bits=8, **kwargs):
        super().__init__(*args, weight_bits=8, **kwargs)


@register
class QuantizedDense(Quantized, layers.Dense):
    """A `Dense` of rounded weights; the converter takes one range for all only."""


@register
class QuantizedEinsumDense(Quantized, layers.EinsumDense):
    """An `EinsumDense` of rounded weights; the converter takes one range for all only."""


QUANTIZED = {
    kind: made
    for made in (
        QuantizedConv1D,
        QuantizedDepthwiseConv1D,
        QuantizedConv2D,
        QuantizedDepthwiseConv2D,
        QuantizedConv2DTranspose,
        QuantizedDense,
        QuantizedEinsumDense,
    )
    for kind in made.__bases__[1:]
}


def quantized_kind(layer):
    """Return the class that computes as a layer does with rounded weights, or `None`."""
    return next((made for kind, made in QUANTIZED.items() if isinstance(layer, kind)), None)
