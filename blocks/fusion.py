"""Blocks that make one tensor of several."""

import functools
import operator

from keras import layers, ops

from blocks.attend import ScaledDotProduct, head_width, key_mask
from blocks.attention import check_reader, split_heads
from blocks.base import Block, check_positive, check_rate, make_activation, register


@register
class ConcatFusion(Block):
    """Put the inputs side by side and project them together.

    Shape: a list of `(batch, ..., channels_i)`, equal but for the channels, to
    `(batch, ..., units)`.

    Args:
        units: Number of output channels.
        activation: Name of a Keras activation.
        dropout: Share of the outputs made zero in training.

    Raises:
        ValueError: If there are fewer than two inputs, or their sides differ.

    >>> ConcatFusion(6)([np.ones((2, 3)), np.ones((2, 5))]).shape
    (2, 6)
    """

    def __init__(self, units, *, activation="relu", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        check_rate(dropout=dropout)
        policy = self.dtype_policy
        self.dense = layers.Dense(units, dtype=policy, name="dense")
        self.act = make_activation(activation, dtype=policy)
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape):
        check_inputs(input_shape)
        super().build(input_shape)

    def call(self, inputs):
        return self.dropout(self.act(self.dense(ops.concatenate(inputs, axis=-1))))


@register
class GatedFusion(Block):
    """Project each input, and mix them by gates computed from all of them.

    The gates of a channel sum to one over the inputs.

    Shape: a list of `(batch, ..., channels_i)`, equal but for the channels and with two sides
    at most, to `(batch, ..., units)`.

    Args:
        units: Number of output channels.
        activation: Name of the Keras activation of the projections; `"tanh"` in the paper.

    Raises:
        ValueError: If there are fewer than two inputs, or their sides differ.

    Reference: [Arevalo et al., 2017](https://arxiv.org/abs/1702.01992), equation 2, with a
    softmax over the inputs, so that there may be more than two

    >>> GatedFusion(6)([np.ones((2, 3)), np.ones((2, 5))]).shape
    (2, 6)
    """

    def __init__(self, units, *, activation="tanh", **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        self.units = units
        self.act = make_activation(activation, dtype=self.dtype_policy)

    def build(self, input_shape):
        check_inputs(input_shape)
        if len(input_shape[0]) > 4:
            raise ValueError(
                "Gated inputs have two sides at most. "
                f"Received: input_shape={input_shape}. Merge sides with keras.layers.Reshape."
            )

        def dense(name):
            return [
                layers.Dense(self.units, dtype=self.dtype_policy, name=f"{name}{i}")
                for i in range(len(input_shape))
            ]

        self.projections, self.gates = dense("project"), dense("gate")
        super().build(input_shape)

    def call(self, inputs):
        together = ops.concatenate(inputs, axis=-1)
        gates = ops.softmax(ops.stack([gate(together) for gate in self.gates], axis=-1), axis=-1)
        values = [self.act(project(x)) for project, x in zip(self.projections, inputs)]
        return ops.sum(gates * ops.stack(values, axis=-1), axis=-1)


@register
class BilinearFusion(Block):
    """Project each input to a few factors, multiply these, and project what comes of it.

    It is a product of every feature of one input with every feature of the others, of a low
    rank.

    Shape: a list of `(batch, ..., channels_i)`, equal but for the channels, to
    `(batch, ..., units)`.

    Args:
        units: Number of output channels.
        rank: Number of factors; by default `units`.
        activation: Name of the Keras activation of the factors; `"tanh"` in the paper.
        dropout: Share of the outputs made zero in training.

    Raises:
        ValueError: If there are fewer than two inputs, or their sides differ.

    Reference: [Kim et al., 2016](https://arxiv.org/abs/1610.04325), equation 8

    >>> BilinearFusion(6, 16)([np.ones((2, 3)), np.ones((2, 5))]).shape
    (2, 6)
    """

    def __init__(self, units, rank=None, *, activation="tanh", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units, rank=units if rank is None else rank)
        check_rate(dropout=dropout)
        policy = self.dtype_policy
        self.rank = units if rank is None else rank
        self.act = make_activation(activation, dtype=policy)
        self.dense = layers.Dense(units, dtype=policy, name="dense")
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape):
        check_inputs(input_shape)
        self.projections = [
            layers.Dense(self.rank, dtype=self.dtype_policy, name=f"project{i}")
            for i in range(len(input_shape))
        ]
        super().build(input_shape)

    def call(self, inputs):
        factors = [self.act(project(x)) for project, x in zip(self.projections, inputs)]
        return self.dropout(self.dense(functools.reduce(operator.mul, factors)))


@register
class CrossAttentionFusion(Block):
    """Let every position of the first input read from the second, and add what it reads.

    Shape: a list of two, `(batch, length, channels)` and
    `(batch, other_length, other_channels)`, to `(batch, length, channels)`. A mask of the
    second hides its positions; that of the first is handed on.

    Args:
        num_heads: Number of heads, which must divide the first input's channels.
        dropout: Share of what is read made zero in training.

    Raises:
        ValueError: If there are not two inputs, or `num_heads` does not divide the channels.

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), the decoder's second
    attention

    >>> CrossAttentionFusion(2)([np.ones((1, 5, 8)), np.ones((1, 3, 6))]).shape
    (1, 5, 8)
    """

    def __init__(self, num_heads=8, *, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(num_heads=num_heads)
        check_rate(dropout=dropout)
        policy = self.dtype_policy
        self.num_heads = num_heads
        self.norm1 = layers.LayerNormalization(dtype=policy, name="norm1")
        self.norm2 = layers.LayerNormalization(dtype=policy, name="norm2")
        self.attend = ScaledDotProduct(dtype=policy, name="attend")
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")
        self.supports_masking = True

    def build(self, input_shape):
        check_reader(input_shape)
        policy, channels = self.dtype_policy, input_shape[0][-1]
        width = head_width(channels, self.num_heads)
        self.query = layers.Dense(channels, dtype=policy, name="query")
        self.key_value = layers.Dense(2 * channels, dtype=policy, name="key_value")
        self.split = split_heads(self.num_heads, width, dtype=policy, name="split")
        self.merge = layers.Reshape((-1, channels), dtype=policy, name="merge")
        self.output_projection = layers.Dense(channels, dtype=policy, name="output")
        super().build(input_shape)

    def call(self, inputs, mask=None):
        x, context = inputs
        # A split in one: what an operation gives carries no mask, which reshaping would destroy.
        (query,) = map(self.split, ops.split(self.query(self.norm1(x)), 1, axis=-1))
        key, value = map(self.split, ops.split(self.key_value(self.norm2(context)), 2, axis=-1))
        y = self.attend([query, key, value], visible=key_mask(mask and mask[1]))
        return x + self.dropout(self.output_projection(self.merge(y)))

    def compute_mask(self, inputs, previous_mask):
        return previous_mask and previous_mask[0]


def check_inputs(input_shape):
    """Raise where the shapes are not two or more that differ in their channels alone."""
    shapes = list(input_shape)
    if len(shapes) < 2 or not isinstance(shapes[0], (list, tuple)):
        raise ValueError(
            f"A list of at least two inputs is needed. Received: input_shape={input_shape}."
        )
    if any(len(shape) != len(shapes[0]) for shape in shapes) or any(
        len(set(sides) - {None}) > 1 for sides in list(zip(*shapes))[:-1]
    ):
        raise ValueError(
            "The inputs may differ in their last axis only. "
            f"Received: input_shape={input_shape}. Pool or resize them to the same sides."
        )
