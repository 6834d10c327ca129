"""Leaves that scale what passes: learned by channel, or at random by sample."""

import keras
from keras import initializers, layers

from blocks.base import PlainArguments, check_above_zero, check_rate, register


@register
class LayerScale(PlainArguments, layers.Layer):
    """Multiply every channel by a learned number that starts small.

    Shape: `(..., channels)` to the same.

    Args:
        start: Initial value of every number; in the paper 0.1 for networks of up to 18 blocks,
            1e-5 for 24, and 1e-6 for deeper ones. ConvNeXt takes 1e-6.

    Reference: [Touvron et al., 2021](https://arxiv.org/abs/2103.17239)

    >>> LayerScale()(np.ones((2, 8, 4))).shape
    (2, 8, 4)
    """

    def __init__(self, start=1e-5, **kwargs):
        super().__init__(**kwargs)
        check_above_zero(start=start)
        self.start = start
        self.supports_masking = True

    def build(self, input_shape):
        self.scale = self.add_weight(
            name="scale",
            shape=input_shape[-1:],
            initializer=initializers.Constant(self.start),
        )

    def call(self, x):
        return x * self.scale

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class DropPath(PlainArguments, layers.Layer):
    """In training, make a share of the samples zero and scale up the others.

    Put it on the branch of a residual block: the block is then skipped for those samples
    (stochastic depth).

    Shape: `(batch, ...)` to the same.

    Args:
        rate: Share of the samples to drop, in [0, 1).
        seed: Seed of the draws, a whole number; `None` draws one.

    Raises:
        ValueError: If `rate` lies outside [0, 1).

    Reference: [Huang et al., 2016](https://arxiv.org/abs/1603.09382)

    >>> DropPath(0.5)(np.ones((2, 8, 4))).shape
    (2, 8, 4)
    """

    def __init__(self, rate=0.0, *, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_rate(rate=rate)
        self.rate = rate
        self.random = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape):
        self.one_draw_a_sample = (None,) + (1,) * (len(input_shape) - 1)

    def call(self, x, training=False):
        if not training or not self.rate:
            return x
        return keras.random.dropout(x, self.rate, self.one_draw_a_sample, seed=self.random)

    def compute_output_shape(self, input_shape):
        return input_shape
