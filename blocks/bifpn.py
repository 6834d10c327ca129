"""Pyramids whose levels are mixed downwards and upwards again."""

from keras import layers, ops

from blocks.base import (
    Block,
    PlainArguments,
    check_positive,
    has_norm,
    make_activation,
    make_norm,
    register,
)
from blocks.conv import ConvNormAct
from blocks.pyramid import FeaturePyramid, FitTo, check_levels, like, maps_of


@register
class PathAggregation(Block):
    """A `FeaturePyramid`, then every fine map, halved in size, added to the next coarser one.

    Shape: a list of `(batch, height_i, width_i, channels_i)`, fine to coarse, each half the
    one before, or a dict of them (`{"P3": …, "P4": …}`), to the same with `filters` channels.

    Args:
        filters: Number of channels of every output level.
        norm: Name of the normalization of the convolutions on the way up; the paper has none.
        activation: Name of the Keras activation after them.

    Raises:
        ValueError: If there are fewer than two levels, or one is not about half the one before.

    Reference: [Liu et al., 2018](https://arxiv.org/abs/1803.01534), section 3.1

    >>> maps = [np.ones((1, 8, 8, 4)), np.ones((1, 4, 4, 6))]
    >>> [y.shape for y in PathAggregation(5)(maps)]
    [(1, 8, 8, 5), (1, 4, 4, 5)]
    """

    def __init__(self, filters=256, *, norm="none", activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.top_down = FeaturePyramid(filters, dtype=self.dtype_policy, name="top_down")
        self.fit = FitTo(dtype=self.dtype_policy, name="fit")
        self.filters = filters
        self.common = {"norm": norm, "activation": activation, "dtype": self.dtype_policy}
        ConvNormAct(filters, **self.common)  # wrong arguments are told now

    def build(self, input_shape):
        check_levels(input_shape)
        steps = range(len(input_shape) - 1)
        self.halve = [
            ConvNormAct(self.filters, 3, 2, name=f"halve{i}", **self.common) for i in steps
        ]
        self.outputs = [
            ConvNormAct(self.filters, 3, name=f"output{i}", **self.common) for i in steps
        ]
        super().build(input_shape)

    def call(self, features):
        fine, *coarser = maps_of(self.top_down(features))
        merged = [fine]
        for halve, output, x in zip(self.halve, self.outputs, coarser):
            merged.append(output(x + self.fit([halve(merged[-1]), x])))
        return like(features, merged)


@register
class BiFPN(Block):
    """Mix the levels of a pyramid coarse to fine and fine to coarse, several times, weighted.

    Every mix is a mean with learned weights, an activation, a depthwise-separable convolution
    and a normalization; from one level to the next a map is doubled, or max-pooled by 2.

    Shape: a list of `(batch, height_i, width_i, channels_i)`, fine to coarse, each half the
    one before, or a dict of them (`{"P3": …, "P4": …}`), to the same with `filters` channels.

    Args:
        filters: Number of channels of every output level; 64 in the paper's smallest network.
        repeats: How often the levels are mixed, both ways; 3 in the paper's smallest network.
        norm: Name of the normalization of every convolution.
        activation: Name of the Keras activation of every mix; swish, `"silu"`, in the paper.

    Raises:
        ValueError: If there are fewer than two levels, or one is not about half the one before.

    Reference: [Tan et al., 2019](https://arxiv.org/abs/1911.09070), section 3

    >>> maps = [np.ones((1, 8, 8, 4)), np.ones((1, 4, 4, 6))]
    >>> [y.shape for y in BiFPN(5)(maps)]
    [(1, 8, 8, 5), (1, 4, 4, 5)]
    """

    def __init__(self, filters=64, repeats=3, *, norm="batch", activation="silu", **kwargs):
        super().__init__(**kwargs)
        check_positive(filters=filters, repeats=repeats)
        common = {"norm": norm, "dtype": self.dtype_policy}
        self.common, self.filters = common, filters
        self.passes = [
            TwoWayPass(filters, activation=activation, name=f"pass{i}", **common)
            for i in range(repeats)
        ]

    def build(self, input_shape):
        check_levels(input_shape)
        self.laterals = [
            ConvNormAct(self.filters, 1, activation=None, name=f"lateral{i}", **self.common)
            for i in range(len(input_shape))
        ]
        super().build(input_shape)

    def call(self, features):
        maps = [lateral(x) for lateral, x in zip(self.laterals, maps_of(features))]
        for mix in self.passes:
            maps = mix(maps)
        return like(features, maps)


@register
class TwoWayPass(Block):
    """Mix a list of maps, fine to coarse, once down and once up: one layer of a `BiFPN`.

    >>> [y.shape for y in TwoWayPass(4)([np.ones((1, 8, 8, 4)), np.ones((1, 4, 4, 4))])]
    [(1, 8, 8, 4), (1, 4, 4, 4)]
    """

    def __init__(self, filters, *, norm="batch", activation="silu", **kwargs):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.twice = layers.UpSampling2D(2, dtype=policy, name="double")
        self.halve = layers.MaxPooling2D(3, 2, "same", dtype=policy, name="halve")
        self.fit = FitTo(dtype=policy, name="fit")
        self.mix = {"norm": norm, "activation": activation, "dtype": policy}
        self.filters = filters
        WeightedMix(filters, **self.mix)  # wrong arguments are told now

    def build(self, input_shape):
        last = len(input_shape) - 1
        self.down = [WeightedMix(self.filters, name=f"down{i}", **self.mix) for i in range(last)]
        self.up = [WeightedMix(self.filters, name=f"up{i + 1}", **self.mix) for i in range(last)]
        super().build(input_shape)

    def call(self, maps):
        down = list(maps)
        for i in reversed(range(len(maps) - 1)):
            down[i] = self.down[i]([maps[i], self.fit([self.twice(down[i + 1]), maps[i]])])
        up = [down[0]]
        for i, mix in enumerate(self.up, 1):
            given = [maps[i]] if i == len(maps) - 1 else [maps[i], down[i]]
            up.append(mix([*given, self.fit([self.halve(up[-1]), maps[i]])]))
        return up


@register
class WeightedMix(Block):
    """A weighted mean of equal maps, activated, convolved and normalized: one node of a `BiFPN`.

    >>> WeightedMix(6)([np.ones((1, 8, 8, 4)), np.ones((1, 8, 8, 4))]).shape
    (1, 8, 8, 6)
    """

    def __init__(self, filters, *, norm="batch", activation="silu", **kwargs):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.mean = WeightedMean(dtype=policy, name="mean")
        self.act = make_activation(activation, dtype=policy)
        self.conv = layers.SeparableConv2D(
            filters, 3, padding="same", use_bias=not has_norm(norm), dtype=policy, name="conv"
        )
        self.norm = make_norm(norm, filters, dtype=policy)

    def call(self, maps):
        return self.norm(self.conv(self.act(self.mean(maps))))


@register
class WeightedMean(PlainArguments, layers.Layer):
    """The mean of several tensors with a learned weight for each, none below 0.

    Shape: a list of tensors of one shape to that shape.

    >>> WeightedMean()([np.ones((1, 4)), np.ones((1, 4))]).shape
    (1, 4)
    """

    def build(self, input_shape):
        self.share = self.add_weight(
            name="share", shape=(len(input_shape),), initializer="ones", autocast=False
        )

    def call(self, inputs):
        shares = ops.relu(self.share)
        shares = shares / (ops.sum(shares) + 1e-4)  # the paper's "fast normalized fusion"
        return sum(x * ops.cast(shares[i], x.dtype) for i, x in enumerate(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape[0]
