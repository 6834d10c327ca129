"""Attention whose cost grows with the number of positions, not with its square."""

import math

from keras import layers, ops

from blocks.attend import head_width, wide
from blocks.base import Block, PlainArguments, check_positive, check_rate, register

FEATURES = {"elu": lambda x: ops.elu(x) + 1, "relu": ops.relu}


@register
class LinearAttention(Block):
    """Every position reads from every other through a summary of a fixed size.

    The softmax of attention is replaced by a product of features: what is read is
    `f(q) (f(k)' v) / f(q) sum(f(k))`, and `f(k)' v` is the same for all positions.

    Shape: `(batch, *sides, channels)` to the same. A mask, `(batch, *sides)`, hides positions
    from all others.

    Args:
        num_heads: Number of heads, which must divide the channels.
        feature_map: `"elu"`, `f(x) = elu(x) + 1`, or `"relu"`, as EfficientViT for maps.
        dropout: Share of the outputs made zero in training.

    Raises:
        ValueError: If `num_heads` does not divide the channels.

    Reference: [Katharopoulos et al., 2020](https://arxiv.org/abs/2006.16236);
    [Cai et al., 2022](https://arxiv.org/abs/2205.14756) (ReLU)

    >>> LinearAttention(2)(np.ones((1, 4, 5, 8))).shape
    (1, 4, 5, 8)
    """

    def __init__(self, num_heads=8, *, feature_map="elu", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(num_heads=num_heads)
        check_rate(dropout=dropout)
        if not isinstance(feature_map, str) or feature_map not in FEATURES:
            raise ValueError(
                f"`feature_map` must be one of {[*FEATURES]}. "
                f"Received: feature_map={feature_map!r}."
            )
        self.num_heads = num_heads
        self.attend = LinearProduct(num_heads, feature_map, dtype=self.dtype_policy, name="attend")
        self.dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.input_spec = layers.InputSpec(min_ndim=3)
        self.supports_masking = True

    def build(self, input_shape):
        channels = input_shape[-1]
        head_width(channels, self.num_heads)
        self.project = layers.Dense(3 * channels, dtype=self.dtype_policy, name="project")
        self.output_projection = layers.Dense(channels, dtype=self.dtype_policy, name="output")
        super().build(input_shape)

    def call(self, x, mask=None):
        parts = ops.split(self.project(x), 3, axis=-1)
        return self.dropout(self.output_projection(self.attend(parts, visible=mask)))


@register
class LinearProduct(PlainArguments, layers.Layer):
    """Mix values by the products of the features of keys and queries.

    Shape: a list of queries, keys and values, each `(batch, *sides, channels)`, to the same.
    `visible`, boolean, `(batch, *sides)`, hides positions.

    Args:
        num_heads: Number of heads, which must divide the channels.
        feature_map: A key of `FEATURES`.

    >>> LinearProduct(2, "elu")([np.ones((1, 5, 8))] * 3).shape
    (1, 5, 8)
    """

    def __init__(self, num_heads, feature_map, **kwargs):
        super().__init__(**kwargs)
        self.num_heads, self.feature_map = num_heads, feature_map

    def call(self, inputs, visible=None):
        query, key, value = map(self.heads, inputs)
        feature = FEATURES[self.feature_map]
        query, key = feature(query), feature(key)
        if visible is not None:
            visible = ops.reshape(visible, (-1, 1, ops.shape(key)[2], 1))
            key = key * ops.cast(visible, key.dtype)
        # Means over the positions, whose sums could leave half precision and fill int8 unevenly.
        key = ops.swapaxes(key, -2, -1)
        summary = ops.matmul(key, value / ops.cast(ops.shape(value)[2], value.dtype))
        total = ops.mean(key, axis=-1, keepdims=True)
        total = ops.matmul(query, total)
        # ReLU may leave a query that agrees with nothing; an epsilon would be 0 in float16 files.
        y = ops.matmul(query, summary) / ops.where(total > 0, total, 1.0)
        y = ops.reshape(ops.swapaxes(y, 1, 2), (-1, *ops.shape(inputs[0])[1:]))
        return ops.cast(y, inputs[0].dtype)

    def heads(self, x):
        """Return `(batch, *sides, channels)` as `(batch, heads, positions, width)`."""
        *sides, channels = ops.shape(x)[1:]
        shape = (-1, math.prod(sides), self.num_heads, channels // self.num_heads)
        return wide(ops.swapaxes(ops.reshape(x, shape), 1, 2))

    def compute_output_shape(self, input_shape):
        return input_shape[0]
