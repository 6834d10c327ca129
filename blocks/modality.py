"""Inputs that may be missing."""

import keras
from keras import layers, ops

from blocks.base import PlainArguments, check_rate, register


@register
class ModalityDropout(PlainArguments, layers.Layer):
    """Put a learned vector in the place of inputs that are missing, and learn to do without them.

    The last input says which of the others are there. In training a share of those that are
    there are taken away too, by sample, but never the last one left.

    Shape: a list of two or more `(batch, ..., channels_i)`, and last `(batch, inputs)`, 1 where
    an input is there and 0 where it is missing, to a list of the same but the last. What stands
    in a missing input does not matter, as long as it is finite.

    Args:
        rate: Chance of an input to be taken away in training.
        seed: Seed of the draws, a whole number; `None` draws one.

    Raises:
        ValueError: If there are fewer than two inputs beside the last, which needs a number for
            each of them.

    Reference: [Neverova et al., 2015](https://arxiv.org/abs/1501.00102) (ModDrop), with
    vectors instead of zeros

    >>> image, table, there = np.ones((1, 8)), np.ones((1, 3)), np.array([[1.0, 0.0]])
    >>> _, table = ModalityDropout(0.3)([image, table, there])
    >>> keras.ops.convert_to_numpy(table).tolist()
    [[0.0, 0.0, 0.0]]
    """

    def __init__(self, rate=0.0, *, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_rate(rate=rate)
        self.rate = rate
        self.random = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        *shapes, there = input_shape
        if len(shapes) < 2 or len(there) != 2 or there[-1] != len(shapes):
            raise ValueError(
                "A list of at least two inputs is needed, and last one number for each of them: "
                f"(batch, {max(2, len(shapes))}). Received: input_shape={input_shape}."
            )
        self.missing = [
            self.add_weight(name=f"missing{i}", shape=shape[-1:], initializer="zeros")
            for i, shape in enumerate(shapes)
        ]

    def call(self, inputs, training=False):
        *inputs, there = inputs
        there = ops.cast(there, self.compute_dtype)
        if training and self.rate:
            there = kept(there, self.rate, self.random)
        columns = ops.split(there, len(inputs), axis=1)
        return [
            self.either(column, x, missing)
            for column, x, missing in zip(columns, inputs, self.missing)
        ]

    def either(self, there, x, missing):
        """Return an input where it is there, and its vector where it is not."""
        share = ops.reshape(there, (-1,) + (1,) * (len(x.shape) - 1))
        return share * x + (1 - share) * ops.cast(missing, x.dtype)

    def compute_output_shape(self, input_shape):
        return list(input_shape)[:-1]


def kept(there, rate, seed):
    """Return which inputs are there after a share is taken away, by sample, but never the last."""
    drawn = keras.random.uniform(ops.shape(there), seed=seed)
    left = there * ops.cast(drawn >= rate, there.dtype)
    return ops.where(ops.any(left > 0, axis=1, keepdims=True), left, there)
