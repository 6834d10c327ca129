"""COCO's average precision, by its own code."""

import contextlib
import io

import numpy as np

from heads.detection.pack import NOTHING

STATS = ("map", "map50", "map75", "map_small", "map_medium", "map_large")
STATS += ("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")


def coco_scores(predictions, targets, *, num_classes=None, names=None, crowd=None, area=None):
    """Return COCO's average precisions and recalls of boxes, in all and by class.

    It is pycocotools that computes them: `pip install keras-blocks[detection]`.

    Args:
        predictions: A dict of `"boxes"`, `(images, rows, 4)` in pixels, `"scores"` and
            `"classes"`, `(images, rows)`, rows of class -1 being none, as a deployed
            `DetectionHead` answers; or a list of such dicts, one an image.
        targets: `(images, max_boxes, 5)`, as `heads.pack_boxes` makes them, or a list of
            `(boxes, 5)`.
        num_classes: Number of classes; by default as many as there are, or have names.
        names: Names of the classes, for `"by_class"`; by default their ids.
        crowd: Booleans, a list for each image: boxes that mark a crowd. What lies in them counts
            neither for nor against.
        area: Numbers, a list for each image: areas by which boxes are small (below 32 x 32
            pixels), medium or large (from 96 x 96); by default those of the boxes.

    Returns:
        A dict: `"map"`, the mean over overlaps of 0.5 to 0.95 and the classes, `"map50"`,
        `"map75"`, `"map_small"`, `"map_medium"`, `"map_large"`; recalls `"ar1"`, `"ar10"`,
        `"ar100"` with so many boxes an image, `"ar_small"` and so on; and `"by_class"`, a dict of
        dicts of `"map"` and `"map50"`. NaN where there is no box to find.

    Raises:
        ValueError: If predictions and targets are not of as many images, or there is no box.
        ImportError: If pycocotools is missing.

    Reference: [Lin et al., 2014](https://arxiv.org/abs/1405.0312)
    """
    evaluation, names = _read(predictions, targets, num_classes, names, crowd, area)
    scores = {name: _or_nan(x) for name, x in zip(STATS, evaluation.stats)}
    precision = evaluation.eval["precision"][:, :, :, 0, 2]  # by overlap, recall and class
    scores["by_class"] = {
        name: {"map": _mean(precision[:, :, i]), "map50": _mean(precision[0, :, i])}
        for i, name in enumerate(names)
    }
    return scores


def precision_recall(predictions, targets, *, iou=0.5, num_classes=None, names=None):
    """Return how precise a detector is when it finds so many of the boxes, by class.

    Args:
        predictions: As of `coco_scores`, of all scores from 0.01 or less.
        targets: As of `coco_scores`.
        iou: Overlap from which on a box is found: 0.5, 0.55, … 0.95.
        num_classes: Number of classes; by default as many as there are.
        names: Names of the classes; by default their ids.

    Returns:
        A dict by class of precisions, `(101,)`, at recalls of 0, 0.01, … 1, each the best at this
        or a higher recall, as COCO counts; their mean is the class's average precision. NaN where
        a class has no box.

    Raises:
        ValueError: As `coco_scores`, or if COCO's code has no such overlap.
        ImportError: If pycocotools is missing.

    >>> targets = np.array([[[0.0, 0.0, 4.0, 4.0, 0.0]]])
    >>> found = {"boxes": targets[..., :4], "scores": np.ones((1, 1)), "classes": [[0]]}
    >>> float(precision_recall(found, targets, names=["cell"])["cell"].mean())
    1.0
    """
    evaluation, names = _read(predictions, targets, num_classes, names, None, None)
    overlaps = evaluation.params.iouThrs
    place = int(np.abs(overlaps - iou).argmin())
    if abs(overlaps[place] - iou) > 1e-6:
        raise ValueError(f"`iou` must be one of 0.5, 0.55, … 0.95. Received: iou={iou!r}.")
    precision = evaluation.eval["precision"][place, :, :, 0, 2]
    return {
        name: np.where(precision[:, i] < 0, np.nan, precision[:, i]) for i, name in enumerate(names)
    }


def _read(predictions, targets, num_classes, names, crowd, area):
    """Return pycocotools' evaluation, and the names of the classes."""
    found, boxes = _by_image(predictions), [np.asarray(x, "float64") for x in targets]
    if len(found) != len(boxes):
        raise ValueError(
            "Predictions and targets must be of the same images. "
            f"Received: {len(found)} and {len(boxes)} of them."
        )
    if not sum(np.sum(x[:, 4] != NOTHING) for x in boxes):
        raise ValueError("There must be a box to find. Received: targets without any.")
    rows = [*(x[:, 4] for x in boxes), *(x["classes"] for x in found)]
    needed = 1 + int(max(np.max(x, initial=0) for x in rows))
    count = num_classes or (needed if names is None else len(names))
    names = list(range(count)) if names is None else list(names)
    if needed > count:
        raise ValueError(
            f"Ids of {count} classes are below {count}. Received: {needed - 1}. Ids begin at 0."
        )
    if len(names) != count:
        raise ValueError(f"Each of {count} classes has a name. Received: names={names}.")
    return _evaluated(boxes, found, count, crowd, area), names


def _by_image(predictions):
    if not isinstance(predictions, dict):
        return [{key: np.asarray(x) for key, x in each.items()} for each in predictions]
    keys = ("boxes", "scores", "classes")
    return [dict(zip(keys, rows)) for rows in zip(*(np.asarray(predictions[key]) for key in keys))]


def required():
    """Return pycocotools' classes; raise, with the repair, where it is not installed."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise ImportError(
            "COCO's scores need pycocotools: pip install keras-blocks[detection]."
        ) from error
    return COCO, COCOeval


def _evaluated(targets, predictions, count, crowd, area):
    COCO, COCOeval = required()
    truth, guesses = [], []
    for i, rows in enumerate(targets):
        for j in np.flatnonzero(rows[:, 4] != NOTHING):
            box = _sides(rows[j, :4])
            size = box[2] * box[3] if area is None else float(area[i][j])
            mark = 0 if crowd is None else int(crowd[i][j])
            truth.append(_entry(i, rows[j, 4], box, size) | {"id": len(truth) + 1, "iscrowd": mark})
    for i, each in enumerate(predictions):
        finite = np.isfinite(each["boxes"]).all(-1) & np.isfinite(each["scores"])
        for j in np.flatnonzero((each["classes"] != NOTHING) & finite):  # of NaN COCO finds all
            box = _sides(each["boxes"][j])
            guess = _entry(i, each["classes"][j], box, box[2] * box[3])
            guesses.append(guess | {"id": len(guesses) + 1, "score": float(each["scores"][j])})
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(
            *(_data(COCO(), len(targets), count, x) for x in (truth, guesses)), "bbox"
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _data(coco, images, classes, annotations):
    coco.dataset = {
        "images": [{"id": i} for i in range(images)],
        "categories": [{"id": i} for i in range(classes)],
        "annotations": [{"iscrowd": 0, **x} for x in annotations],
    }
    coco.createIndex()
    return coco


def _entry(image, kind, box, size):
    return {"image_id": image, "category_id": int(kind), "bbox": box, "area": size}


def _sides(box):
    left, top, right, bottom = map(float, box)
    return [left, top, right - left, bottom - top]


def _or_nan(value):
    return float("nan") if value < 0 else float(value)


def _mean(precision):
    known = precision[precision > -1]
    return float(known.mean()) if known.size else float("nan")
