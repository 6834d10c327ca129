"""A threshold chosen on validation data."""

import warnings

import keras
import numpy as np

from heads.classification import ClassificationHead
from heads.deployment import deploy, predicted
from heads.graph import heads_of


def _f1(hits, alarms, positives, total):
    return 2 * hits / np.maximum(alarms + positives, 1)


def _accuracy(hits, alarms, positives, total):
    return (total - positives - alarms + 2 * hits) / total


def _balanced_accuracy(hits, alarms, positives, total):
    negatives = total - positives
    return (hits / positives + (negatives - alarms + hits) / negatives) / 2


METRICS = {"f1": _f1, "accuracy": _accuracy, "balanced_accuracy": _balanced_accuracy}


def choose_threshold(model, data, *, metric="f1"):
    """Return the threshold of probability that scores best on validation data.

    `heads.deploy(model, threshold=choose_threshold(model, validation))` then labels by it.

    Args:
        model: A model with one `ClassificationHead`, of two classes or multi-label; or
            probabilities, `(rows, classes)`, or `(rows,)` of class 1.
        data: `(inputs, targets)` or a dataset of such batches; with probabilities the targets
            alone: ids or one-hot rows of two classes, or rows of zeros and ones.
        metric: `"f1"`, `"accuracy"` or `"balanced_accuracy"`, of class 1 or of each label.

    Returns:
        For two classes a number, halfway between the probabilities of two rows; in
        multi-label a list of them, one for each class.

    Raises:
        ValueError: If there are more than two exclusive classes, or only one among the targets.
            A multi-label class with only one kind of row keeps 0.5, with a warning.

    >>> choose_threshold(np.array([0.1, 0.25, 0.375, 0.9]), np.array([0, 0, 1, 1]))
    0.3125
    """
    if metric not in METRICS:
        raise ValueError(f"`metric` must be one of {sorted(METRICS)}. Received: {metric!r}.")
    multi_label = None
    if isinstance(model, keras.Model):
        multi_label = _head_of(model).targets.multi_label
        probabilities, targets = predicted(deploy(model), data)
    else:
        probabilities, targets = np.asarray(model, "float32"), np.asarray(data)
    probabilities, targets, multi_label = _columns(probabilities, targets, multi_label)
    chosen = []
    for label, (p, y) in enumerate(zip(probabilities.T, targets.T)):
        if y.all() or not y.any():
            said = f"Received: {len(y)} rows, {int(y.sum())} of them of class {label or 1}."
            if not multi_label:
                raise ValueError(f"Validation data must have rows of both classes. {said}")
            warnings.warn(f"A threshold needs rows with and without a label. {said}", stacklevel=2)
            chosen.append(0.5)
        else:
            chosen.append(_best(p, y, METRICS[metric]))
    return chosen if multi_label else chosen[0]


def _best(p, y, metric):
    order = np.argsort(-p, kind="stable")
    p, y = p[order], y[order]
    # Cut n calls the n most probable rows positive; equal probabilities are not parted.
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(p)) + 1, [len(p)]])
    hits = np.concatenate([[0], np.cumsum(y)])[cuts]
    cut = cuts[np.argmax(metric(hits.astype("float64"), cuts, y.sum(), len(y)))]
    above = p[cut - 1] if cut > 0 else np.float32(1)
    below = p[cut] if cut < len(p) else np.float32(0)
    middle = np.float32((np.float64(above) + below) / 2)
    return float(middle if middle > below else above)


def _columns(probabilities, targets, multi_label):
    """Return both as `(rows, labels)`: of two exclusive classes that of class 1 alone."""
    if multi_label is None:  # rows that sum to one are those of exclusive classes
        multi_label = (
            probabilities.ndim == 2
            and probabilities.shape == targets.shape
            and probabilities.shape[1] > 1
            and not (
                np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)
                and np.allclose(targets.sum(axis=1), 1)
            )
        )
    if not multi_label:
        if probabilities.ndim == 2 and probabilities.shape[1] > 2:
            raise ValueError(
                "A threshold needs two classes or multi-label targets. Received: "
                f"probabilities of shape {probabilities.shape} and targets of {targets.shape}."
            )
        probabilities, targets = (
            x[:, None] if x.ndim == 1 else x[:, -1:] for x in (probabilities, targets)
        )
    if (
        probabilities.shape != targets.shape
        or not len(targets)
        or not np.isin(targets, (0, 1)).all()
    ):
        raise ValueError(
            "Targets must be zeros and ones, a row for each row of probabilities. Received: "
            f"probabilities of shape {probabilities.shape}, targets of {targets.shape}."
        )
    return probabilities, targets.astype(bool), multi_label


def _head_of(model):
    heads = heads_of(model)
    (head, *others) = heads.values()
    if others or not isinstance(head, ClassificationHead):
        raise ValueError(
            "A model with one ClassificationHead is needed. "
            f"Received: a model with {sorted(heads)}. Give deploy(model).predict(…) of one."
        )
    return head
