"""Soft non-maximum suppression, after the model."""

import numpy as np

from blocks.base import check_above_zero, check_positive
from heads.detection.agreement import overlaps_of


def soft_nms(found, *, sigma=0.5, score=0.001, max_detections=100):
    """Return boxes whose scores are lower the more they overlap better ones of their class.

    Each score is multiplied by `exp(-iou**2 / sigma)` for every better box, so that of a crowd
    no box is lost for good. Give it boxes that nothing was suppressed among: answers of
    `heads.deploy(model, iou=1.0, max_detections=300)`.

    Args:
        found: A dict of one image's `"boxes"`, `(boxes, 4)`, `"scores"` and `"classes"`, such as
            `heads.detect` gives; rows of class -1 are none.
        sigma: How soft it is; 0.5 in the paper.
        score: Least score of a box that stays.
        max_detections: Number of boxes that stay.

    Returns:
        A dict of the same, the best first.

    Raises:
        ValueError: If an argument is out of its range.

    Reference: [Bodla et al., 2017](https://arxiv.org/abs/1704.04503)

    >>> boxes = [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0]]
    >>> found = soft_nms({"boxes": boxes, "scores": [0.9, 0.8], "classes": [1, 1]})
    >>> found["scores"].round(3).tolist()
    [0.9, 0.108]
    """
    check_above_zero(sigma=sigma)
    check_positive(max_detections=max_detections)
    rows = {key: np.asarray(found[key]) for key in ("boxes", "scores", "classes")}
    if rows["boxes"].ndim != 2:
        raise ValueError(
            "`found` is of one image, boxes (boxes, 4). "
            f"Received: boxes of shape {rows['boxes'].shape}."
        )
    left = (rows["classes"] >= 0) & (rows["scores"] >= score)
    rows = {key: x[left] for key, x in rows.items()}
    boxes, scores = rows["boxes"].astype("float64"), rows["scores"].astype("float64")
    lower = np.exp(-(overlaps_of(boxes, boxes) ** 2) / sigma)
    kept, weights = [], np.ones(len(scores))
    while len(kept) < min(max_detections, len(scores)):
        now = scores * weights
        now[kept] = -1
        best = int(now.argmax())
        if now[best] < score:
            break
        kept.append(best)
        alike = rows["classes"] == rows["classes"][best]
        alike[kept] = False
        weights = np.where(alike, weights * lower[best], weights)
    found = {key: x[kept] for key, x in rows.items()}
    return {**found, "scores": (scores * weights)[kept].astype("float32")}
