"""How far two answers of a detector say the same, whatever the order of their boxes."""

import warnings

import numpy as np
from keras import ops

from heads.detection.overlap import overlap


def agreement(expected, actual, closeness=0.5):
    """Return the share of boxes that have a counterpart in the other answer, from 0 to 1.

    A counterpart is of the same class, overlaps enough and has nearly the score, each of one box
    alone. A box counts as much as its score: those at the threshold, which come and go with
    rounding, count little beside sure ones.

    Args:
        expected: A dict of arrays `"boxes"`, `"scores"` and `"classes"`, as a deployed
            `DetectionHead` answers.
        actual: Another, of the same images.
        closeness: The least overlap of counterparts; their scores differ by at most 1 less it.

    >>> answer = {"boxes": np.array([[[0, 0, 9, 9], [0, 0, 0, 0]]])}
    >>> answer |= {"scores": np.array([[0.9, 0.0]]), "classes": np.array([[3, -1]])}
    >>> agreement(answer, answer), agreement(answer, {**answer, "classes": np.array([[2, -1]])})
    (1.0, 0.0)
    """
    matched = whole = 0.0
    for i in range(len(expected["boxes"])):
        ours, theirs = _rows(expected, i), _rows(actual, i)
        whole += ours["scores"].sum() + theirs["scores"].sum()
        overlaps = overlaps_of(ours["boxes"], theirs["boxes"])
        overlaps *= ours["classes"][:, None] == theirs["classes"]
        overlaps *= abs(ours["scores"][:, None] - theirs["scores"]) <= 1 - closeness
        for j in np.argsort(-ours["scores"]):
            if overlaps.shape[1] and overlaps[j].max() >= closeness:
                best = int(overlaps[j].argmax())
                matched += ours["scores"][j] + theirs["scores"][best]
                overlaps[:, best] = 0
    if not whole:
        warnings.warn(
            f"In {len(expected['boxes'])} samples no box was found, so nothing was compared. Give "
            "samples that show objects, or deploy with a lower `score`.",
            stacklevel=2,
        )
        return 1.0
    return float(matched / whole)


def _rows(answer, image):
    """Return the boxes of one image, without the rows that hold none."""
    real = answer["classes"][image] >= 0
    keys = ("boxes", "scores", "classes")
    return {key: np.asarray(answer[key][image])[real].astype("float64") for key in keys}


def overlaps_of(a, b):
    """Return the intersection over the union of every pair of two arrays of boxes."""
    return np.array(ops.convert_to_numpy(overlap(a[:, None], b[None])), "float64")
