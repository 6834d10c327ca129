"""Blocks that mix positions by attention."""

from keras import layers, ops

from blocks.base import Block, check_positive, check_rate, register


@register
class SelfAttention(Block):
    """Every position reads from every other, in several heads.

    Shape: `(batch, length, channels)` to the same. A mask, `(batch, length)`, hides
    positions from all others.

    Args:
        num_heads: Number of heads, which must divide the channels.
        causal: Whether a position reads only from itself and those before it.
        dropout: Share of the outputs made zero in training.

    Raises:
        ValueError: If `num_heads` does not divide the channels.

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)

    >>> SelfAttention(2)(np.ones((1, 5, 8))).shape
    (1, 5, 8)
    """

    def __init__(self, num_heads=8, *, causal=False, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(num_heads=num_heads)
        check_rate(dropout=dropout)
        self.num_heads, self.causal = num_heads, causal
        self.dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.input_spec = layers.InputSpec(ndim=3)
        self.supports_masking = True

    def build(self, input_shape):
        policy, channels = self.dtype_policy, input_shape[-1]
        width = head_width(channels, self.num_heads)
        self.project = layers.Dense(3 * channels, dtype=policy, name="project")
        self.split = layers.Reshape((-1, self.num_heads, width), dtype=policy, name="split")
        self.merge = layers.Reshape((-1, channels), dtype=policy, name="merge")
        self.output_projection = layers.Dense(channels, dtype=policy, name="output")
        super().build(input_shape)

    def call(self, x, mask=None):
        query, key, value = map(self.split, ops.split(self.project(x), 3, axis=-1))
        y = ops.dot_product_attention(query, key, value, mask=key_mask(mask), is_causal=self.causal)
        return self.dropout(self.output_projection(self.merge(y)))


def head_width(channels, num_heads):
    """Return the channels of a head, or say that the heads do not divide them."""
    width, rest = divmod(channels, num_heads)
    if rest:
        raise ValueError(
            "`num_heads` must divide the channels. "
            f"Received: num_heads={num_heads}, channels={channels}."
        )
    return width


def key_mask(mask):
    """Return a mask of positions, `(batch, length)`, as one that all heads and queries see."""
    return None if mask is None else mask[:, None, None, :]
