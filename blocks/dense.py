"""Dense connections: every layer reads what all before it made."""

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
from blocks.conv import ConvNormAct
from blocks.window import make_pool


@register
class DenseBlock(Block):
    """Layers of which each adds channels to all that came before it.

    Shape: `(batch, *sides, channels)` to `(batch, *sides, channels + depth * growth_rate)`, with
    `rank` sides.

    Args:
        depth: Number of layers.
        growth_rate: Channels that each layer adds.
        expansion: Channels of the 1x1 convolution before each layer's own, as a multiple of
            `growth_rate`; 4 in the paper. `None` for no such convolution.
        kernel_size: Side of each layer's own kernel, in positions.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization before each convolution.
        activation: Name of a Keras activation.

    Reference: [Huang et al., 2017](https://arxiv.org/abs/1608.06993)

    >>> DenseBlock(4, growth_rate=8)(np.ones((1, 16, 16, 3))).shape
    (1, 16, 16, 35)
    """

    def __init__(
        self,
        depth,
        growth_rate=32,
        *,
        expansion=4,
        kernel_size=3,
        rank=2,
        norm="batch",
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(depth=depth)
        options = {"rank": rank, "norm": norm, "activation": activation}
        options |= {"expansion": expansion, "kernel_size": kernel_size}
        self.parts = [
            DenseLayer(growth_rate, **options, dtype=self.dtype_policy, name=f"layer{i}")
            for i in range(depth)
        ]

    def call(self, x):
        for part in self.parts:
            x = ops.concatenate([x, part(x)], axis=-1)
        return x


@register
class DenseLayer(Block):
    """The channels that one layer of a `DenseBlock` adds; its arguments."""

    def __init__(self, growth_rate, *, expansion, kernel_size, rank, norm, activation, **kwargs):
        super().__init__(**kwargs)
        check_positive(growth_rate=growth_rate)
        policy = self.dtype_policy
        self.narrow = layers.Identity(dtype=policy, name="narrow")
        if expansion is not None:
            check_positive(expansion=expansion)
            common = {"rank": rank, "norm": norm, "activation": activation, "dtype": policy}
            self.narrow = ConvNormAct(expansion * growth_rate, 1, name="narrow", **common)
        self.conv = _conv(growth_rate, kernel_size, rank, norm, dtype=policy)
        self.act = make_activation(activation, dtype=policy)
        self.norm_spec = norm

    def build(self, input_shape):
        self.norm = make_norm(self.norm_spec, input_shape[-1], dtype=self.dtype_policy)
        super().build(input_shape)

    def call(self, x):
        return self.conv(self.narrow(self.act(self.norm(x))))


@register
class TransitionBlock(Block):
    """Between two `DenseBlock`s: fewer channels, and sides half as long.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / 2, channels * compression)`, with
    `rank` sides, rounded down.

    Args:
        compression: Share of the channels that is kept; 0.5 in the paper.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization before the 1x1 convolution.
        activation: Name of a Keras activation.

    Raises:
        ValueError: If no channel would be left.

    Reference: [Huang et al., 2017](https://arxiv.org/abs/1608.06993)

    >>> TransitionBlock()(np.ones((1, 16, 16, 8))).shape
    (1, 8, 8, 4)
    """

    def __init__(self, compression=0.5, *, rank=2, norm="batch", activation="relu", **kwargs):
        super().__init__(**kwargs)
        check_above_zero(compression=compression)
        if compression > 1:
            raise ValueError(
                f"`compression` must be at most 1. Received: compression={compression}."
            )
        policy = self.dtype_policy
        _conv(1, 1, rank, norm, dtype=policy)  # a wrong rank or norm is told now
        self.act = make_activation(activation, dtype=policy)
        self.pool = make_pool("avg", 2, 2, "valid", rank=rank, dtype=policy, name="pool")
        self.compression, self.rank, self.norm_spec = compression, rank, norm

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        if any(side is not None and side < 2 for side in input_shape[1:-1]):
            raise ValueError(
                "Every side must have two positions, which become one. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        filters = int(channels * self.compression)
        if filters < 1:
            raise ValueError(
                "A channel at least must be left. "
                f"Received: compression={self.compression}, input_shape={tuple(input_shape)}."
            )
        self.norm = make_norm(self.norm_spec, channels, dtype=policy)
        self.conv = _conv(filters, 1, self.rank, self.norm_spec, dtype=policy)
        super().build(input_shape)

    def call(self, x):
        return self.pool(self.conv(self.act(self.norm(x))))


def _conv(filters, kernel_size, rank, norm, **kwargs):
    """Return a convolution alone, with a bias where no norm reads what it makes."""
    make_norm(norm, 1)
    kwargs |= {"rank": rank, "norm": "none", "activation": None, "name": "conv"}
    return ConvNormAct(filters, kernel_size, use_bias=not has_norm(norm), **kwargs)
