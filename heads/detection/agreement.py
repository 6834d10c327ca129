"""How far two answers of a detector say the same, whatever the order of their boxes."""

import numpy as np

OVERLAP = 0.5


def agreement(expected, actual):
    """Return the share of boxes that have a counterpart in the other answer, from 0 to 1.

    A counterpart is of the same class and overlaps by at least a half, each of one box alone. A box
    counts as much as its score: those at the threshold, which come and go with rounding, count
    little beside sure ones.

    Args:
        expected: A dict of arrays `"boxes"`, `"scores"` and `"classes"`, as a deployed
            `DetectionHead` answers.
        actual: Another, of the same images.

    >>> answer = {"boxes": np.array([[[0, 0, 9, 9], [0, 0, 0, 0]]])}
    >>> answer |= {"scores": np.array([[0.9, 0.0]]), "classes": np.array([[3, -1]])}
    >>> agreement(answer, answer), agreement(answer, {**answer, "classes": np.array([[2, -1]])})
    (1.0, 0.0)
    """
    matched = whole = 0.0
    for i in range(len(expected["boxes"])):
        ours, theirs = _rows(expected, i), _rows(actual, i)
        whole += ours["scores"].sum() + theirs["scores"].sum()
        overlaps = _overlaps(ours["boxes"], theirs["boxes"])
        overlaps *= ours["classes"][:, None] == theirs["classes"]
        for j in np.argsort(-ours["scores"]):
            if overlaps.shape[1] and overlaps[j].max() >= OVERLAP:
                best = int(overlaps[j].argmax())
                matched += ours["scores"][j] + theirs["scores"][best]
                overlaps[:, best] = 0
    return float(matched / whole) if whole else 1.0


def _rows(answer, image):
    """Return the boxes of one image, without the rows that hold none."""
    real = answer["classes"][image] >= 0
    keys = ("boxes", "scores", "classes")
    return {key: np.asarray(answer[key][image])[real].astype("float64") for key in keys}


def _overlaps(a, b):
    """Return the intersection over the union of every pair."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = [np.prod(x[:, 2:] - x[:, :2], axis=-1) for x in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1] - shared, 1e-9)
