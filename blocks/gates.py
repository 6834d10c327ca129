"""Gates of channels and positions: blocks that scale what passes by what the map holds."""

import math

from keras import layers, ops

from blocks.base import (
    Block,
    PlainArguments,
    check_above_zero,
    check_positive,
    make_activation,
    make_norm,
    register,
)
from blocks.channel_attention import POOLS
from blocks.conv import CONVS

PEAKS = {1: layers.GlobalMaxPooling1D, 2: layers.GlobalMaxPooling2D, 3: layers.GlobalMaxPooling3D}


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


@register
class ChannelSpatialAttention(Block):
    """Scale each channel, then each position, by gates of their mean and their peak (CBAM).

    Shape: `(batch, *sides, channels)` to the same, with one, two or three sides.

    Args:
        ratio: Channels of the gate's bottleneck, as a share of the input's; 1/16 in the
            paper.
        kernel_size: Side of the convolution that makes the gate of positions; 7 in the paper.
        activation: Name of the Keras activation of the bottleneck.

    Reference: [Woo et al., 2018](https://arxiv.org/abs/1807.06521)

    >>> ChannelSpatialAttention()(np.ones((1, 8, 8, 16))).shape
    (1, 8, 8, 16)
    """

    def __init__(self, ratio=0.0625, *, kernel_size=7, activation="relu", **kwargs):
        super().__init__(**kwargs)
        check_above_zero(ratio=ratio)
        check_positive(kernel_size=kernel_size)
        self.ratio, self.kernel_size = ratio, kernel_size
        self.act = make_activation(activation, dtype=self.dtype_policy)
        self.input_spec = layers.InputSpec(min_ndim=3, max_ndim=5)

    def build(self, input_shape):
        rank, channels, policy = len(input_shape) - 2, input_shape[-1], self.dtype_policy
        inner = max(1, int(channels * self.ratio))
        self.mean = POOLS[rank](keepdims=True, dtype=policy, name="mean")
        self.peak = PEAKS[rank](keepdims=True, dtype=policy, name="peak")
        self.reduce = layers.Dense(inner, dtype=policy, name="reduce")
        self.expand = layers.Dense(channels, dtype=policy, name="expand")
        # One convolution of both side by side, as two: int8 files compute the maximum wrongly
        # where its result must share its scale with another tensor.
        self.position_mean, self.position_peak = (
            CONVS[rank](
                1, self.kernel_size, padding="same", use_bias=False, dtype=policy, name=name
            )
            for name in ("position_mean", "position_peak")
        )
        super().build(input_shape)

    def call(self, x):
        mean, peak = (self.expand(self.act(self.reduce(p(x)))) for p in (self.mean, self.peak))
        x = x * ops.sigmoid(mean + peak)
        mean = self.position_mean(ops.mean(x, axis=-1, keepdims=True))
        return x * ops.sigmoid(mean + self.position_peak(ops.max(x, axis=-1, keepdims=True)))


@register
class CoordinateAttention(Block):
    """Scale each position by a gate for every side: its row's, and its column's.

    Shape: `(batch, *sides, channels)` to the same, with two or three sides.

    Args:
        ratio: Channels of the gates' bottleneck, as a share of the input's; 1/32 in the
            paper. There are at least 8, as in the authors' code.
        norm: Name of the normalization in the bottleneck.
        activation: Name of the Keras activation of the bottleneck.

    Reference: [Hou et al., 2021](https://arxiv.org/abs/2103.02907)

    >>> CoordinateAttention()(np.ones((1, 8, 6, 16))).shape
    (1, 8, 6, 16)
    """

    def __init__(self, ratio=0.03125, *, norm="batch", activation="hard_swish", **kwargs):
        super().__init__(**kwargs)
        check_above_zero(ratio=ratio)
        make_norm(norm, 1)  # an unknown name is told now, the layer needs the channels
        self.ratio, self.norm_spec = ratio, norm
        self.act = make_activation(activation, dtype=self.dtype_policy)
        self.cut = CutLike(dtype=self.dtype_policy, name="cut")
        self.input_spec = layers.InputSpec(min_ndim=4, max_ndim=5)

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        inner = max(8, int(channels * self.ratio))
        self.reduce = layers.Dense(inner, use_bias=False, dtype=policy, name="reduce")
        self.norm = make_norm(self.norm_spec, inner, dtype=policy)
        self.gates = [
            layers.Dense(channels, activation="sigmoid", dtype=policy, name=f"gate{i}")
            for i in range(len(input_shape) - 2)
        ]
        super().build(input_shape)

    def call(self, x):
        sides = range(1, len(x.shape) - 1)
        means = [ops.mean(x, axis=[a for a in sides if a != side]) for side in sides]
        y = self.act(self.norm(self.reduce(ops.concatenate(means, axis=1))))
        for side, gate, part in zip(sides, self.gates, self.cut([y, *means])):
            x = x * ops.expand_dims(gate(part), [a for a in sides if a != side])
        return x


@register
class CutLike(PlainArguments, layers.Layer):
    """Cut a sequence into parts of the lengths of others, known or not.

    Shape: a list of `(batch, length, channels)` and sequences whose lengths have that sum, to
    a list of parts.

    >>> [y.shape for y in CutLike()([np.ones((1, 5, 2)), np.ones((1, 3, 4)), np.ones((1, 2, 4))])]
    [(1, 3, 2), (1, 2, 2)]
    """

    def call(self, inputs):
        x, *others = inputs
        parts, start = [], 0
        for other in others:
            end = start + ops.shape(other)[1]
            parts.append(x[:, start:end])
            start = end
        return parts

    def compute_output_shape(self, input_shape):
        x, *others = input_shape
        return [(x[0], other[1], x[2]) for other in others]
