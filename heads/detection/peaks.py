"""Positions that no position beside them betters: what answers where nothing is suppressed.

Beside a position are the eight around it on its level; better is who gives its class a higher
logit.
"""

from keras import ops

from heads.detection.rows import take
from heads.values import largest

APART = 1e-5  # of nearly equal logits, as those of 8 bits often are, the place decides


def untied(logits, points):
    """Return logits that are nowhere equal beside each other, but for those of hundreds.

    Args:
        logits: `(batch, points, classes)`.
        points: `(batch, points, 3)`: x, y and stride.
    """
    columns, rows = (ops.floor(points[..., i : i + 1] / points[..., 2:]) % 3 for i in (0, 1))
    return logits - APART * (3 * rows + columns)


def peaks_of_maps(logits, best, sizes):
    """Return which positions are peaks, `(batch, points)`.

    Args:
        logits: `(batch, points, classes)`, untied.
        best: Their largest, `(batch, points)`.
        sizes: `(height, width)` of the map of every level.
    """
    around, start, classes = [], 0, logits.shape[-1]
    for height, width in sizes:
        x = ops.reshape(logits[:, start : start + height * width], (-1, height, width, classes))
        x = ops.max_pool(x, 3, 1, padding="same", data_format="channels_last")
        around.append(ops.reshape(x, (-1, height * width, classes)))
        start = start + height * width
    around = ops.concatenate(around, axis=1)
    return ~ops.any((logits < around) & (logits >= best[..., None]), axis=-1)


def peaks_of_rows(logits, best, points):
    """Return which of the best positions are peaks, `(batch, rows)`.

    Who betters one of the best is among the best, too: no other needs to be looked at. Of a
    position where two classes are equal, one is looked at.

    Args:
        logits: `(batch, rows, classes)`, untied.
        best: Their largest, `(batch, rows)`.
        points: `(batch, rows, 3)`.
    """
    places, strides = points[..., :2], points[..., 2]
    apart = ops.abs(places[:, :, None] - places[:, None]) / strides[:, :, None, None]
    beside = ops.all(apart < 1.5, axis=-1) & (strides[:, :, None] == strides[:, None])
    theirs = take(ops.transpose(logits, (0, 2, 1)), largest(logits))  # of the class of every row
    return ~ops.any(beside & (theirs > best[:, :, None]), axis=-1)
