"""Blocks that make one vector of all positions."""

from keras import initializers, layers, ops

from blocks.attend import ScaledDotProduct, head_width, wide
from blocks.attention import split_heads
from blocks.base import (
    Block,
    PlainArguments,
    check_above_zero,
    check_channels,
    check_positive,
    check_rate,
    register,
)


@register
class GeneralizedMeanPooling(PlainArguments, layers.Layer):
    """The power mean of all positions, its power learned: between their mean and their maximum.

    It is computed in float32, relative to the largest value: no power of it overflows.

    Shape: `(batch, *sides, channels)` to `(batch, channels)`, with one, two or three sides.

    Args:
        power: Initial value of the one learned power, which training keeps at 1 (the mean)
            or above; 3 in the paper.
        epsilon: What smaller values, negative ones too, are raised to; 1e-6 in the paper's code.

    Raises:
        ValueError: If `power` is below 1 or `epsilon` is not above 0.

    Reference: [Radenović et al., 2017](https://arxiv.org/abs/1711.02512), equation 3

    >>> GeneralizedMeanPooling()(np.ones((2, 8, 8, 4))).shape
    (2, 4)
    """

    def __init__(self, power=3.0, *, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        check_above_zero(power=power, epsilon=epsilon)
        if power < 1:
            raise ValueError(f"`power` must be at least 1, the mean. Received: power={power!r}.")
        self.start, self.epsilon = power, epsilon
        self.input_spec = layers.InputSpec(min_ndim=3, max_ndim=5)

    def build(self, input_shape):
        check_channels(input_shape)
        self.power = self.add_weight(
            name="power",
            shape=(),
            initializer=initializers.Constant(self.start),
            constraint=lambda power: ops.maximum(power, 1.0),
            autocast=False,
        )

    def call(self, x):
        sides = tuple(range(1, len(x.shape) - 1))
        x = ops.maximum(wide(x), self.epsilon)
        largest = ops.stop_gradient(ops.max(x, axis=sides, keepdims=True))
        powers = ops.exp(ops.log(x / largest) * self.power)
        mean = ops.exp(ops.log(ops.mean(powers, axis=sides)) / self.power)
        return ops.cast(ops.squeeze(largest, sides) * mean, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])


@register
class AttentionPooling(Block):
    """Learned queries read from all positions, each in several heads.

    The queries are learned as the heads compare them with the keys, so no projection of them
    is needed. One query pools; several make a short sequence of any map or sequence.

    Shape: `(batch, *sides, channels)` to `(batch, channels)`, or with several queries to
    `(batch, num_queries, channels)`. A mask, `(batch, *sides)`, hides positions.

    Args:
        num_heads: Number of heads, which must divide the channels.
        num_queries: Number of learned queries.
        dropout: Share of the outputs made zero in training.

    Raises:
        ValueError: If `num_heads` does not divide the channels.

    Reference: [Lee et al., 2018](https://arxiv.org/abs/1810.00825), section 3.2, the attention
    of equation 11 alone

    >>> AttentionPooling(2)(np.ones((1, 5, 8))).shape
    (1, 8)
    """

    def __init__(self, num_heads=8, num_queries=1, *, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(num_heads=num_heads, num_queries=num_queries)
        check_rate(dropout=dropout)
        self.num_heads, self.num_queries = num_heads, num_queries
        self.attend = ScaledDotProduct(dtype=self.dtype_policy, name="attend")
        self.dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.input_spec = layers.InputSpec(min_ndim=3, max_ndim=5)
        self.supports_masking = True

    def build(self, input_shape):
        policy, channels = self.dtype_policy, input_shape[-1]
        width = head_width(channels, self.num_heads)
        several = [self.num_queries] * (self.num_queries > 1)
        self.queries = Queries(self.num_queries, dtype=policy, name="queries")
        self.key_value = layers.Dense(2 * channels, dtype=policy, name="key_value")
        self.split = split_heads(self.num_heads, width, dtype=policy, name="split")
        self.merge = layers.Reshape((*several, channels), dtype=policy, name="merge")
        self.key_mask = layers.Reshape((1, 1, -1), dtype=policy, name="key_mask")
        self.output_projection = layers.Dense(channels, dtype=policy, name="output")
        super().build(input_shape)

    def call(self, x, mask=None):
        key, value = map(self.split, ops.split(self.key_value(x), 2, axis=-1))
        seen = None if mask is None else self.key_mask(mask)
        y = self.attend([self.queries(key), key, value], visible=seen)
        return self.dropout(self.output_projection(self.merge(y)))

    def compute_mask(self, inputs, previous_mask):
        return None  # the positions are gone


@register
class Queries(PlainArguments, layers.Layer):
    """Learned queries, the same for every sample of the batch it is given.

    Shape: `(batch, length, num_heads, width)` to `(batch, number, num_heads, width)`.

    >>> Queries(3)(np.ones((1, 5, 2, 4))).shape
    (1, 3, 2, 4)
    """

    def __init__(self, number, **kwargs):
        super().__init__(**kwargs)
        self.number = number

    def build(self, input_shape):
        self.values = self.add_weight(
            name="values",
            shape=(self.number, *input_shape[2:]),
            initializer=initializers.RandomNormal(),
        )

    def call(self, x):
        return ops.zeros_like(x[:, :1]) + self.values

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.number, *input_shape[2:])
