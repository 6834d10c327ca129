"""Pooling over windows, in every rank and with operations that files have."""

from keras import layers, ops

from blocks.base import PlainArguments, register

POOLS = {
    ("max", 1): layers.MaxPooling1D,
    ("max", 2): layers.MaxPooling2D,
    ("avg", 1): layers.AveragePooling1D,
    ("avg", 2): layers.AveragePooling2D,
}


def make_pool(kind, pool_size, strides, padding, *, rank, **kwargs):
    """Return the pooling layer of a kind, `"max"` or `"avg"`, over `rank` sides.

    As Keras's: beyond the border is nothing, of which no average knows.
    """
    if rank == 3:
        return PoolVolume(kind, pool_size, strides, padding, **kwargs)
    return POOLS[kind, rank](pool_size, strides, padding, **kwargs)


@register
class PoolVolume(PlainArguments, layers.Layer):
    """Pool volumes by two poolings of images, as files have none of volumes.

    Shape: `(batch, depth, height, width, channels)` to the same with smaller sides.

    Args:
        kind: `"max"` or `"avg"`.
        pool_size: Side of the window, in positions.
        strides: Step between windows.
        padding: `"same"` or `"valid"`.

    >>> PoolVolume("max", 2, 2, "valid")(np.ones((1, 4, 6, 8, 3))).shape
    (1, 2, 3, 4, 3)
    """

    def __init__(self, kind, pool_size, strides, padding, **kwargs):
        super().__init__(**kwargs)
        self.pool = {"max": ops.max_pool, "avg": ops.average_pool}[kind]
        self.pool_size, self.strides, self.padding = pool_size, strides, padding

    def call(self, x):
        batch, depth, height, width, channels = ops.shape(x)
        x = ops.reshape(x, (batch * depth, height, width, channels))
        x = self.pool(x, self.pool_size, self.strides, self.padding)
        height, width = ops.shape(x)[1:3]
        x = ops.reshape(x, (batch, depth, height * width, channels))
        x = self.pool(x, (self.pool_size, 1), (self.strides, 1), self.padding)
        return ops.reshape(x, (batch, ops.shape(x)[1], height, width, channels))

    def compute_output_shape(self, input_shape):
        fits = 1 if self.padding == "same" else self.pool_size
        sides = [side and (side - fits) // self.strides + 1 for side in input_shape[1:-1]]
        return (input_shape[0], *sides, input_shape[-1])
