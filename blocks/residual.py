"""Blocks that are added to their input."""

from blocks.base import Block, check_positive, make_activation, register
from blocks.channel_attention import make_squeeze
from blocks.conv import ConvNormAct
from blocks.scale import DropPath
from blocks.shortcut import check_shortcut, make_shortcut


@register
class ResidualBlock(Block):
    """Two convolutions added to their input, then the activation.

    The shortcut is the identity where the shape stays.

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
            a share of `filters`, or a dict of its arguments; 0 for none.
        drop_path: Share of the samples whose branch is left out in training.
        use_bias: Whether the convolutions add a bias; by default where there is no norm.
        shortcut: What the shortcut is where the shape changes: `"conv_norm"` is a 1x1
            convolution with normalization, `"conv"` one without, `"pad"` a `Subsample`, which
            adds zeros as channels.

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
        shortcut="conv_norm",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(filters=filters, strides=strides)
        check_shortcut(shortcut)
        policy = self.dtype_policy
        common = {"rank": rank, "norm": norm, "use_bias": use_bias, "dtype": policy}
        self.conv1 = ConvNormAct(
            filters, kernel_size, strides, activation=activation, name="conv1", **common
        )
        self.conv2 = ConvNormAct(filters, kernel_size, activation=None, name="conv2", **common)
        self.scale = make_squeeze(se_ratio, dtype=policy)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")
        self.act = make_activation(activation, dtype=policy)
        self.filters, self.strides = filters, strides
        self.shortcut_options = {"shortcut": shortcut, **common}

    def build(self, input_shape):
        self.shortcut = make_shortcut(
            input_shape, self.filters, self.strides, **self.shortcut_options
        )
        super().build(input_shape)

    def call(self, x):
        y = self.scale(self.conv2(self.conv1(x)))
        return self.act(self.shortcut(x) + self.drop_path(y))


@register
class BottleneckBlock(Block):
    """Narrow, convolve, widen, add to the input, then the activation.

    The stride is the first convolution's, as in the paper. The shortcut is the identity, or
    a 1x1 convolution where the shape changes. With `groups` and
    `reduction=2` it is a ResNeXt block, whose stride is the second convolution's in the paper.

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
            a share of `filters`, or a dict of its arguments; 0 for none.
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
