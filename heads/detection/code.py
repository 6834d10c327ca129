"""The one tensor that a detector trains on, and what its columns mean."""

from typing import NamedTuple

from keras import ops

SIDES = 4  # left, top, right, bottom


class Code(NamedTuple):
    """The columns of a raw output: distances and logits of each branch, then the points.

    A row is a position of the pyramid. A distance to a side of the box, in strides, is one number,
    or `bins` logits of its being 0, 1, 2 … strides. The last three columns are x, y and stride of
    the position in pixels, so that whoever reads the tensor needs nothing else.

    Attributes:
        num_classes: Number of classes, background not counted.
        bins: Logits of a distance.
        branches: 1, or 2 where a one-to-one branch follows the one-to-many one.
    """

    num_classes: int
    bins: int = 16
    branches: int = 1

    @property
    def width(self):
        """Number of columns."""
        return self.branches * (SIDES * self.bins + self.num_classes) + 3

    def join(self, branches, points):
        """Return the raw output of dicts of `"boxes"` and `"logits"`, one a branch."""
        parts = [x for branch in branches for x in (branch["boxes"], branch["logits"])]
        return ops.concatenate([*parts, points], axis=-1)

    def split(self, raw):
        """Return a dict of `"boxes"`, `"logits"` and `"points"` for each branch."""
        boxes, step = SIDES * self.bins, SIDES * self.bins + self.num_classes
        return [
            {
                "boxes": raw[..., i * step : i * step + boxes],
                "logits": raw[..., i * step + boxes : (i + 1) * step],
                "points": raw[..., -3:],
            }
            for i in range(self.branches)
        ]

    def distances(self, boxes):
        """Return the distances to the four sides, in strides."""
        if self.bins == 1:
            return ops.softplus(boxes)
        shares = ops.softmax(ops.reshape(boxes, (-1, *ops.shape(boxes)[1:-1], SIDES, self.bins)))
        return ops.sum(shares * ops.arange(self.bins, dtype="float32"), axis=-1)

    def corners(self, boxes, points):
        """Return boxes, left, top, right and bottom in pixels."""
        distances = self.distances(boxes) * points[..., 2:]
        places = points[..., :2]
        return ops.concatenate([places - distances[..., :2], places + distances[..., 2:]], axis=-1)
