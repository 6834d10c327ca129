"""Blocks that are added to their input."""

from keras import layers

from blocks.base import Block, check_above_zero, check_positive, make_activation, register
from blocks.channel_attention import SqueezeExcite
from blocks.conv import ConvNormAct, DepthwiseNormAct
from blocks.scale import DropPath


@register
class ResidualBlock(Block):
    """Two convolutions added to their input, then the activation.

    The shortcut is the identity, or a 1x1 convolution where the shape changes.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        kernel_size: Side of both kernels, in positions.
        strides: Step of the first convolution.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization after each convolution.
        activation: Name of a Keras activation.
        se_ratio: Channels in the bottleneck of a `SqueezeExcite` after the convolutions, as
            a share of `filters`; 0 for none.
        drop_path: Share of the samples whose branch is left out in training.
        use_bias: Whether the convolutions add a bias; by default where there is no norm.

    Reference: [He et al., 2015](https://arxiv.org/abs/1512.03385), figure 5, left

    >>> ResidualBlock(8, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        *,
        rank=2,
        norm="batch",
        activation="relu",
        se_ratio=0.0,
        drop_path=0.0,
        use_bias=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(filters=filters, strides=strides)
        policy = self.dtype_policy
        common = {"rank": rank, "norm": norm, "use_bias": use_bias, "dtype": policy}
        self.conv1 = ConvNormAct(
            filters, kernel_size, strides, activation=activation, name="conv1", **common
        )
        self.conv2 = ConvNormAct(filters, kernel_size, activation=None, name="conv2", **common)
        self.scale = make_squeeze(se_ratio, dtype=policy)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")
        self.act = make_activation(activation, dtype=policy)
        self.filters, self.strides, self.common = filters, strides, common

    def build(self, input_shape):
        self.shortcut = make_shortcut(input_shape, self.filters, self.strides, **self.common)
        super().build(input_shape)

    def call(self, x):
        y = self.scale(self.conv2(self.conv1(x)))
        return self.act(self.shortcut(x) + self.drop_path(y))


@register
class BottleneckBlock(Block):
    """Narrow, convolve, widen, add to the input, then the activation.

    The stride is the first convolution's, as in the paper. The shortcut is the identity, or
    a 1x1 convolution where the shape changes. With `groups` it is a ResNeXt block.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        strides: Step of the first convolution.
        reduction: `filters` divided by the channels inside; 4 in the paper.
        rank: Number of sides: 1, 2 or 3.
        groups: Number of channel groups of the middle convolution.
        norm: Name of the normalization after each convolution.
        activation: Name of a Keras activation.
        se_ratio: Channels in the bottleneck of a `SqueezeExcite` after the convolutions, as
            a share of `filters`; 0 for none.
        drop_path: Share of the samples whose branch is left out in training.
        use_bias: Whether the convolutions add a bias; by default where there is no norm.

    Raises:
        ValueError: If `reduction` does not divide `filters`.

    Reference: [He et al., 2015](https://arxiv.org/abs/1512.03385), figure 5, right

    >>> BottleneckBlock(8, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        strides=1,
        *,
        reduction=4,
        rank=2,
        groups=1,
        norm="batch",
        activation="relu",
        se_ratio=0.0,
        drop_path=0.0,
        use_bias=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(filters=filters, strides=strides, reduction=reduction)
        if filters % reduction:
            raise ValueError(
                "`reduction` must divide `filters`. "
                f"Received: reduction={reduction}, filters={filters}."
            )
        policy, inner = self.dtype_policy, filters // reduction
        common = {"rank": rank, "norm": norm, "use_bias": use_bias, "dtype": policy}
        self.narrow = ConvNormAct(inner, 1, strides, activation=activation, name="narrow", **common)
        self.conv = ConvNormAct(
            inner, 3, groups=groups, activation=activation, name="conv", **common
        )
        self.widen = ConvNormAct(filters, 1, activation=None, name="widen", **common)
        self.scale = make_squeeze(se_ratio, dtype=policy)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")
        self.act = make_activation(activation, dtype=policy)
        self.filters, self.strides, self.common = filters, strides, common

    def build(self, input_shape):
        self.shortcut = make_shortcut(input_shape, self.filters, self.strides, **self.common)
        super().build(input_shape)

    def call(self, x):
        y = self.scale(self.widen(self.conv(self.narrow(x))))
        return self.act(self.shortcut(x) + self.drop_path(y))


@register
class InvertedResidual(Block):
    """Widen, convolve every channel by itself, narrow without an activation (MBConv).

    The input is added where the shape stays.

    Shape: `(batch, height, width, channels)` to
    `(batch, height / strides, width / strides, filters)`, rounded up.

    Args:
        filters: Number of output channels.
        strides: Step of the depthwise convolution.
        expansion: Channels inside, as a multiple of the input's; 6 in the paper. With 1
            nothing is widened.
        kernel_size: Side of the depthwise kernel, in positions.
        norm: Name of the normalization after each convolution.
        activation: Name of a Keras activation; `"relu6"` in the paper.
        se_ratio: Channels in the bottleneck of a `SqueezeExcite` after the depthwise
            convolution, as a share of its channels; 0 for none.
        drop_path: Share of the samples whose branch is left out in training, where there is
            an input to add.

    Reference: [Sandler et al., 2018](https://arxiv.org/abs/1801.04381)

    >>> InvertedResidual(8, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        strides=1,
        *,
        expansion=6,
        kernel_size=3,
        norm="batch",
        activation="relu6",
        se_ratio=0.0,
        drop_path=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(filters=filters, strides=strides)
        check_above_zero(expansion=expansion)
        if expansion < 1:
            raise ValueError(f"`expansion` must be at least 1. Received: expansion={expansion!r}.")
        policy = self.dtype_policy
        common = {"norm": norm, "dtype": policy}
        self.depthwise = DepthwiseNormAct(
            kernel_size, strides, activation=activation, name="depthwise", **common
        )
        self.scale = make_squeeze(se_ratio, dtype=policy)
        self.project = ConvNormAct(filters, 1, activation=None, name="project", **common)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")
        self.filters, self.strides, self.expansion = filters, strides, expansion
        self.common = {**common, "activation": activation}

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        self.adds_input = self.strides == 1 and channels == self.filters
        self.expand = (
            layers.Identity(dtype=policy, name="expand")
            if self.expansion == 1
            else ConvNormAct(round(channels * self.expansion), 1, name="expand", **self.common)
        )
        super().build(input_shape)

    def call(self, x):
        y = self.project(self.scale(self.depthwise(self.expand(x))))
        return x + self.drop_path(y) if self.adds_input else y


def make_squeeze(ratio, **kwargs):
    """Return a `SqueezeExcite` of `ratio`, or nothing at all where it is 0."""
    if ratio == 0:
        return layers.Identity(name="scale", **kwargs)
    return SqueezeExcite(ratio, name="scale", **kwargs)


def make_shortcut(input_shape, filters, strides, *, dtype, **conv):
    """Return the identity, or a 1x1 convolution where the shape changes."""
    if strides == 1 and input_shape[-1] == filters:
        return layers.Identity(dtype=dtype, name="shortcut")
    return ConvNormAct(filters, 1, strides, activation=None, dtype=dtype, name="shortcut", **conv)
