"""Non-maximum suppression, one for training and files."""

import keras
import numpy as np
from keras import ops

from heads.detection.overlap import overlap
from heads.values import largest

GONE = -1.0  # a score that no box has


def suppress(boxes, scores, most, iou):
    """Return places of the best boxes that overlap none better by more than `iou`, and how many.

    Args:
        boxes: `(batch, boxes, 4)`.
        scores: `(batch, boxes)`; those below 0 are of no box.
        most: Number of places; those without a box are 0.
        iou: Largest overlap of two boxes that stay.

    Returns:
        `(batch, most)` and `(batch,)`, integers, the best first.
    """
    if keras.backend.backend() == "tensorflow" and boxes.shape[0] == 1:
        return _by_operation(boxes, scores, most, iou)
    return _in_turn(boxes, scores, most, iou)


def _by_operation(boxes, scores, most, iou):
    """One operation of TensorFlow, which LiteRT has, too, for the one image of a file."""
    import tensorflow as tf

    if iou < 1:  # LiteRT leaves out boxes that overlap by `iou` exactly, too
        iou = float(np.nextafter(np.float32(iou), np.float32(1)))
    places, count = tf.raw_ops.NonMaxSuppressionV4(
        boxes=boxes[0],
        scores=scores[0],
        max_output_size=most,
        iou_threshold=iou,
        score_threshold=-1e-9,  # 0 is a score
        pad_to_max_output_size=True,
    )
    places = tf.where(tf.range(most) < count, places, 0)
    return places[None], count[None]


def _in_turn(boxes, scores, most, iou):
    """The same for batches and on every backend: the best one, again and again."""
    turns = ops.arange(most, dtype="int32")[None]

    def turn(i, state):
        left, places, count = state
        best = largest(left)[:, None]
        is_left = ops.take_along_axis(left, best, axis=-1) >= 0
        box = ops.take_along_axis(boxes, best[..., None], axis=1)
        order = ops.arange(ops.shape(left)[1], dtype="int32")[None]
        covered = (overlap(box, boxes) > iou) | (order == best)
        places = ops.where((turns == i) & is_left, best, places)
        count = count + ops.cast(is_left[:, 0], "int32")
        return ops.where(covered & is_left, GONE, left), places, count

    nothing = ops.cast(ops.zeros_like(scores[:, :1]), "int32")
    start = (scores, nothing + ops.zeros_like(turns), nothing[:, 0])
    _, places, count = ops.fori_loop(0, most, turn, start)
    return places, count
