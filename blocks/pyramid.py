"""Blocks over feature maps of several resolutions."""

import re

from keras import layers, ops

from blocks.base import Block, PlainArguments, check_positive, register

MOST_LOST = 3  # positions that 'valid' convolutions cost a doubled map


@register
class FeaturePyramid(Block):
    """Add every coarse map, doubled in size, to the next finer one.

    Shape: a list of `(batch, height_i, width_i, channels_i)`, fine to coarse, each half the
    one before, or a dict of them (`{"P3": …, "P4": …}`), to the same with `filters` channels.

    Args:
        filters: Number of channels of every output level.

    Raises:
        ValueError: If there are fewer than two levels, or one is not about half the one before.

    Reference: [Lin et al., 2016](https://arxiv.org/abs/1612.03144)

    >>> maps = [np.ones((1, 8, 8, 4)), np.ones((1, 4, 4, 6))]
    >>> [y.shape for y in FeaturePyramid(5)(maps)]
    [(1, 8, 8, 5), (1, 4, 4, 5)]
    """

    def __init__(self, filters=256, **kwargs):
        super().__init__(**kwargs)
        check_positive(filters=filters)
        self.filters = filters
        self.twice = layers.UpSampling2D(2, dtype=self.dtype_policy, name="double")
        self.fit = FitTo(dtype=self.dtype_policy, name="fit")

    def build(self, input_shape):
        check_levels(input_shape)

        def convs(kernel_size, name):
            return [
                layers.Conv2D(
                    self.filters,
                    kernel_size,
                    padding="same",
                    dtype=self.dtype_policy,
                    name=f"{name}{i}",
                )
                for i in range(len(input_shape))
            ]

        self.laterals, self.outputs = convs(1, "lateral"), convs(3, "output")
        super().build(input_shape)

    def call(self, features):
        merged = [lateral(x) for lateral, x in zip(self.laterals, maps_of(features))]
        for i in reversed(range(len(merged) - 1)):
            merged[i] = merged[i] + self.fit([self.twice(merged[i + 1]), merged[i]])
        return like(features, [output(x) for output, x in zip(self.outputs, merged)])


@register
class FitTo(PlainArguments, layers.Layer):
    """Continue or cut the edges of a map to the sides of another, known or not.

    Shape: a list of two, `(batch, height, width, channels)` and a map of other sides, to the
    first with the sides of the second. At most `MOST_LOST` positions are missing.

    >>> FitTo()([np.ones((1, 4, 4, 3)), np.ones((1, 5, 3, 2))]).shape
    (1, 5, 3, 3)
    """

    def call(self, inputs):
        x, other = inputs
        for axis in (1, 2):
            have, need = x.shape[axis], other.shape[axis]
            missing = MOST_LOST if None in (have, need) else max(0, need - have)
            edge = x[:, -1:] if axis == 1 else x[:, :, -1:]
            if missing:
                x = ops.concatenate([x] + [edge] * missing, axis=axis)
        if None not in other.shape[1:3] and x.shape[1:3] == other.shape[1:3]:
            return x
        height, width = ops.shape(other)[1:3]
        return x[:, :height, :width]

    def compute_output_shape(self, input_shape):
        x, other = input_shape
        return (x[0], *other[1:3], x[3])


def check_levels(input_shape):
    """Raise where a list or dict of shapes is no pyramid, fine to coarse."""
    levels = levels_of(input_shape)
    shapes = [input_shape[key] for key in levels]
    maps = all(isinstance(shape, (list, tuple)) and len(shape) == 4 for shape in shapes)
    if not maps or len(shapes) < 2 or not all(map(_halves, shapes, shapes[1:])) or _skips(levels):
        raise ValueError(
            "A list or dict of at least two maps is needed, each about half the one before. "
            f"Received: input_shape={input_shape}."
        )


def _halves(fine, coarse):
    """Return whether the sides fit, so far as they are known: (27, 14), or 'valid' (54, 26)."""
    return all(
        None in (a, b) or (-2 <= a - 2 * b <= MOST_LOST and a <= 3 * b)
        for a, b in zip(fine[1:3], coarse[1:3])
    )


def _skips(levels):
    """Return whether a level is left out, as P4 of `["P3", "P5"]`."""
    if not all(re.fullmatch(r"P\d+", str(level)) for level in levels):
        return False
    numbers = [int(level[1:]) for level in levels]
    return numbers != [*range(numbers[0], numbers[0] + len(numbers))]


def levels_of(features):
    """Return the keys of a list or dict of levels, fine to coarse."""
    return sorted(features) if isinstance(features, dict) else range(len(features))


def maps_of(features):
    """Return the maps of a list or dict of levels, fine to coarse."""
    return [features[key] for key in levels_of(features)]


def like(features, maps):
    """Return maps, fine to coarse, as the list or dict that `features` is."""
    return dict(zip(levels_of(features), maps)) if isinstance(features, dict) else maps
