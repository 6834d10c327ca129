"""How far boxes overlap."""

import math

from keras import ops

KINDS = ("iou", "giou", "diou", "ciou")
LEAST = 1e-7  # of an area or a side that is divided by


def overlap(a, b, kind="iou"):
    """Return the intersection over the union of boxes, or one of its kin with a slope for any two.

    Args:
        a: Boxes, left, top, right and bottom on the last axis.
        b: Boxes, broadcast against `a`.
        kind: `"iou"`; `"giou"`, less the share of the hull that neither covers; `"diou"`, less
            the squared distance of the centres by the hull's diagonal; `"ciou"`, less the
            difference of the aspects, too.

    Reference: [Rezatofighi et al., 2019](https://arxiv.org/abs/1902.09630) (GIoU);
    [Zheng et al., 2019](https://arxiv.org/abs/1911.08287) (DIoU, CIoU)

    >>> import numpy as np
    >>> round(float(overlap(np.array([0.0, 0, 2, 2]), np.array([1.0, 0, 3, 2]))), 4)
    0.3333
    """
    sides_a, sides_b = sides(a), sides(b)
    shared = ops.minimum(a[..., 2:], b[..., 2:]) - ops.maximum(a[..., :2], b[..., :2])
    shared = area(ops.maximum(shared, 0.0))
    union = area(sides_a) + area(sides_b) - shared
    iou = shared / ops.maximum(union, LEAST)
    if kind == "iou":
        return iou
    hull = ops.maximum(a[..., 2:], b[..., 2:]) - ops.minimum(a[..., :2], b[..., :2])
    if kind == "giou":
        hull = ops.maximum(area(hull), LEAST)
        return iou - (hull - union) / hull
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    diou = iou - squares(apart) / ops.maximum(squares(hull), LEAST)
    if kind == "diou":
        return diou
    unlike = ops.square((angle(sides_a) - angle(sides_b)) * (2 / math.pi))
    share = ops.stop_gradient(unlike / ops.maximum(1 - iou + unlike, LEAST))
    return diou - share * unlike


def sides(boxes):
    """Return widths and heights, none below 0."""
    return ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)


def area(sides):
    """Return the product of widths and heights."""
    return sides[..., 0] * sides[..., 1]


def squares(x):
    """Return the squared length of vectors on the last axis."""
    return ops.sum(ops.square(x), axis=-1)


def angle(sides):
    """Return the angle of a box's diagonal."""
    return ops.arctan(sides[..., 0] / ops.maximum(sides[..., 1], LEAST))
