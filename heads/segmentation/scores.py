"""Scores of class maps, from the counts of every pair of a class and an answer."""

import keras
from keras import ops

from blocks.base import register
from heads.segmentation.masks import MaskTargets

CARRY = 2.0**20


class _MaskMetric(keras.Metric):
    """A metric that is a function of the confusion matrix.

    What is no class is not counted: `heads.check_targets` finds it, and a loss stops at it.
    """

    def __init__(self, num_classes, ignore_label=None, *, maps=1, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self._direction = "up"
        self.targets = MaskTargets(num_classes, ignore_label, maps)
        shape = (self.targets.classes, self.targets.classes)
        # float32 counts up to 2**24, a few images: what is above 2**20 is counted by itself.
        self.low = self.add_variable(shape, "zeros", name="low")
        self.high = self.add_variable(shape, "zeros", name="high")

    def update_state(self, y_true, y_pred, sample_weight=None):
        logits = self.targets.split(ops.convert_to_tensor(y_pred, dtype=self.dtype))[0]
        ids = self.targets.ids(ops.cast(y_true, self.dtype), logits)
        known, _ = self.targets.known(ids)
        weights = ops.cast(known, "int32")
        if sample_weight is not None:
            given = ops.cast(sample_weight, self.dtype)
            if len(given.shape) > len(ids.shape):
                given = ops.squeeze(given, axis=-1)
            sides = (1,) * (len(ids.shape) - len(given.shape))
            weights = ops.cast(known, self.dtype) * ops.reshape(given, (*ops.shape(given), *sides))
        pairs = ops.cast(ops.where(known, ids, 0), "int32") * self.targets.classes
        pairs = pairs + self.targets.predicted(logits)
        counts = ops.segment_sum(
            ops.reshape(weights, (-1,)),
            ops.reshape(pairs, (-1,)),
            num_segments=self.targets.classes**2,
        )
        total = self.low + ops.reshape(ops.cast(counts, self.dtype), self.low.shape)
        carried = ops.floor(total / CARRY)
        self.high.assign_add(carried)
        self.low.assign(total - carried * CARRY)

    def confusion(self):
        """Return the number of positions of every class, a row, with every answer, a column."""
        return self.high * CARRY + self.low

    def score(self, confusion):
        """Return hits and what they are divided by, for every class."""
        raise NotImplementedError(f"{type(self).__name__} must define `score`.")

    def per_class(self):
        """Return the score of every class, 0 where it is nowhere."""
        return ops.divide_no_nan(*self.score(self.confusion()))

    def result(self):
        scores = self.per_class()
        if self.targets.num_classes == 1:
            return scores[1]
        seen = ops.cast(self.score(self.confusion())[1] > 0, self.dtype)
        return ops.divide_no_nan(ops.sum(scores), ops.sum(seen))

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype, **self.targets._asdict()}


def _parts(confusion):
    """Return for every class the hits, the positions of it, and the answers of it."""
    return ops.diagonal(confusion), ops.sum(confusion, axis=1), ops.sum(confusion, axis=0)


@register
class MaskIoU(_MaskMetric):
    """Area that a class and its answers share, divided by that of both; averaged over the classes.

    Areas are added up over all images before they are divided. A class that is neither among
    the targets nor among the answers is left out of the mean. In a binary mask the foreground alone
    counts; `per_class()` gives all. Other than in `keras.metrics.MeanIoU`, counts are exact beyond
    2**24 positions, and masks may be binary.

    Shape: class ids `(batch, *sides)`; logits `(batch, *sides, num_classes)`.

    Args:
        num_classes: Number of classes; 1 is a binary mask.
        ignore_label: The id of positions that do not count, or `None`.
        maps: Number of maps side by side in the logits of a training; the first counts.
        name: Name in the logs.
        dtype: As in every `keras.Metric`.

    >>> metric = MaskIoU(2)
    >>> metric.update_state(np.array([[[0, 1, 1]]]), np.eye(2)[[[[0, 1, 0]]]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, num_classes, ignore_label=None, *, maps=1, name="iou", dtype=None):
        super().__init__(num_classes, ignore_label, maps=maps, name=name, dtype=dtype)

    def score(self, confusion):
        hits, actual, predicted = _parts(confusion)
        return hits, actual + predicted - hits


@register
class MaskDice(_MaskMetric):
    """Twice the area that a class and its answers share, divided by the sum of both; the F1 score.

    Classes are averaged as by `MaskIoU`.

    Shape: class ids `(batch, *sides)`; logits `(batch, *sides, num_classes)`.

    Args:
        num_classes: Number of classes; 1 is a binary mask.
        ignore_label: The id of positions that do not count, or `None`.
        maps: Number of maps side by side in the logits of a training; the first counts.
        name: Name in the logs.
        dtype: As in every `keras.Metric`.

    >>> metric = MaskDice(2)
    >>> metric.update_state(np.array([[[0, 1, 1]]]), np.eye(2)[[[[0, 1, 0]]]])
    >>> round(float(metric.result()), 4)
    0.6667
    """

    def __init__(self, num_classes, ignore_label=None, *, maps=1, name="dice", dtype=None):
        super().__init__(num_classes, ignore_label, maps=maps, name=name, dtype=dtype)

    def score(self, confusion):
        hits, actual, predicted = _parts(confusion)
        return 2 * hits, actual + predicted


@register
class PixelAccuracy(_MaskMetric):
    """Share of the positions whose class is right; `per_class()` gives that of every class.

    Shape: class ids `(batch, *sides)`; logits `(batch, *sides, num_classes)`.

    Args:
        num_classes: Number of classes; 1 is a binary mask.
        ignore_label: The id of positions that do not count, or `None`.
        maps: Number of maps side by side in the logits of a training; the first counts.
        name: Name in the logs.
        dtype: As in every `keras.Metric`.

    >>> metric = PixelAccuracy(2, ignore_label=255)
    >>> metric.update_state(np.array([[[0, 1, 1, 255]]]), np.eye(2)[[[[0, 1, 0, 0]]]])
    >>> round(float(metric.result()), 4)
    0.6667
    """

    def __init__(self, num_classes, ignore_label=None, *, maps=1, name="accuracy", dtype=None):
        super().__init__(num_classes, ignore_label, maps=maps, name=name, dtype=dtype)

    def score(self, confusion):
        hits, actual, _ = _parts(confusion)
        return hits, actual

    def result(self):
        hits, actual, _ = _parts(self.confusion())
        return ops.divide_no_nan(ops.sum(hits), ops.sum(actual))
