"""Where the positions of a pyramid stand in the image."""

from keras import layers, ops

from blocks.base import PlainArguments, register


@register
class Points(PlainArguments, layers.Layer):
    """The centre of every position of a list of maps, and its stride, in pixels of the image.

    Shape: a list of `(batch, height_i, width_i, channels_i)` to `(batch, points, 3)`: x, y and
    stride, map after map, row after row.

    Args:
        strides: Stride of every map.

    >>> Points([8])([np.ones((1, 2, 2, 5))])[0, 1].numpy().tolist()
    [12.0, 4.0, 8.0]
    """

    def __init__(self, strides, **kwargs):
        super().__init__(**kwargs)
        self.strides = strides

    def call(self, maps):
        return points_of(maps, self.strides)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], count_of(input_shape), 3)


def points_of(maps, strides):
    """Return `(batch, points, 3)`: x, y and stride of every position of a list of maps."""
    found = []
    for x, stride in zip(maps, strides):
        rows, columns = ops.meshgrid(*map(ops.arange, ops.shape(x)[1:3]), indexing="ij")
        places = [ops.reshape(ops.cast(axis, "float32"), (-1,)) for axis in (columns, rows)]
        points = (ops.stack(places, axis=-1) + 0.5) * stride
        points = ops.pad(points, [[0, 0], [0, 1]], constant_values=stride)
        line = ops.reshape(x[..., :1], (ops.shape(x)[0], -1, 1))
        found.append(ops.cast(ops.zeros_like(line), "float32") + points)
    return ops.concatenate(found, axis=1)


def count_of(shapes):
    """Return the number of positions of maps of these shapes, or `None`."""
    counts = [None if None in x[1:3] else x[1] * x[2] for x in shapes]
    return None if None in counts else sum(counts)
