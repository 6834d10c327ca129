"""Two answers of a detector: how far they say the same, whatever the order of their boxes."""

import warnings

import numpy as np
from keras import ops

from heads.detection.overlap import overlap

TIE = 1e-4  # scores nearer than this change places with the rounding of floats


def agreement(expected, actual):
    """Return the share of boxes that have a counterpart in the other answer, from 0 to 1.

    A counterpart is of the same class, overlaps by half or more and has nearly the score, each of
    one box alone. A box counts as much as its score: those at the threshold, which come and go with
    rounding, count little beside sure ones.

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
        for j, k in _pairs(ours, theirs, 0.5):
            matched += ours["scores"][j] + theirs["scores"][k]
    if not whole:
        warnings.warn(
            f"In {len(expected['boxes'])} samples no box was found, so nothing was compared. Give "
            "samples that show objects, or deploy with a lower `score`.",
            stacklevel=2,
        )
        return 1.0
    return float(matched / whole)


def aligned(expected, actual, score):
    """Return `actual` with its boxes where `expected` has them, as far as rounding moved them.

    Boxes of nearly equal scores change places with the rounding of floats; one whose score is
    within `TIE` of the least, or of the last that found room, comes or goes. Nothing else is
    forgiven: an image whose boxes differ otherwise keeps its answer as it is.

    Args:
        expected: A dict of arrays, `"count"` among them, as a deployed `DetectionHead` answers.
        actual: Another, of the same images.
        score: The least score of a box.
    """
    made = {key: np.array(values) for key, values in actual.items()}
    for i in range(len(expected["boxes"])):
        rows = _in_places(
            {k: x[i] for k, x in expected.items()}, {k: x[i] for k, x in made.items()}, score
        )
        for key, values in (rows or {}).items():
            made[key][i] = values
    return made


def _in_places(expected, actual, score):
    """Return one image's rows in the places of `expected`, or `None` where they differ."""
    ours, theirs = (_rows({k: x[None] for k, x in y.items()}, 0) for y in (expected, actual))
    sizes = len(ours["scores"]), len(theirs["scores"])
    if sizes != (expected["count"], actual["count"]):
        return None
    if not (np.diff(theirs["scores"]) <= TIE).all():
        return None
    pairs = _pairs(ours, theirs, 0.9)
    edge = ours["scores"].min() if sizes[0] == len(expected["scores"]) else score
    for rows, taken in zip((ours, theirs), zip(*pairs) if pairs else ((), ())):
        if not (abs(np.delete(rows["scores"], list(taken)) - edge) <= TIE).all():
            return None
    made = {"count": expected["count"]}
    for key in ("boxes", "scores", "classes"):
        made[key] = np.array(expected[key])
        for j, k in pairs:
            made[key][j] = actual[key][k]
        padding = actual[key][sizes[1] :][: len(made[key]) - sizes[0]]
        made[key][sizes[0] :][: len(padding)] = padding
    return made


def _pairs(ours, theirs, closeness):
    """Return the places of boxes and of their counterparts, the best boxes first.

    Counterparts overlap by `closeness`, and their scores differ by at most 1 less it.
    """
    if not len(ours["scores"]) or not len(theirs["scores"]):
        return []
    overlaps = overlaps_of(ours["boxes"], theirs["boxes"])
    overlaps *= ours["classes"][:, None] == theirs["classes"]
    overlaps *= abs(ours["scores"][:, None] - theirs["scores"]) <= 1 - closeness
    found = []
    for j in np.argsort(-ours["scores"], kind="stable"):
        best = int(overlaps[j].argmax())
        if overlaps[j, best] >= closeness:
            found.append((int(j), best))
            overlaps[:, best] = 0
    return found


def _rows(answer, image):
    """Return the boxes of one image, without the rows that hold none."""
    real = answer["classes"][image] >= 0
    keys = ("boxes", "scores", "classes")
    return {key: np.asarray(answer[key][image])[real].astype("float64") for key in keys}


def overlaps_of(a, b):
    """Return the intersection over the union of every pair of two arrays of boxes."""
    return np.array(ops.convert_to_numpy(overlap(a[:, None], b[None])), "float64")
