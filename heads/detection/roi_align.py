"""What a pyramid shows within boxes."""

import math

import numpy as np
from keras import layers, ops

from blocks.base import PlainArguments, check_positive, register
from blocks.pyramid import maps_of
from heads.detection.overlap import area, sides
from heads.detection.rows import take

CANONICAL = 14.0  # a box's side in strides from which on it is read from a level: 224 by 16
LEAST = 1e-3  # of a side, in pixels


@register
class RoIAlign(PlainArguments, layers.Layer):
    """The maps within boxes, each as a grid of one size, by bilinear interpolation.

    A box is read from the level where its side is from 14 to 28 strides long, or from the nearest
    there is. Each cell of the grid is the mean of `samples` times `samples` points; those outside
    of the map read its edge. Maps learn from it, boxes do not.

    Shape: a dict of `"maps"`, a list or dict of `(batch, height_i, width_i, channels)`, and
    `"boxes"`, `(batch, boxes, 4)`, left, top, right and bottom in pixels, to `(batch, boxes, size,
    size, channels)`.

    Args:
        strides: Stride of every map.
        size: Cells of the grid, in a row.
        samples: Points of a cell, in a row.

    Reference: [He et al., 2017](https://arxiv.org/abs/1703.06870);
    [Lin et al., 2017](https://arxiv.org/abs/1612.03144), equation 1 (levels)

    >>> maps, boxes = [np.ones((1, 4, 4, 8))], np.array([[[0.0, 0.0, 16.0, 16.0]]])
    >>> RoIAlign([8], size=3)({"maps": maps, "boxes": boxes}).shape
    (1, 1, 3, 3, 8)
    """

    stays_float = True  # in int8 files

    def __init__(self, strides, size=7, samples=2, **kwargs):
        super().__init__(**kwargs)
        check_positive(size=size, samples=samples)
        self.strides, self.size, self.samples = strides, size, samples

    def call(self, inputs):
        maps, boxes = maps_of(inputs["maps"]), ops.stop_gradient(inputs["boxes"])
        batch, channels = ops.shape(maps[0])[0], maps[0].shape[-1]
        values = [ops.reshape(x, (batch, -1, channels)) for x in maps]
        values = ops.concatenate(values, axis=1)
        level = self.level(boxes)
        heights, widths = (numbers([ops.shape(x)[i] for x in maps]) for i in (1, 2))
        starts = ops.cumsum(heights * widths) - heights * widths
        height, width, start = (ops.take(x, level)[..., None] for x in (heights, widths, starts))
        stride = ops.take(numbers(self.strides), level)[..., None]
        columns = self.places(boxes[..., 0:1], boxes[..., 2:3], stride, width)
        rows = self.places(boxes[..., 1:2], boxes[..., 3:4], stride, height)
        found = 0.0
        for row, row_share in rows:
            for column, column_share in columns:
                place = (start + row * width)[..., None] + column[..., None, :]
                place = ops.reshape(ops.cast(place, "int32"), (batch, -1))
                share = row_share[..., None] * column_share[..., None, :]
                share = ops.cast(ops.reshape(share, (batch, -1, 1)), values.dtype)
                found = found + share * take(values, place)
        shape = (-1, self.size, self.samples, self.size, self.samples * channels)
        found = ops.mean(ops.reshape(found, shape), axis=2)
        found = ops.reshape(found, (-1, self.size, self.size, self.samples, channels))
        found = ops.mean(found, axis=3)
        return ops.reshape(found, (batch, -1, self.size, self.size, channels))

    def level(self, boxes):
        """Return the place of every box's level."""
        side = ops.sqrt(area(ops.maximum(sides(boxes), LEAST)))
        level = ops.floor(ops.log(side / (CANONICAL * self.strides[0])) / math.log(2.0))
        return ops.cast(ops.clip(level, 0, len(self.strides) - 1), "int32")

    def places(self, low, high, stride, count):
        """Return the two neighbours of every point along an axis, and their shares."""
        number = self.size * self.samples
        steps = (np.arange(number, dtype="float32") + 0.5) / number
        place = (low + ops.multiply(high - low, steps)) / stride - 0.5
        place = ops.minimum(ops.maximum(place, 0.0), count - 1)
        before = ops.floor(place)
        share = place - before
        return [(before, 1 - share), (ops.minimum(before + 1, count - 1), share)]

    def compute_output_shape(self, input_shape):
        maps = maps_of(input_shape["maps"])
        return (*input_shape["boxes"][:2], self.size, self.size, maps[0][-1])


def numbers(values):
    """Return a list of numbers, known or not before the graph runs, as one tensor."""
    return ops.stack([ops.cast(x, "float32") for x in values])
