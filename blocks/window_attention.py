"""Attention inside of windows of a map."""

import numpy as np
from keras import initializers, layers, ops

from blocks.attend import attend, head_width
from blocks.base import Block, PlainArguments, check_positive, check_rate, register


@register
class WindowAttention(Block):
    """Every position reads from those in its window, in several heads (Swin).

    The map is cut into square windows; a learned bias tells the heads how far apart two
    positions are. A map that windows do not divide is padded, and nobody reads the padding.

    Shape: `(batch, height, width, channels)` to the same.

    Args:
        num_heads: Number of heads, which must divide the channels.
        window_size: Side of a window, in positions; 7 in the paper.
        shift: Whether the windows lie half a window further down and to the right. In a
            network every second block is shifted, so that windows exchange what they know. A
            side of one window is not shifted.
        dropout: Share of the outputs made zero in training.

    Raises:
        ValueError: If `num_heads` does not divide the channels.

    Reference: [Liu et al., 2021](https://arxiv.org/abs/2103.14030)

    >>> WindowAttention(2, window_size=4, shift=True)(np.ones((1, 9, 6, 8))).shape
    (1, 9, 6, 8)
    """

    def __init__(self, num_heads=8, *, window_size=7, shift=False, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(num_heads=num_heads, window_size=window_size)
        check_rate(dropout=dropout)
        self.num_heads = num_heads
        self.attend = WindowProduct(
            num_heads, window_size, shift, dtype=self.dtype_policy, name="attend"
        )
        self.dropout = layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        channels = input_shape[-1]
        head_width(channels, self.num_heads)
        self.project = layers.Dense(3 * channels, dtype=self.dtype_policy, name="project")
        self.output_projection = layers.Dense(channels, dtype=self.dtype_policy, name="output")
        super().build(input_shape)

    def call(self, x):
        return self.dropout(self.output_projection(self.attend(self.project(x))))


@register
class WindowProduct(PlainArguments, layers.Layer):
    """Attention inside of windows, from queries, keys and values side by side.

    Shape: `(batch, height, width, 3 * channels)` to `(batch, height, width, channels)`.

    Args:
        num_heads: Number of heads, which must divide the channels.
        window_size: Side of a window, in positions.
        shift: Whether the windows are shifted by half a window.

    >>> WindowProduct(2, 4, True)(np.ones((1, 9, 6, 24))).shape
    (1, 9, 6, 8)
    """

    def __init__(self, num_heads, window_size, shift, **kwargs):
        super().__init__(**kwargs)
        self.num_heads, self.window_size = num_heads, window_size
        self.shift = window_size // 2 if shift else 0

    def build(self, input_shape):
        distances = 2 * self.window_size - 1
        self.bias = self.add_weight(
            name="bias",
            shape=(distances**2, self.num_heads),
            initializer=initializers.TruncatedNormal(stddev=0.02),
        )

    def call(self, x):
        size, channels = self.window_size, x.shape[-1] // 3
        lines = [Line(n, size, self.shift) for n in ops.shape(x)[1:3]]
        for axis, line in enumerate(lines, start=1):
            x = roll(pad(x, line.padding, axis), line.shift, axis)
        count = lines[0].windows * lines[1].windows
        heads = (-1, count, size * size, 3 * self.num_heads, channels // self.num_heads)
        x = ops.reshape(cut(x, lines, size), heads)
        x = attend(
            *ops.split(x, 3, axis=-2), bias=self.distance_bias(), visible=self.visible(lines)
        )
        x = ops.reshape(x, (-1, lines[0].windows, lines[1].windows, size, size * channels))
        x = ops.reshape(ops.swapaxes(x, 2, 3), (-1, lines[0].length, lines[1].length, channels))
        for axis, line in enumerate(lines, start=1):
            x = roll(x, line.back, axis)
        return x[:, : lines[0].side, : lines[1].side]

    def distance_bias(self):
        """Return the bias between all positions of a window, `(heads, size², size²)`."""
        size = self.window_size
        places = np.stack(np.divmod(np.arange(size * size), size), axis=-1)
        apart = places[:, None] - places[None, :] + size - 1
        index = apart[..., 0] * (2 * size - 1) + apart[..., 1]
        return ops.transpose(ops.take(self.bias, index.astype("int32"), axis=0), (2, 0, 1))

    def visible(self, lines):
        """Return which positions of a window see which, `(windows, 1, size², size²)`."""
        if all(isinstance(x.side, int) and not x.shift and not x.padding for x in lines):
            return None
        rows, columns = (line.parts() for line in lines)
        # Parts are 0 (padding), 1 and 2: squared on one side, all products differ.
        parts = cut(
            (rows[:, None] * columns[None, :] ** 2)[None, :, :, None], lines, self.window_size
        )
        parts = ops.reshape(parts, (-1, self.window_size**2))
        same = parts[:, :, None] == parts[:, None, :]
        return ops.logical_and(same, parts[:, None, :] > 0)[:, None]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] // 3)


class Line:
    """Where the windows lie along one side, whose length may be known at run time only."""

    def __init__(self, side, size, shift):
        self.side = side
        self.windows = -(-side // size)
        self.length = self.windows * size
        self.padding = self.length - side
        more = -(-(self.windows - 1) // self.windows)  # 0 of one window, else 1
        self.shift = shift and shift * more
        self.back = (
            self.shift
            if isinstance(self.shift, int) and not self.shift
            else (self.length - self.shift)
        )

    def parts(self):
        """Return, for each rolled position, 1; 2 where it came around the edge; 0 of padding."""
        place = ops.arange(self.length, dtype="int32") + self.shift
        return ops.where(place < self.side, 1, ops.where(place < self.length, 0, 2))


def pad(x, padding, axis):
    """Return `x` with zeros behind a side."""
    if isinstance(padding, int) and not padding:
        return x
    return ops.pad(x, [(0, padding if i == axis else 0) for i in range(len(x.shape))])


def roll(x, shift, axis):
    """Return `x` with the first `shift` positions of a side moved to its end."""
    if isinstance(shift, int) and not shift:
        return x
    before = (slice(None),) * axis
    return ops.concatenate([x[(*before, slice(shift, None))], x[(*before, slice(shift))]], axis)


def cut(x, lines, size):
    """Return a map as windows, `(batch, windows, windows, size, size * channels)`."""
    rows, columns = (line.windows for line in lines)
    x = ops.reshape(x, (-1, rows, size, columns, size * x.shape[-1]))
    return ops.swapaxes(x, 2, 3)
