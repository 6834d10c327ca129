"""Dropping whole regions of a map."""

import keras
from keras import layers, ops

from blocks.base import PlainArguments, check_positive, check_rate, register


@register
class DropBlock(PlainArguments, layers.Layer):
    """In training, make squares of every channel zero and scale up what is left.

    Neighbours hold nearly the same, so that dropping single positions hides little. What is
    left is divided by its share of the batch: the mean of a map of ones stays one.

    Shape: `(batch, *sides, channels)` to the same, with one, two or three sides.

    Args:
        rate: Share of the positions to drop, in [0, 1); squares overlap, so that somewhat
            fewer are. 0.1 in the paper's ResNet-50.
        block_size: Side of a square, in positions; 7 in the paper. On a shorter side it is
            the whole side.
        seed: Seed of the draws, a whole number; `None` draws one.

    Raises:
        ValueError: If `rate` lies outside [0, 1).

    Reference: [Ghiasi et al., 2018](https://arxiv.org/abs/1810.12890), algorithm 1

    >>> DropBlock(0.1)(np.ones((2, 8, 8, 4))).shape
    (2, 8, 8, 4)
    """

    def __init__(self, rate=0.1, block_size=7, *, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_rate(rate=rate)
        check_positive(block_size=block_size)
        self.rate, self.block_size = rate, block_size
        self.random = keras.random.SeedGenerator(seed)
        self.input_spec = layers.InputSpec(min_ndim=3, max_ndim=5)
        self.supports_masking = True

    def build(self, input_shape):
        pass

    def call(self, x, training=False):
        if not training or not self.rate:
            return x
        shape = ops.shape(x)
        chance, fits = self.rate, True
        for axis in range(1, len(shape) - 1):
            side = shape[axis]  # open sides are tensors here
            block = ops.minimum(side, self.block_size)
            places = side - block + 1
            chance = chance * ops.cast(side, "float32") / ops.cast(block * places, "float32")
            place = ops.arange(side) - block // 2
            inside = (place >= 0) & (place < places)
            fits = fits & ops.reshape(inside, (-1,) + (1,) * (len(shape) - 1 - axis))
        middles = (keras.random.uniform(shape, seed=self.random) < chance) & fits
        kept = 1 - ops.max_pool(ops.cast(middles, "float32"), self.block_size, 1, "same")
        scale = 1 / ops.maximum(ops.mean(kept), keras.config.epsilon())
        return x * ops.cast(kept * scale, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
