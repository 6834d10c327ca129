"""Inverted residuals: narrow outside, wide inside, and no activation where it is narrow."""

from keras import layers

from blocks.base import Block, check_above_zero, check_positive, make_activation, register
from blocks.channel_attention import make_squeeze
from blocks.channels import round_channels
from blocks.conv import CONVS, ConvNormAct, DepthwiseNormAct, check_window
from blocks.scale import DropPath


@register
class InvertedResidual(Block):
    """Widen, convolve every channel by itself, narrow without an activation (MBConv).

    The input is added where the shape stays.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        strides: Step of the depthwise convolution.
        expansion: Channels inside, as a multiple of the input's; 6 in the paper. With 1
            nothing is widened.
        kernel_size: Side of the depthwise kernel, in positions.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization after each convolution.
        activation: Name of a Keras activation, or `"prelu"`; `"relu6"` in the paper.
        se_ratio: Channels in the bottleneck of a `SqueezeExcite` after the depthwise
            convolution, as a share of its channels, or a dict of its arguments; 0 for none.
        divisor: The channels inside are rounded to a multiple of it; 8 in MobileNetV3.
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
        rank=2,
        norm="batch",
        activation="relu6",
        se_ratio=0.0,
        divisor=1,
        drop_path=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(filters=filters, strides=strides, divisor=divisor)
        check_expansion(expansion)
        policy = self.dtype_policy
        common = {"rank": rank, "norm": norm, "dtype": policy}
        self.depthwise = DepthwiseNormAct(
            kernel_size, strides, activation=activation, name="depthwise", **common
        )
        self.scale = make_squeeze(se_ratio, dtype=policy)
        self.project = ConvNormAct(filters, 1, activation=None, name="project", **common)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")
        self.filters, self.strides = filters, strides
        self.expansion, self.divisor = expansion, divisor
        self.common = {**common, "activation": activation}

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        self.adds_input = self.strides == 1 and channels == self.filters
        inner = round_channels(channels * self.expansion, self.divisor)
        self.expand = (
            layers.Identity(dtype=policy, name="expand")
            if self.expansion == 1
            else ConvNormAct(inner, 1, name="expand", **self.common)
        )
        super().build(input_shape)

    def call(self, x):
        y = self.project(self.scale(self.depthwise(self.expand(x))))
        return x + self.drop_path(y) if self.adds_input else y


@register
class FusedInvertedResidual(Block):
    """Widen and convolve at once, narrow without an activation (Fused-MBConv).

    One dense convolution in the place of an inverted residual's first two is faster on much
    hardware where there are few channels. The input is added where the shape stays.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        strides: Step of the convolution.
        expansion: Channels inside, as a multiple of the input's; 4 in the paper. With 1 the
            block is the one convolution, with its activation.
        kernel_size: Side of the kernel, in positions.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization after each convolution.
        activation: Name of a Keras activation; `"silu"` in the paper.
        se_ratio: Channels in the bottleneck of a `SqueezeExcite` after the widening, as a
            share of its channels, or a dict of its arguments; 0 for none.
        divisor: The channels inside are rounded to a multiple of it.
        drop_path: Share of the samples whose branch is left out in training, where there is
            an input to add.

    Reference: [Tan and Le, 2021](https://arxiv.org/abs/2104.00298), figure 2

    >>> FusedInvertedResidual(8, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        strides=1,
        *,
        expansion=4,
        kernel_size=3,
        rank=2,
        norm="batch",
        activation="silu",
        se_ratio=0.0,
        divisor=1,
        drop_path=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(filters=filters, strides=strides, divisor=divisor)
        check_expansion(expansion)
        check_window(CONVS, rank, kernel_size, strides, 1)
        make_activation(activation)  # an unknown name is told now, the layer needs the channels
        policy = self.dtype_policy
        self.wide = {"kernel_size": kernel_size, "strides": strides, "activation": activation}
        self.common = {"rank": rank, "norm": norm, "dtype": policy}
        self.scale = make_squeeze(se_ratio, dtype=policy)
        last = self.wide if expansion == 1 else {"kernel_size": 1, "activation": None}
        self.project = ConvNormAct(filters, name="project", **last, **self.common)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")
        self.filters, self.strides = filters, strides
        self.expansion, self.divisor = expansion, divisor

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        self.adds_input = self.strides == 1 and channels == self.filters
        inner = round_channels(channels * self.expansion, self.divisor)
        self.expand = (
            layers.Identity(dtype=policy, name="expand")
            if self.expansion == 1
            else ConvNormAct(inner, name="expand", **self.wide, **self.common)
        )
        super().build(input_shape)

    def call(self, x):
        y = self.project(self.scale(self.expand(x)))
        return x + self.drop_path(y) if self.adds_input else y


def check_expansion(expansion):
    """Raise where the inside would be narrower than the outside."""
    check_above_zero(expansion=expansion)
    if expansion < 1:
        raise ValueError(f"`expansion` must be at least 1. Received: expansion={expansion!r}.")
