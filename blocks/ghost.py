"""Blocks that compute half of their channels and derive the rest from them."""

from keras import layers, ops

from blocks.base import (
    Block,
    check_above_zero,
    check_positive,
    has_norm,
    make_activation,
    make_norm,
    register,
)
from blocks.channel_attention import make_squeeze
from blocks.conv import (
    DEPTHWISE,
    ConvNormAct,
    DepthwiseNormAct,
    DepthwiseSeparableConv,
    check_window,
)
from blocks.scale import DropPath

CHEAP_KERNEL = 3  # the paper's, in every module of its network


@register
class GhostModule(Block):
    """A convolution for some of the channels, and a depthwise one of those for the rest.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the first kernel, in positions; 1 in the paper's network.
        strides: Step of the first convolution.
        ratio: `filters` divided by the channels that the first convolution makes; 2 in the
            paper. The rest are depthwise convolutions of them, with a kernel of 3.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization after each convolution.
        activation: Name of the Keras activation after each convolution.

    Raises:
        ValueError: If `ratio` is below 2 or above `filters`.

    Reference: [Han et al., 2019](https://arxiv.org/abs/1911.11907)

    >>> GhostModule(8)(np.ones((1, 32, 32, 3))).shape
    (1, 32, 32, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size=1,
        strides=1,
        *,
        ratio=2,
        rank=2,
        norm="batch",
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(filters=filters, ratio=ratio)
        if not 2 <= ratio <= max(2, filters):
            raise ValueError(
                "`ratio` must be at least 2 and at most `filters`. "
                f"Received: ratio={ratio}, filters={filters}."
            )
        check_window(DEPTHWISE, rank, kernel_size, strides, 1)
        policy, own = self.dtype_policy, -(-filters // ratio)
        self.filters = filters
        self.primary = ConvNormAct(
            own,
            kernel_size,
            strides,
            rank=rank,
            norm=norm,
            activation=activation,
            dtype=policy,
            name="primary",
        )
        self.cheap = DEPTHWISE[rank](
            CHEAP_KERNEL,
            padding="same",
            depth_multiplier=ratio - 1,
            use_bias=not has_norm(norm),
            dtype=policy,
            name="cheap",
        )
        self.cheap_norm = make_norm(norm, own * (ratio - 1), dtype=policy, name="cheap_norm")
        self.act = make_activation(activation, dtype=policy)

    def call(self, x):
        y = self.primary(x)
        ghosts = self.act(self.cheap_norm(self.cheap(y)))
        return ops.concatenate([y, ghosts], axis=-1)[..., : self.filters]


@register
class GhostBlock(Block):
    """Two ghost modules, to widen and to narrow, added to their input: GhostNet's bottleneck.

    Between them stands a depthwise convolution, where the block is strided, and a
    `SqueezeExcite`. The shortcut is the identity, or a depthwise and a 1x1 convolution where
    the shape changes. For the module alone, in place of a convolution, see `GhostModule`.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        strides: Step of the depthwise convolution.
        expansion: Channels inside, as a multiple of the input's; the paper's table has
            absolute numbers, mostly of 3 and 6 times.
        kernel_size: Side of the strided depthwise kernels, in positions.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization after each convolution.
        activation: Name of the Keras activation of the first module.
        se_ratio: Channels in the bottleneck of a `SqueezeExcite` inside, as a share of the
            channels there; 0.25 in some blocks of the paper's network, 0 for none.
        drop_path: Share of the samples whose branch is left out in training.

    Reference: [Han et al., 2019](https://arxiv.org/abs/1911.11907), figure 3

    >>> GhostBlock(8, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        strides=1,
        *,
        expansion=3,
        kernel_size=3,
        rank=2,
        norm="batch",
        activation="relu",
        se_ratio=0.0,
        drop_path=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(filters=filters, strides=strides)
        check_window(DEPTHWISE, rank, kernel_size, strides, 1)
        check_above_zero(expansion=expansion)
        policy = self.dtype_policy
        self.filters, self.strides, self.expansion = filters, strides, expansion
        self.kernel_size, self.activation = kernel_size, activation
        self.common = {"rank": rank, "norm": norm, "dtype": policy}
        make_activation(activation)  # an unknown name is told now, the module needs the channels
        self.depthwise = (
            layers.Identity(dtype=policy, name="depthwise")
            if strides == 1
            else DepthwiseNormAct(
                kernel_size, strides, activation=None, name="depthwise", **self.common
            )
        )
        squeeze = {"ratio": se_ratio, "gate": "hard_sigmoid"} if se_ratio != 0 else 0
        self.scale = make_squeeze(squeeze, dtype=policy)
        self.narrow = GhostModule(filters, activation=None, name="narrow", **self.common)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")

    def build(self, input_shape):
        channels = input_shape[-1]
        inner = max(2, round(channels * self.expansion))
        self.widen = GhostModule(inner, activation=self.activation, name="widen", **self.common)
        self.shortcut = (
            layers.Identity(dtype=self.dtype_policy, name="shortcut")
            if self.strides == 1 and channels == self.filters
            else DepthwiseSeparableConv(
                self.filters,
                self.kernel_size,
                self.strides,
                activation=None,
                name="shortcut",
                **self.common,
            )
        )
        super().build(input_shape)

    def call(self, x):
        y = self.narrow(self.scale(self.depthwise(self.widen(x))))
        return self.shortcut(x) + self.drop_path(y)
