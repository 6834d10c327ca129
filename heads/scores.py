"""Scores of classification, for every format of targets."""

import math

import keras
from keras import ops

from blocks.base import register
from heads.classes import ClassTargets


class _ClassMetric(keras.Metric):
    """A metric of class targets and logits."""

    def __init__(self, num_classes, *, one_hot=False, multi_label=False, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self._direction = "up"
        self.targets = ClassTargets(num_classes, one_hot, multi_label)

    def add_sum(self, name, *shape):
        return self.add_variable(shape, "zeros", name=name)

    def read(self, y_true, y_pred, sample_weight):
        """Return targets and predictions as rows of `num_classes`, and weights `(batch, 1)`."""
        logits = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        targets = self.targets.dense(ops.convert_to_tensor(y_true), logits)
        if sample_weight is None:
            return targets, logits, ops.ones_like(logits[:, :1])
        return targets, logits, ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype, **self.targets._asdict()}


@register
class Accuracy(_ClassMetric):
    """Share of the rows whose class is right; in multi-label, share of the labels.

    Shape: targets as `one_hot` and `multi_label` say; logits `(batch, num_classes)`.

    Args:
        num_classes: Number of classes.
        one_hot: Whether targets are one-hot rows and not class ids.
        multi_label: Whether a row may have several labels.
        name: Name in the logs.
        dtype: As in every `keras.Metric`.

    >>> metric = Accuracy(3)
    >>> metric.update_state(np.array([2, 0]), np.eye(3)[[2, 1]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, num_classes, *, name="accuracy", **kwargs):
        super().__init__(num_classes, name=name, **kwargs)
        self.right = self.add_sum("right")
        self.total = self.add_sum("total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        targets, logits, weights = self.read(y_true, y_pred, sample_weight)
        predicted = self.targets.predicted(logits)
        equal = ops.cast(predicted == self.targets.decided(targets), self.dtype)
        share = ops.mean if self.targets.multi_label else ops.min
        self.right.assign_add(ops.sum(weights * share(equal, axis=-1, keepdims=True)))
        self.total.assign_add(ops.sum(weights))

    def result(self):
        return ops.divide_no_nan(self.right, self.total)


SCORES = {
    "precision": lambda hits, actual, predicted: ops.divide_no_nan(hits, predicted),
    "recall": lambda hits, actual, predicted: ops.divide_no_nan(hits, actual),
    "f1": lambda hits, actual, predicted: ops.divide_no_nan(2 * hits, actual + predicted),
}


@register
class MacroScore(_ClassMetric):
    """Precision, recall or F1 of each class, averaged over the classes.

    As in scikit-learn, a class that is neither among the targets nor among the predictions
    is left out of the mean (in multi-label it counts as 0), and 0 / 0 is 0.

    Shape: targets as `one_hot` and `multi_label` say; logits `(batch, num_classes)`.

    Args:
        score: `"precision"`, `"recall"` or `"f1"`.
        num_classes: Number of classes.
        one_hot: Whether targets are one-hot rows and not class ids.
        multi_label: Whether a row may have several labels.
        name: Name in the logs; by default `"macro_f1"`, `"precision"` or `"recall"`.
        dtype: As in every `keras.Metric`.

    >>> metric = MacroScore("f1", 3)
    >>> metric.update_state(np.array([2, 0, 1]), np.eye(3)[[2, 1, 1]])
    >>> round(float(metric.result()), 4)
    0.5556
    """

    def __init__(self, score, num_classes, *, name=None, **kwargs):
        if score not in SCORES:
            raise ValueError(f"`score` must be one of {sorted(SCORES)}. Received: {score!r}.")
        default = "macro_f1" if score == "f1" else score
        super().__init__(num_classes, name=name or default, **kwargs)
        self.score = score
        self.hits = self.add_sum("hits", num_classes)
        self.actual = self.add_sum("actual", num_classes)
        self.predicted = self.add_sum("predicted", num_classes)

    def update_state(self, y_true, y_pred, sample_weight=None):
        targets, logits, weights = self.read(y_true, y_pred, sample_weight)
        actual = self.targets.decided(targets)
        predicted = self.targets.predicted(logits)
        self.hits.assign_add(ops.sum(weights * actual * predicted, axis=0))
        self.actual.assign_add(ops.sum(weights * actual, axis=0))
        self.predicted.assign_add(ops.sum(weights * predicted, axis=0))

    def result(self):
        hits, actual, predicted = map(
            ops.convert_to_tensor, (self.hits, self.actual, self.predicted)
        )
        scores = SCORES[self.score](hits, actual, predicted)
        if self.targets.multi_label:
            return ops.mean(scores)
        seen = ops.cast(actual + predicted > 0, self.dtype)
        return ops.divide_no_nan(ops.sum(scores), ops.sum(seen))

    def get_config(self):
        return {"score": self.score, **super().get_config()}


@register
class MacroAUC(_ClassMetric):
    """Area under the ROC curve of each class against the rest, averaged over the classes.

    Scores are counted in buckets of log-odds, where the probabilities of a sure model stay
    apart; within a bucket they are ties. A class without rows, or with nothing else, is left
    out of the mean; if all are, the result is 0.

    Shape: targets as `one_hot` and `multi_label` say; logits `(batch, num_classes)`.

    Args:
        num_classes: Number of classes.
        buckets: Number of buckets, narrower towards even odds; memory is twice as many
            numbers a class.
        one_hot: Whether targets are one-hot rows and not class ids.
        multi_label: Whether a row may have several labels.
        name: Name in the logs.
        dtype: As in every `keras.Metric`.

    >>> metric = MacroAUC(2)
    >>> metric.update_state(np.array([0, 1, 1]), np.array([[1.0, 0.0], [0.0, 0.5], [2.0, 0.0]]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, num_classes, *, buckets=1000, name="auc", **kwargs):
        super().__init__(num_classes, name=name, **kwargs)
        self.buckets = buckets
        self.positives = self.add_sum("positives", num_classes * buckets)
        self.negatives = self.add_sum("negatives", num_classes * buckets)

    def update_state(self, y_true, y_pred, sample_weight=None):
        targets, logits, weights = self.read(y_true, y_pred, sample_weight)
        scores = ops.nan_to_num(logits if self.targets.multi_label else log_odds(logits))
        places = (1 + scores / (ops.abs(scores) + MIDDLE)) / 2
        places = ops.minimum(ops.cast(places * self.buckets, "int32"), self.buckets - 1)
        places += self.buckets * ops.arange(self.targets.num_classes, dtype="int32")
        for counts, rows in ((self.positives, targets), (self.negatives, 1 - targets)):
            rows = ops.reshape(weights * rows, (-1,))
            counts.assign_add(
                ops.segment_sum(rows, ops.reshape(places, (-1,)), num_segments=counts.shape[0])
            )

    def result(self):
        shape = (self.targets.num_classes, self.buckets)
        positives, negatives = (
            ops.reshape(self.positives, shape),
            ops.reshape(self.negatives, shape),
        )
        all_positives, all_negatives = ops.sum(positives, axis=1), ops.sum(negatives, axis=1)
        below = ops.cumsum(negatives, axis=1) - negatives / 2
        area = ops.divide_no_nan(ops.sum(positives * below, axis=1), all_positives * all_negatives)
        known = ops.cast((all_positives > 0) & (all_negatives > 0), self.dtype)
        return ops.divide_no_nan(ops.sum(area * known), ops.sum(known))

    def get_config(self):
        return {**super().get_config(), "buckets": self.buckets}


@register
class OwnAngle(_ClassMetric):
    """Mean angle between the embedding of a row and the centre of its class, in degrees.

    Shape: class ids `(batch,)` or `(batch, 1)`; cosines times `scale`, `(batch, num_classes)`.

    Args:
        num_classes: Number of classes.
        scale: Number by which the cosines are multiplied.
        name: Name in the logs.
        dtype: As in every `keras.Metric`.

    >>> metric = OwnAngle(2, scale=64.0)
    >>> metric.update_state(np.array([1]), 64 * np.array([[0.9, 0.5]]))
    >>> round(float(metric.result()), 3)
    60.0
    """

    def __init__(self, num_classes, *, scale, name="angle", dtype=None):
        super().__init__(num_classes, name=name, dtype=dtype)
        self._direction = "down"
        self.scale = scale
        self.degrees = self.add_sum("degrees")
        self.total = self.add_sum("total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        targets, scaled, weights = self.read(y_true, y_pred, sample_weight)
        cosines = ops.clip(scaled / self.scale, -1.0, 1.0)
        degrees = ops.arccos(cosines) * (180 / math.pi)
        self.degrees.assign_add(ops.sum(weights * targets * degrees))
        self.total.assign_add(ops.sum(weights))

    def result(self):
        return ops.divide_no_nan(self.degrees, self.total)

    def get_config(self):
        return {
            "name": self.name,
            "dtype": self.dtype,
            "num_classes": self.targets.num_classes,
            "scale": self.scale,
        }


MIDDLE = 4.0  # half of the buckets lie between these log-odds: probabilities 0.018 and 0.982


def log_odds(logits):
    """Return the log-odds of each class against the rest together."""
    largest = ops.one_hot(ops.argmax(logits, axis=-1), logits.shape[-1], dtype="bool")
    p = ops.where(largest, 0.5, ops.softmax(logits, axis=-1))
    # Of the largest class 1 - p is lost in float32: its rest is added up without it.
    rest = ops.logsumexp(ops.where(largest, -math.inf, logits), axis=-1, keepdims=True)
    return ops.where(largest, logits - rest, ops.log_softmax(logits, axis=-1) - ops.log1p(-p))
