"""Blocks in which every layer reads all before it."""

from keras import layers, ops

from blocks.base import (
    Block,
    check_above_zero,
    check_positive,
    check_rate,
    make_activation,
    make_norm,
    register,
)
from blocks.conv import ConvNormAct

POOLS = {1: layers.AveragePooling1D, 2: layers.AveragePooling2D, 3: layers.AveragePooling3D}


@register
class DenseLayer(Block):
    """Normalize, activate and narrow; then convolve to a few new channels.

    Shape: `(batch, *sides, channels)` to `(batch, *sides, filters)`.

    >>> DenseLayer(4)(np.ones((1, 8, 8, 6))).shape
    (1, 8, 8, 4)
    """

    def __init__(
        self,
        filters,
        *,
        bottleneck=4,
        rank=2,
        norm="batch",
        activation="relu",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        common = {"rank": rank, "dtype": policy}
        self.act = make_activation(activation, dtype=policy)
        self.narrow = (
            ConvNormAct(
                bottleneck * filters, 1, norm=norm, activation=activation, name="narrow", **common
            )
            if bottleneck
            else layers.Identity(dtype=policy, name="narrow")
        )
        self.conv = ConvNormAct(
            filters, 3, norm="none", activation=None, use_bias=False, name="conv", **common
        )
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")
        self.norm_spec = norm

    def build(self, input_shape):
        self.norm = make_norm(self.norm_spec, input_shape[-1], dtype=self.dtype_policy)
        super().build(input_shape)

    def call(self, x):
        return self.dropout(self.conv(self.narrow(self.act(self.norm(x)))))


@register
class DenseBlock(Block):
    """Layers that each read the input and what all layers before them made, and add to it.

    Shape: `(batch, *sides, channels)` to `(batch, *sides, channels + depth * growth_rate)`,
    with `rank` sides.

    Args:
        depth: Number of layers.
        growth_rate: Channels that each layer adds; 32 in DenseNet-121.
        bottleneck: Channels of the 1x1 convolution inside a layer, as a multiple of
            `growth_rate`; 4 in the paper's DenseNet-B, 0 for none.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization before each convolution.
        activation: Name of the Keras activation behind each normalization.
        dropout: Share of what a layer makes that is dropped in training.

    Reference: [Huang et al., 2016](https://arxiv.org/abs/1608.06993)

    >>> DenseBlock(2, growth_rate=4)(np.ones((1, 8, 8, 6))).shape
    (1, 8, 8, 14)
    """

    def __init__(
        self,
        depth,
        growth_rate=32,
        *,
        bottleneck=4,
        rank=2,
        norm="batch",
        activation="relu",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(depth=depth, growth_rate=growth_rate)
        check_rate(dropout=dropout)
        if bottleneck != 0:
            check_positive(bottleneck=bottleneck)
        make_norm(norm, 1)  # an unknown name is told now, the layers need the channels
        self.input_spec = layers.InputSpec(ndim=rank + 2)
        self.parts = [
            DenseLayer(
                growth_rate,
                bottleneck=bottleneck,
                rank=rank,
                norm=norm,
                activation=activation,
                dropout=dropout,
                dtype=self.dtype_policy,
                name=f"layer{i}",
            )
            for i in range(depth)
        ]

    def call(self, x):
        for part in self.parts:
            x = ops.concatenate([x, part(x)], axis=-1)
        return x


@register
class TransitionBlock(Block):
    """Normalize, activate, mix into fewer channels, and average every two positions a side.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / 2, channels * compression)`, with
    `rank` sides; both are rounded down.

    Args:
        compression: Output channels as a share of the input's; 0.5 in the paper's DenseNet-C.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization.
        activation: Name of the Keras activation.

    Raises:
        ValueError: If `compression` is not above 0, or leaves no channel.

    Reference: [Huang et al., 2016](https://arxiv.org/abs/1608.06993)

    >>> TransitionBlock()(np.ones((1, 8, 8, 6))).shape
    (1, 4, 4, 3)
    """

    def __init__(self, compression=0.5, *, rank=2, norm="batch", activation="relu", **kwargs):
        super().__init__(**kwargs)
        check_above_zero(compression=compression)
        if rank not in POOLS:
            raise ValueError(f"`rank` must be 1, 2 or 3. Received: rank={rank!r}.")
        make_norm(norm, 1)
        self.input_spec = layers.InputSpec(ndim=rank + 2)
        self.act = make_activation(activation, dtype=self.dtype_policy)
        self.pool = POOLS[rank](2, dtype=self.dtype_policy, name="pool")
        self.compression, self.rank, self.norm_spec = compression, rank, norm

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        filters = int(channels * self.compression)
        if filters < 1:
            raise ValueError(
                "`compression` must leave a channel. "
                f"Received: compression={self.compression}, channels={channels}."
            )
        self.norm = make_norm(self.norm_spec, channels, dtype=policy)
        self.conv = ConvNormAct(
            filters,
            1,
            rank=self.rank,
            norm="none",
            activation=None,
            use_bias=False,
            dtype=policy,
            name="conv",
        )
        super().build(input_shape)

    def call(self, x):
        return self.pool(self.conv(self.act(self.norm(x))))
