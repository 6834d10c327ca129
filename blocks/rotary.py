"""Positions told by turning pairs of channels."""

import numpy as np
from keras import layers, ops

from blocks.base import PlainArguments, check_above_zero, check_channels, register


@register
class RotaryEmbedding(PlainArguments, layers.Layer):
    """Turn pairs of channels by angles that grow with their position.

    The product of a turned query and a turned key depends on the distance of their positions
    alone. Channel `i` is paired with channel `i + width / 2`, as in GPT-NeoX and Llama; the
    paper pairs neighbours, which is the same network with its channels in another order.

    Shape: `(batch, *sides, heads, width)` to the same. With two sides, the first half of each
    head is turned by the row, the second by the column.

    Args:
        rank: Number of sides: 1 for sequences, 2 for maps, 3 for volumes.
        base: The slowest angle's wave is almost `2 * pi * base` positions long; 10000 in
            the paper.

    Raises:
        ValueError: If the channels of a head are not a multiple of `2 * rank`.

    Reference: [Su et al., 2021](https://arxiv.org/abs/2104.09864)

    >>> RotaryEmbedding()(np.ones((1, 5, 2, 4))).shape
    (1, 5, 2, 4)
    """

    def __init__(self, rank=1, *, base=10000.0, **kwargs):
        super().__init__(**kwargs)
        check_above_zero(base=base)
        if isinstance(rank, bool) or rank not in (1, 2, 3):
            raise ValueError(f"`rank` must be one of [1, 2, 3]. Received: rank={rank!r}.")
        self.rank, self.base = rank, base
        self.input_spec = layers.InputSpec(ndim=rank + 3)
        self.supports_masking = True

    def build(self, input_shape):
        check_channels(input_shape)
        if input_shape[-1] % (2 * self.rank):
            raise ValueError(
                f"The channels of a head must be a multiple of {2 * self.rank}, to be turned in "
                f"pairs. Received: input_shape={tuple(input_shape)}."
            )

    def call(self, x):
        parts = ops.split(x, self.rank, axis=-1)
        return ops.concatenate([self.turn(part, i) for i, part in enumerate(parts)], axis=-1)

    def turn(self, x, side):
        """Turn the two halves of `x` by the position along a side."""
        half = x.shape[-1] // 2
        speeds = self.base ** (-np.arange(half, dtype="float32") / half)
        places = ops.arange(ops.shape(x)[side + 1], dtype="float32")
        places = ops.reshape(places, (-1, *[1] * (self.rank - side + 1)))
        angles = ops.multiply(places, speeds)
        cos, sin = ops.cast(ops.cos(angles), x.dtype), ops.cast(ops.sin(angles), x.dtype)
        a, b = ops.split(x, 2, axis=-1)
        return ops.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape
