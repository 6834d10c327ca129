"""Columns of numbers, scaled by what they hold."""

import numpy as np
from keras import layers, ops

from blocks.base import PlainArguments, register


@register
class PiecewiseLinear(PlainArguments, layers.Layer):
    """Scale every column of numbers by a curve of straight lines, and say where one is missing.

    Between two points it is linear; a number beyond the outermost, infinite ones included,
    counts as these. What is missing, NaN, is scaled to 0.

    Shape: `(batch, columns)` to `(batch, columns + gaps)`: after the scaled numbers, 1 where one
    is missing and else 0, of the columns in `gaps`.

    Args:
        points: Of every column a list of pairs, a number and what it becomes, the numbers rising,
            as `heads.Table` makes them of quantiles.
        gaps: Places of the columns that may have no number.

    In int8 files a number cannot be missing.

    Raises:
        ValueError: If numbers do not rise, or there are not as many lists as columns.

    >>> scale = PiecewiseLinear([[[0.0, -1.0], [10.0, 0.0], [100.0, 1.0]]], gaps=[0])
    >>> x = scale(np.array([[5.0], [np.inf], [np.nan]]))
    >>> np.array(x).tolist()
    [[-0.5, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """

    takes_missing = True
    stays_float = True  # in int8 files: 256 steps for all columns are none for most

    def __init__(self, points, gaps=(), **kwargs):
        super().__init__(autocast=False, **kwargs)  # large numbers in half precision are none
        for row in points:
            numbers = [number for number, _ in row]
            if not numbers or not all(a < b for a, b in zip(numbers, numbers[1:])):
                raise ValueError(f"The numbers of points rise. Received: {numbers[:9]}.")
        if any(not isinstance(i, int) or not 0 <= i < len(points) for i in gaps):
            raise ValueError(
                f"`gaps` must be places of the {len(points)} columns. Received: {list(gaps)}."
            )
        self.points, self.gaps = points, list(gaps)
        self.input_spec = layers.InputSpec(ndim=2)

    def build(self, input_shape):
        if input_shape[-1] != len(self.points):
            raise ValueError(
                f"There are points for {len(self.points)} columns. "
                f"Received: input_shape={tuple(input_shape)}."
            )

    def lines(self):
        """Return where each column's lines begin, their width and rise, and the first values."""
        most = max(2, *map(len, self.points))
        low, width, rise = np.zeros((3, len(self.points), most - 1), "float32")
        width += 1
        for i, row in enumerate(self.points):
            (x, y), last = np.array(row, "float32").T, len(row) - 1
            low[i, :last], width[i, :last], rise[i, :last] = x[:-1], np.diff(x), np.diff(y)
        start = np.array([row[0][1] for row in self.points], "float32")
        return low, width, rise, start

    def call(self, x):
        low, width, rise, start = map(ops.convert_to_tensor, self.lines())
        x = ops.cast(x, "float32")
        missing = ops.not_equal(x, x)
        known = ops.where(missing, 0.0, x)[:, :, None]
        y = ops.sum(ops.clip((known - low) / width, 0.0, 1.0) * rise, axis=-1) + start
        y = [ops.cast(ops.where(missing, 0.0, y), self.compute_dtype)]
        if self.gaps:
            flags = ops.take(missing, ops.convert_to_tensor(self.gaps, "int32"), axis=1)
            y.append(ops.cast(flags, self.compute_dtype))
        return ops.concatenate(y, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], len(self.points) + len(self.gaps))
