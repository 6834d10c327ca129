"""Blocks that mix positions by attention."""

from keras import layers, ops

from blocks.attend import ScaledDotProduct, head_width, key_mask
from blocks.base import Block, check_positive, check_rate, register
from blocks.rotary import RotaryEmbedding


@register
class SelfAttention(Block):
    """Every position reads from every other, in several heads.

    Shape: `(batch, length, channels)` to the same. A mask, `(batch, length)`, hides
    positions from all others.

    Args:
        num_heads: Number of heads, which must divide the channels.
        num_kv_heads: Number of heads of the keys and values, each read by several heads
            (grouped-query attention); by default as many as `num_heads`.
        causal: Whether a position reads only from itself and those before it.
        rotary: Whether queries and keys are turned by their positions: `RotaryEmbedding`.
        dropout: Share of the outputs made zero in training.

    Raises:
        ValueError: If `num_heads` does not divide the channels, or `num_kv_heads` the heads.

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762);
    [Ainslie et al., 2023](https://arxiv.org/abs/2305.13245) (grouped queries)

    >>> SelfAttention(2)(np.ones((1, 5, 8))).shape
    (1, 5, 8)
    """

    def __init__(
        self,
        num_heads=8,
        *,
        num_kv_heads=None,
        causal=False,
        rotary=False,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_rate(dropout=dropout)
        policy = self.dtype_policy
        self.num_heads = num_heads
        self.num_kv_heads = kv_heads(num_heads, num_kv_heads)
        self.rotate = (RotaryEmbedding if rotary else layers.Identity)(dtype=policy, name="rotate")
        self.attend = ScaledDotProduct(causal, dtype=policy, name="attend")
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")
        self.input_spec = layers.InputSpec(ndim=3)
        self.supports_masking = True

    def build(self, input_shape):
        policy, channels = self.dtype_policy, input_shape[-1]
        width = head_width(channels, self.num_heads)
        inner = self.num_kv_heads * width
        self.cuts = [channels, channels + inner]
        self.project = layers.Dense(channels + 2 * inner, dtype=policy, name="project")
        self.split = split_heads(self.num_heads, width, dtype=policy, name="split")
        self.split_kv = split_heads(self.num_kv_heads, width, dtype=policy, name="split_kv")
        self.merge = layers.Reshape((-1, channels), dtype=policy, name="merge")
        self.output_projection = layers.Dense(channels, dtype=policy, name="output")
        super().build(input_shape)

    def call(self, x, mask=None):
        query, key, value = ops.split(self.project(x), self.cuts, axis=-1)
        query, key = self.rotate(self.split(query)), self.rotate(self.split_kv(key))
        y = self.attend([query, key, self.split_kv(value)], visible=key_mask(mask))
        return self.dropout(self.output_projection(self.merge(y)))


@register
class CrossAttention(Block):
    """Every position of the first input reads from the second, in several heads.

    Shape: a list of two, who reads and what is read, `(batch, length, channels)` and
    `(batch, other_length, other_channels)`, to `(batch, length, channels)`. A mask of the
    second hides its positions; that of the first is handed on.

    Args:
        num_heads: Number of heads, which must divide the first input's channels.
        num_kv_heads: Number of heads of the keys and values, each read by several heads
            (grouped-query attention); by default as many as `num_heads`.
        dropout: Share of the outputs made zero in training.

    Raises:
        ValueError: If there are not two inputs, or `num_heads` does not divide the channels,
            or `num_kv_heads` the heads.

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762);
    [Ainslie et al., 2023](https://arxiv.org/abs/2305.13245) (grouped queries)

    >>> CrossAttention(2)([np.ones((1, 5, 8)), np.ones((1, 3, 6))]).shape
    (1, 5, 8)
    """

    def __init__(self, num_heads=8, *, num_kv_heads=None, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_rate(dropout=dropout)
        policy = self.dtype_policy
        self.num_heads = num_heads
        self.num_kv_heads = kv_heads(num_heads, num_kv_heads)
        self.attend = ScaledDotProduct(dtype=policy, name="attend")
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")
        self.supports_masking = True

    def build(self, input_shape):
        check_reader(input_shape)
        policy, channels = self.dtype_policy, input_shape[0][-1]
        width = head_width(channels, self.num_heads)
        inner = 2 * self.num_kv_heads * width
        self.query = layers.Dense(channels, dtype=policy, name="query")
        self.key_value = layers.Dense(inner, dtype=policy, name="key_value")
        self.split = split_heads(self.num_heads, width, dtype=policy, name="split")
        self.split_kv = split_heads(self.num_kv_heads, width, dtype=policy, name="split_kv")
        self.merge = layers.Reshape((-1, channels), dtype=policy, name="merge")
        self.output_projection = layers.Dense(channels, dtype=policy, name="output")
        super().build(input_shape)

    def call(self, inputs, mask=None):
        x, context = inputs
        # A split in one: what an operation gives carries no mask, which reshaping would destroy.
        (query,) = map(self.split, ops.split(self.query(x), 1, axis=-1))
        key, value = map(self.split_kv, ops.split(self.key_value(context), 2, axis=-1))
        y = self.attend([query, key, value], visible=key_mask(mask and mask[1]))
        return self.dropout(self.output_projection(self.merge(y)))

    def compute_mask(self, inputs, previous_mask):
        return previous_mask and previous_mask[0]


def split_heads(num_heads, width, **kwargs):
    """Return the layer from `(batch, length, channels)` to `(batch, length, heads, width)`."""
    return layers.Reshape((-1, num_heads, width), **kwargs)


def kv_heads(num_heads, num_kv_heads):
    """Return the number of heads of keys and values, or say that it does not divide the heads."""
    check_positive(num_heads=num_heads)
    if num_kv_heads is None:
        return num_heads
    check_positive(num_kv_heads=num_kv_heads)
    if num_heads % num_kv_heads:
        raise ValueError(
            "`num_kv_heads` must divide `num_heads`. "
            f"Received: num_kv_heads={num_kv_heads}, num_heads={num_heads}."
        )
    return num_kv_heads


def check_reader(input_shape):
    """Raise where the shapes are not those of two sequences."""
    if len(input_shape) != 2 or any(
        not isinstance(shape, (list, tuple)) or len(shape) != 3 for shape in input_shape
    ):
        raise ValueError(
            "Two inputs of shape (batch, length, channels) are needed, the one that reads "
            f"and the one it reads from. Received: input_shape={input_shape}."
        )
