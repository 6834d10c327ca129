"""Attention and a small network for every position, each added to its input."""

from keras import layers

from blocks.attention import SelfAttention
from blocks.base import (
    Block,
    check_above_zero,
    check_positive,
    check_rate,
    make_activation,
    make_norm,
    register,
)
from blocks.scale import DropPath


@register
class TransformerEncoder(Block):
    """Self-attention, then two dense layers, each normalized before and added to its input.

    Shape: `(batch, length, channels)` to the same. A mask, `(batch, length)`, hides
    positions from all others.

    Args:
        num_heads: Number of attention heads, which must divide the channels.
        expansion: Units of the first dense layer, as a multiple of the channels; 4 in the
            paper.
        causal: Whether a position reads only from itself and those before it.
        norm: Name of the normalization; `"layer"` in the paper.
        activation: Name of the Keras activation of the first dense layer.
        dropout: Share of each branch's outputs made zero in training.
        drop_path: Share of the samples whose branch is left out in training.

    Raises:
        ValueError: If `num_heads` does not divide the channels.

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), with the
    normalization first, as [Xiong et al., 2020](https://arxiv.org/abs/2002.04745)

    >>> TransformerEncoder(2)(np.ones((1, 5, 8))).shape
    (1, 5, 8)
    """

    def __init__(
        self,
        num_heads=8,
        *,
        expansion=4,
        causal=False,
        norm="layer",
        activation="gelu",
        dropout=0.0,
        drop_path=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_heads=num_heads)
        check_rate(dropout=dropout)
        check_above_zero(expansion=expansion)
        policy = self.dtype_policy
        make_norm(norm, 1)  # an unknown name is told now, the layers need the channels
        self.norm, self.expansion = norm, expansion
        self.attention = SelfAttention(
            num_heads, causal=causal, dropout=dropout, dtype=policy, name="attention"
        )
        self.act = make_activation(activation, dtype=policy)
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")
        self.drop_path1 = DropPath(drop_path, dtype=policy, name="drop_path1")
        self.drop_path2 = DropPath(drop_path, dtype=policy, name="drop_path2")
        self.input_spec = layers.InputSpec(ndim=3)
        self.supports_masking = True

    def build(self, input_shape):
        policy, channels = self.dtype_policy, input_shape[-1]
        self.norm1 = make_norm(self.norm, channels, dtype=policy, name="norm1")
        self.norm2 = make_norm(self.norm, channels, dtype=policy, name="norm2")
        units = max(1, round(channels * self.expansion))
        self.widen = layers.Dense(units, dtype=policy, name="widen")
        self.narrow = layers.Dense(channels, dtype=policy, name="narrow")
        super().build(input_shape)

    def call(self, x, mask=None):
        x = x + self.drop_path1(self.attention(self.norm1(x), mask=mask))
        return x + self.drop_path2(self.dropout(self.narrow(self.act(self.widen(self.norm2(x))))))
