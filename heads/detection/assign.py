"""Which positions of a pyramid learn which box."""

from typing import NamedTuple

from keras import ops

from heads.detection.overlap import overlap

LEAST = 1e-9  # of a rank: beside it, nearness decides


class TaskAligned(NamedTuple):
    """Task-aligned assignment: a box is learned where class and place fit it best already.

    Positions within a box are ranked by `score**alpha * iou**beta`, and the best `most` learn it;
    a position that several boxes want learns the one that it overlaps most. Boxes smaller than
    the finest stride count as large as it, so that they are learned somewhere; beyond the last
    positions, where a backbone rounds its sides down, they are not.

    Reference: [Feng et al., 2021](https://arxiv.org/abs/2108.07755); the exponents are YOLOv8's.
    """

    most: int = 10
    alpha: float = 0.5
    beta: float = 6.0

    def __call__(self, boxes, classes, scores, found, points):
        """Return what every position learns, without a slope.

        Args:
            boxes: `(batch, boxes, 4)`, pixels.
            classes: One-hot rows, `(batch, boxes, num_classes)`, zeros where there is no box.
            scores: Probabilities of the classes at every position, `(batch, points, num_classes)`.
            found: Boxes predicted there, `(batch, points, 4)`.
            points: x, y and stride of the positions, `(batch, points, 3)`.

        Returns:
            Boxes, `(batch, points, 4)`, and targets of the classes, `(batch, points,
            num_classes)`: zeros, or in one class how well the position does among those of its
            box, the best of them as well as it overlaps it.
        """
        boxes, classes, scores, found, points = map(
            ops.stop_gradient, (boxes, classes, scores, found, points)
        )
        inside, near = self.inside(boxes, points)
        inside = inside & ops.any(classes > 0, axis=-1)[:, :, None]
        iou = overlap(boxes[:, :, None], found[:, None])
        own = ops.matmul(classes, ops.transpose(scores, (0, 2, 1)))
        rank = ops.power(own, self.alpha) * ops.power(iou, self.beta) + LEAST * near
        rank = ops.where(inside, rank, 0.0)
        chosen = inside & self.is_best(rank)
        chosen = chosen & self.owners(chosen, iou)
        rank, iou = (ops.where(chosen, x, 0.0) for x in (rank, iou))
        best = [ops.max(x, axis=-1, keepdims=True) for x in (rank, iou)]
        share = rank / ops.maximum(best[0], LEAST * LEAST) * best[1]
        share, picked = (ops.transpose(ops.cast(x, "float32"), (0, 2, 1)) for x in (share, chosen))
        return ops.matmul(picked, boxes), ops.matmul(share, classes)

    def inside(self, boxes, points):
        """Return whether positions lie in boxes, and how near to their middles, from 0 to 1."""
        places, strides = points[:, None, :, :2], points[:, None, :, 2:]
        middle = (boxes[..., :2] + boxes[..., 2:])[:, :, None] / 2
        half = (boxes[..., 2:] - boxes[..., :2])[:, :, None] / 2
        half = ops.maximum(half, ops.min(strides, axis=2, keepdims=True) / 2)
        apart = ops.abs(places - middle)
        near = 1 / (1 + ops.sum(apart / strides, axis=-1))
        return ops.all(apart <= half, axis=-1), near

    def is_best(self, rank):
        """Return whether positions are among the best of a box; of one alone there is no other."""
        count = rank.shape[-1]
        if self.most == 1:
            best = ops.argmax(rank, axis=-1)[..., None]
            return ops.arange(ops.shape(rank)[-1], dtype=best.dtype) == best
        if count is None:  # perhaps fewer than that
            more = [[0, 0], [0, 0], [0, self.most]]
            return rank >= ops.top_k(ops.pad(rank, more), self.most)[0][..., -1:]
        return rank >= ops.top_k(rank, min(self.most, count))[0][..., -1:]

    def owners(self, chosen, iou):
        """Return for each box and position whether the box is the one that it overlaps most."""
        best = ops.argmax(ops.where(chosen, iou, -1.0), axis=1)
        return ops.arange(ops.shape(iou)[1], dtype=best.dtype)[None, :, None] == best[:, None]
