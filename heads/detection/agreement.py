"""Two answers of a detector: how far they say the same, whatever the order of their boxes."""

import warnings

import numpy as np
from keras import ops

from heads.detection.overlap import overlap

TIE = 1e-4  # what rounding may do to a score, and to a box as a share of the largest coordinate


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
        overlaps = overlaps_of(ours["boxes"], theirs["boxes"])
        overlaps *= ours["classes"][:, None] == theirs["classes"]
        overlaps *= abs(ours["scores"][:, None] - theirs["scores"]) <= 0.5
        for j in np.argsort(-ours["scores"]):
            if overlaps.shape[1] and overlaps[j].max() >= 0.5:
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


def aligned(expected, actual, score):
    """Return `actual` with its boxes where `expected` has them, as far as rounding moved them.

    Boxes of nearly equal scores change places with the rounding of floats, and one whose score is
    within `TIE` of the least comes or goes. Nothing else is forgiven: an image whose boxes differ
    otherwise keeps its answer as it is. So do the rare ones where rounding decides which of two
    boxes suppresses the other, or which is the last that finds room.

    Args:
        expected: A dict of arrays, `"count"` among them, as a deployed `DetectionHead` answers.
        actual: Another, of the same images.
        score: The least score of a box.
    """
    made = {key: np.array(values) for key, values in actual.items()}
    for i in range(len(expected["boxes"])):
        given = [{key: values[i : i + 1] for key, values in x.items()} for x in (expected, made)]
        for key, values in _in_places(*given, score).items():
            made[key][i] = values
    return made


def least_equal(expected, actual):
    """Return the least share of an image's boxes that are the same but for rounding, by score."""
    shares = []
    for i in range(len(expected["boxes"])):
        sides = _rows(expected, i), _rows(actual, i)
        pairs = _equals(*sides)
        whole = sum(rows["scores"].sum() for rows in sides)
        same = sum(rows["scores"][[p[k] for p in pairs]].sum() for k, rows in enumerate(sides))
        shares.append(same / whole if whole else 1.0)
    return min(shares)


def mostly_equal(expected, actual, score, num_classes):
    """Return whether two answers are whole and say mostly the same, in every image half at least.

    So an image of one box must be equal.
    """
    return (
        is_whole(actual, score, num_classes)
        and agreement(expected, actual) >= 0.9
        and least_equal(expected, actual) >= 0.5
    )


def is_whole(answer, score=0.0, num_classes=None):
    """Return whether an answer is one: boxes best first, as many as counted, nothing behind them.

    Scores are at least `score`, and classes below `num_classes`.

    >>> answer = {"boxes": np.ones((1, 2, 4)), "scores": np.array([[0.4, 0.9]])}
    >>> is_whole({**answer, "classes": np.array([[0, 0]]), "count": np.array([2])})
    False
    """
    real = answer["classes"] >= 0
    behind = np.arange(real.shape[1]) >= answer["count"][:, None]
    scores, nothing = answer["scores"], (answer["boxes"] == 0).all(-1) & (answer["scores"] == 0)
    return bool(
        (real == ~behind).all()
        and nothing[behind].all()
        and (scores[:, 1:] <= scores[:, :-1]).all()
        and (scores[real] >= score - TIE).all()
        and (num_classes is None or (answer["classes"] < num_classes).all())
        and np.isfinite(answer["boxes"]).all()
        and np.isfinite(scores).all()
    )


def _in_places(expected, actual, score):
    """Return one image's rows in the places of `expected`, or nothing where they differ."""
    ours, theirs = _rows(expected, 0), _rows(actual, 0)
    sizes = len(ours["scores"]), len(theirs["scores"])
    ordered = (np.diff(theirs["scores"]) <= TIE).all()
    pairs = _equals(ours, theirs)
    lost, come = (
        np.delete(rows["scores"], [pair[side] for pair in pairs])
        for side, rows in enumerate((ours, theirs))
    )
    at_threshold = (abs(np.concatenate([lost, come]) - score) <= TIE).all()
    counted = sizes == (expected["count"][0], actual["count"][0])
    if not counted or not ordered or not at_threshold or (len(lost) and len(come)):
        return {}
    made = {"count": expected["count"][0]}
    for key in ("boxes", "scores", "classes"):
        rows = made[key] = np.array(expected[key][0])
        for j, k in pairs:
            rows[j] = actual[key][0, k]
        behind = actual[key][0, sizes[1] :][: len(rows) - sizes[0]]
        rows[sizes[0] :][: len(behind)] = behind
    return made


def _equals(ours, theirs):
    """Return the places of boxes and of those of the other answer that rounding makes of them."""
    found, free = [], np.full(len(theirs["scores"]), True)
    slack = TIE * abs(ours["boxes"]).max(initial=0.0)
    for j, box in enumerate(ours["boxes"]):
        apart = abs(theirs["boxes"] - box).max(-1)
        near = free & (apart <= slack) & (theirs["classes"] == ours["classes"][j])
        near &= abs(theirs["scores"] - ours["scores"][j]) <= TIE
        if near.any():
            best = int(np.where(near, apart, np.inf).argmin())
            found.append((j, best))
            free[best] = False
    return found


def _rows(answer, image):
    """Return the boxes of one image, without the rows that hold none."""
    real = answer["classes"][image] >= 0
    keys = ("boxes", "scores", "classes")
    return {key: np.asarray(answer[key][image])[real].astype("float64") for key in keys}


def overlaps_of(a, b):
    """Return the intersection over the union of every pair of two arrays of boxes."""
    return np.array(ops.convert_to_numpy(overlap(a[:, None], b[None])), "float64")
