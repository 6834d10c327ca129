"""Blocks that weigh channels by what the whole map holds."""

import math

from keras import layers, ops

from blocks.base import Block, check_above_zero, check_positive, make_activation, register
from blocks.conv import CONVS

POOLS = {
    1: layers.GlobalAveragePooling1D,
    2: layers.GlobalAveragePooling2D,
    3: layers.GlobalAveragePooling3D,
}


@register
class SqueezeExcite(Block):
    """Scale each channel by a gate computed from all of them.

    Shape: `(batch, *sides, channels)` to the same, with one, two or three sides.

    Args:
        ratio: Channels of the gate's bottleneck, as a share of the input's; 1/16 in the
            paper, a quarter in mobile networks.
        activation: Name of the Keras activation of the bottleneck.
        gate: Name of the Keras activation of the gate; `"hard_sigmoid"` in MobileNetV3.

    Raises:
        ValueError: If `ratio` is not above 0.

    Reference: [Hu et al., 2018](https://arxiv.org/abs/1709.01507)

    >>> SqueezeExcite(0.25)(np.ones((1, 8, 8, 16))).shape
    (1, 8, 8, 16)
    """

    def __init__(self, ratio=0.25, *, activation="relu", gate="sigmoid", **kwargs):
        super().__init__(**kwargs)
        check_above_zero(ratio=ratio)
        self.ratio = ratio
        self.act = make_activation(activation, dtype=self.dtype_policy)
        self.gate = make_activation(gate, dtype=self.dtype_policy, name="gate")
        self.input_spec = layers.InputSpec(min_ndim=3, max_ndim=5)

    def build(self, input_shape):
        rank, channels, policy = len(input_shape) - 2, input_shape[-1], self.dtype_policy
        inner = max(1, int(channels * self.ratio))
        self.pool = POOLS[rank](keepdims=True, dtype=policy, name="pool")
        self.reduce = CONVS[rank](inner, 1, dtype=policy, name="reduce")
        self.expand = CONVS[rank](channels, 1, dtype=policy, name="expand")
        super().build(input_shape)

    def call(self, x):
        return x * self.gate(self.expand(self.act(self.reduce(self.pool(x)))))


@register
class EfficientChannelAttention(Block):
    """Scale each channel by a gate computed from the channels next to it (ECA).

    Shape: `(batch, *sides, channels)` to the same, with one, two or three sides.

    Args:
        kernel_size: Number of neighbours that a gate reads; by default the odd number nearest
            above `(log2(channels) + 1) / 2`, cut to a whole number: the paper's formula.

    Reference: [Wang et al., 2019](https://arxiv.org/abs/1910.03151)

    >>> EfficientChannelAttention()(np.ones((1, 8, 8, 16))).shape
    (1, 8, 8, 16)
    """

    def __init__(self, kernel_size=None, **kwargs):
        super().__init__(**kwargs)
        if kernel_size is not None:
            check_positive(kernel_size=kernel_size)
        self.kernel_size = kernel_size
        self.input_spec = layers.InputSpec(min_ndim=3, max_ndim=5)

    def build(self, input_shape):
        rank, channels, policy = len(input_shape) - 2, input_shape[-1], self.dtype_policy
        size = self.kernel_size or int((math.log2(channels) + 1) / 2) // 2 * 2 + 1
        self.pool = POOLS[rank](dtype=policy, name="pool")
        self.line = layers.Reshape((channels, 1), dtype=policy, name="line")
        self.conv = layers.Conv1D(
            1, size, padding="same", use_bias=False, dtype=policy, name="conv"
        )
        self.spread = layers.Reshape((*[1] * rank, channels), dtype=policy, name="spread")
        super().build(input_shape)

    def call(self, x):
        return x * self.spread(ops.sigmoid(self.conv(self.line(self.pool(x)))))
