"""Boxes that are guessed before anything is seen, and what is said of boxes beside them."""

import math
from typing import NamedTuple

import numpy as np
from keras import layers, ops

from blocks.base import PlainArguments, check_above_zero, check_positive, register
from heads.detection.points import count_of, points_of

FACTORS = (10.0, 10.0, 5.0, 5.0)  # of y, x, height and width, as in SSD's files for phones
LARGEST = 4.0  # of the logarithm of a side by its anchor's: beyond, it is an accident


@register
class Anchors(PlainArguments, layers.Layer):
    """The middle and the sides of every anchor of a list of maps, in pixels of the image.

    Shape: a list of `(batch, height_i, width_i, channels_i)` to `(batch, anchors, 4)`: x, y, width
    and height, map after map, row after row, position after position.

    Args:
        strides: Stride of every map.
        shapes: Widths and heights of the anchors at a position, in strides.

    >>> Anchors([8], [[4.0, 4.0], [6.0, 3.0]])([np.ones((1, 1, 1, 5))])[0].numpy().tolist()
    [[4.0, 4.0, 32.0, 32.0], [4.0, 4.0, 48.0, 24.0]]
    """

    def __init__(self, strides, shapes, **kwargs):
        super().__init__(**kwargs)
        self.strides, self.shapes = strides, shapes

    def call(self, maps):
        points = points_of(maps, self.strides)[:, :, None]
        shapes = ops.convert_to_tensor(np.array(self.shapes, "float32"))[None, None]
        sides = points[..., 2:] * shapes
        places = points[..., :2] + ops.zeros_like(sides)
        anchors = ops.concatenate([places, sides], axis=-1)
        return ops.reshape(anchors, (ops.shape(anchors)[0], -1, 4))

    def compute_output_shape(self, input_shape):
        points = count_of(input_shape)
        return (input_shape[0][0], points and points * len(self.shapes), 4)


def anchor_shapes(size, octaves, ratios):
    """Return widths and heights of anchors, in strides: of every size with every ratio."""
    check_positive(octaves=octaves)
    check_above_zero(anchor_size=size)
    if not isinstance(ratios, (list, tuple)) or not ratios:
        raise ValueError(f"`ratios` must be a list of numbers. Received: ratios={ratios!r}.")
    for ratio in ratios:
        check_above_zero(ratios=ratio)
    return [
        [size * 2 ** (i / octaves) * math.sqrt(ratio) ** way for way in (1, -1)]
        for i in range(octaves)
        for ratio in ratios
    ]


class AnchorCode(NamedTuple):
    """The columns of a raw output: a box beside its anchor, logits, and the anchor.

    A box is y, x, height and width: the middle's distance from the anchor's in its sides, times 10,
    and the logarithm of the sides by the anchor's, times 5. Files for phones hold it so.

    Attributes:
        num_classes: Number of classes, background not counted.
    """

    num_classes: int

    @property
    def width(self):
        """Number of columns."""
        return 4 + self.num_classes + 4

    def join(self, branch, anchors):
        """Return the raw output of a dict of `"boxes"` and `"logits"`."""
        return ops.concatenate([branch["boxes"], branch["logits"], anchors], axis=-1)

    def split(self, raw):
        """Return a list of one dict of `"boxes"`, `"logits"` and `"points"`, the anchors."""
        return [{"boxes": raw[..., :4], "logits": raw[..., 4:-4], "points": raw[..., -4:]}]

    def corners(self, boxes, anchors):
        """Return boxes, left, top, right and bottom in pixels."""
        y, x, height, width = (boxes[..., i : i + 1] / FACTORS[i] for i in range(4))
        middle = anchors[..., :2] + anchors[..., 2:] * ops.concatenate([x, y], axis=-1)
        grown = ops.minimum(ops.concatenate([width, height], axis=-1), LARGEST)
        half = anchors[..., 2:] * ops.exp(grown) / 2
        return ops.concatenate([middle - half, middle + half], axis=-1)

    def encoded(self, boxes, anchors):
        """Return what stands for boxes beside their anchors: the other way round."""
        middle = (boxes[..., :2] + boxes[..., 2:]) / 2
        sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 1e-3)
        x, y = ops.split((middle - anchors[..., :2]) / anchors[..., 2:], 2, axis=-1)
        width, height = ops.split(ops.log(sides / anchors[..., 2:]), 2, axis=-1)
        parts = ops.concatenate([y, x, height, width], axis=-1)
        return ops.multiply(parts, np.array(FACTORS, "float32"))
