"""From images to tokens, and where each of them stands."""

import math

from keras import initializers, layers, ops

from blocks.base import (
    Block,
    PlainArguments,
    check_channels,
    check_positive,
    check_sides,
    register,
)
from blocks.conv import CONVS, check_window


@register
class PatchEmbedding(Block):
    """Project every patch of an image to a vector.

    A side that patches do not divide is padded with zeros on both ends, as a convolution with
    `padding="same"` does; an image smaller than a patch is one patch.

    Shape: `(batch, *sides, channels)` to `(batch, patches, units)`, or, not flattened, to
    `(batch, *sides / patch_size, units)`, with `rank` sides, rounded up.

    Args:
        units: Number of output channels.
        patch_size: Side of a patch, in pixels, or one for each side; 16 in the paper.
        rank: Number of sides: 1 for signals, 2 for images, 3 for volumes.
        flatten: Whether the patches are a sequence and no longer a map.

    Reference: [Dosovitskiy et al., 2020](https://arxiv.org/abs/2010.11929)

    >>> PatchEmbedding(8, 4)(np.ones((1, 16, 12, 3))).shape
    (1, 12, 8)
    """

    def __init__(self, units, patch_size=16, *, rank=2, flatten=True, **kwargs):
        super().__init__(**kwargs)
        check_window(CONVS, rank, patch_size, patch_size, 1)
        check_positive(units=units)
        self.project = CONVS[rank](
            units, patch_size, patch_size, "same", dtype=self.dtype_policy, name="project"
        )
        line = layers.Reshape((-1, units), dtype=self.dtype_policy, name="line")
        self.line = line if flatten else layers.Identity(dtype=self.dtype_policy, name="line")
        self.input_spec = layers.InputSpec(ndim=rank + 2)

    def call(self, x):
        return self.line(self.project(x))


@register
class PositionEmbedding(PlainArguments, layers.Layer):
    """Add a learned vector to every position.

    Sides other than those of the table take it interpolated, linearly along each side.

    Shape: `(batch, *sides, channels)` to the same, with one, two or three sides; with a class
    token to `(batch, 1 + positions, channels)`, the token first.

    Args:
        sides: Sides of the table, a number or one for each side; by default the input's.
        class_token: Whether a learned token, with a position of its own, is put before all
            others.
        interpolate: Whether sequences of another length take the table interpolated, as
            signals should; if not, they take its beginning, as text should.

    Raises:
        ValueError: If neither `sides` nor those of the input are known, or a sequence that is
            not interpolated is longer than the table.

    Reference: [Dosovitskiy et al., 2020](https://arxiv.org/abs/2010.11929)

    >>> PositionEmbedding(class_token=True)(np.ones((1, 4, 3, 8))).shape
    (1, 13, 8)
    """

    def __init__(self, sides=None, *, class_token=False, interpolate=True, **kwargs):
        super().__init__(**kwargs)
        if sides is not None:
            check_sides(len(sides) if isinstance(sides, (list, tuple)) else 1, sides=sides)
        self.sides, self.class_token, self.interpolate = sides, class_token, interpolate
        self.input_spec = layers.InputSpec(min_ndim=3, max_ndim=5)
        self.supports_masking = not class_token

    def build(self, input_shape):
        check_channels(input_shape)
        rank, channels = len(input_shape) - 2, input_shape[-1]
        sides = input_shape[1:-1] if self.sides is None else self.sides
        if self.sides is not None:
            check_sides(rank, sides=sides)
        self.table_sides = (sides,) * rank if isinstance(sides, int) else tuple(sides)
        if None in self.table_sides:
            raise ValueError(
                "The table of positions needs `sides` where those of the input are open. "
                f"Received: sides=None, input_shape={tuple(input_shape)}."
            )
        self.check_length(input_shape[1:-1])
        self.positions = self.add_weight(
            name="positions",
            shape=(math.prod(self.table_sides) + self.class_token, channels),
            initializer=initializers.TruncatedNormal(stddev=0.02),
        )
        if self.class_token:
            self.token = self.add_weight(name="token", shape=(1, channels), initializer="zeros")

    def call(self, x):
        sides, channels = ops.shape(x)[1:-1], x.shape[-1]
        x = x + ops.cast(self.table(sides, channels), x.dtype)
        if not self.class_token:
            return x
        x = ops.reshape(x, (-1, math.prod(sides), channels))
        first = ops.zeros_like(x[:, :1]) + self.token + self.positions[:1]
        return ops.concatenate([first, x], axis=1)

    def table(self, sides, channels):
        """Return the positions of a map of these sides."""
        table = self.positions[1:] if self.class_token else self.positions
        known = all(isinstance(side, int) for side in sides)
        if known and tuple(sides) == self.table_sides:
            return ops.reshape(table, (*sides, channels))
        if len(sides) == 1 and not self.interpolate:
            self.check_length(sides)
            return table[: sides[0]]
        table = ops.cast(ops.reshape(table, (*self.table_sides, channels)), "float32")
        for axis, (side, length) in enumerate(zip(sides, self.table_sides)):
            shares = between(side, length)
            table = ops.moveaxis(ops.tensordot(shares, table, [[1], [axis]]), 0, axis)
        return table

    def check_length(self, sides):
        """Raise where a sequence is longer than the table that it takes the beginning of."""
        cut = len(sides) == 1 and isinstance(sides[0], int) and not self.interpolate
        if cut and sides[0] > self.table_sides[0]:
            raise ValueError(
                f"There are positions for sequences of up to {self.table_sides[0]}. "
                f"Received: length {sides[0]}. Make the table larger with `sides`."
            )

    def compute_output_shape(self, input_shape):
        sides = input_shape[1:-1]
        if self.built:
            self.check_length(sides)
        if not self.class_token:
            return tuple(input_shape)
        length = None if None in sides else 1 + math.prod(sides)
        return (input_shape[0], length, input_shape[-1])


def between(side, length):
    """Return the share of each of `length` rows in each of `side` positions, interpolated linearly.

    Resizing by a product also works where a side is known at run time only.
    """
    step = ops.cast(length, "float32") / ops.cast(side, "float32")
    places = (ops.arange(side, dtype="float32") + 0.5) * step - 0.5
    places = ops.clip(places, 0, ops.cast(length - 1, "float32"))
    return ops.relu(1 - ops.abs(places[:, None] - ops.arange(length, dtype="float32")))
