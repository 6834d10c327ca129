"""From a feature of any rank to one vector."""

from keras import layers, ops

from blocks.base import Block, PlainArguments, register


@register
class GlobalAverage(PlainArguments, layers.Layer):
    """Average over all positions; positions that a mask calls padding do not count.

    Shape: `(batch, ..., channels)` to `(batch, channels)`.

    >>> GlobalAverage()(np.ones((2, 4, 5, 3))).shape
    (2, 3)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                "A head takes features (batch, ..., channels) with a fixed number of channels. "
                f"Received: features of shape {tuple(input_shape)}."
            )

    def call(self, x, mask=None):
        positions = tuple(range(1, len(x.shape) - 1))
        if not positions:
            return x
        if mask is None:
            return ops.mean(x, axis=positions)
        mask = ops.expand_dims(ops.cast(mask, "bool"), -1)
        count = ops.sum(ops.cast(mask, x.dtype), axis=positions)
        # A row of padding alone gives zeros, not 0 / 0.
        return ops.sum(ops.where(mask, x, 0.0), axis=positions) / ops.maximum(count, 1.0)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])


@register
class GlobalDepthwise(Block):
    """Weigh every position of every channel and add them up.

    The kernel has the size of the map that the layer was built on; on a larger map it moves, and
    its outputs are averaged.

    Shape: `(batch, height, width, channels)` to `(batch, channels)`.

    Raises:
        ValueError: If the input is no map, or its sides are open when it is built.

    Reference: [Chen et al., 2018](https://arxiv.org/abs/1804.07573), section 3.1

    >>> GlobalDepthwise()(np.ones((2, 7, 6, 3))).shape
    (2, 3)
    """

    def build(self, input_shape):
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                "A global depthwise convolution weighs the positions of maps, (batch, height, "
                "width, channels), whose sides are known. "
                f'Received: features of shape {tuple(input_shape)}. Give pool="average".'
            )
        policy = self.dtype_policy
        self.conv = layers.DepthwiseConv2D(
            tuple(input_shape[1:3]), use_bias=False, dtype=policy, name="conv"
        )
        self.average = GlobalAverage(dtype=policy, name="average")
        super().build(input_shape)

    def call(self, x):
        return self.average(self.conv(x))


POOLS = {"average": GlobalAverage, "depthwise": GlobalDepthwise}


def make_pool(pool, **kwargs):
    """Return the pooling layer called `pool`."""
    if not isinstance(pool, str) or pool not in POOLS:
        raise ValueError(f"`pool` must be one of {sorted(POOLS)}. Received: pool={pool!r}.")
    return POOLS[pool](**kwargs)
