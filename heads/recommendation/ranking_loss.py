"""Losses of scores: of rows by themselves, of pairs, of lists."""

import keras
from keras import ops

from blocks.base import register

NONE = -1e9  # a score that no candidate has


def binary(y, x):
    """Cross-entropy of logits and zeros and ones."""
    return ops.mean(ops.softplus(x) - y * x, axis=-1)


def squared(y, x):
    """Mean of squared errors."""
    return ops.mean(ops.square(y - x), axis=-1)


def pairwise(y, x):
    """Logistic loss of every pair of a list of which one has a higher grade (RankNet, BPR)."""
    real = y >= 0
    better = (y[:, :, None] > y[:, None]) & real[:, :, None] & real[:, None]
    better = ops.cast(better, x.dtype)
    losses = ops.sum(better * ops.softplus(x[:, None] - x[:, :, None]), axis=(1, 2))
    return losses / ops.maximum(ops.sum(better, axis=(1, 2)), 1.0)


def listwise(y, x):
    """Cross-entropy of the softmax of a list's scores, grades being shares (ListNet)."""
    real = y >= 0
    log_p = ops.log_softmax(ops.where(real, x, NONE), axis=-1)
    grades = ops.where(real, y, 0.0)
    losses = -ops.sum(grades * ops.where(real, log_p, 0.0), axis=-1)
    return losses / ops.maximum(ops.sum(grades, axis=-1), 1e-9)


LISTS = {"listwise": listwise, "pairwise": pairwise}
LOSSES = {"binary": binary, **LISTS, "squared": squared}


@register
class RankingLoss(keras.Loss):
    """A loss of scores by its name.

    Shape: targets `(batch,)` or `(batch, 1)`, scores `(batch, 1)`; of lists both
    `(batch, candidates)`, a target below 0 being of no candidate. A list without a pair of unequal
    grades, or without a grade above 0, has none.

    Args:
        kind: `"binary"`, cross-entropy of logits; `"squared"`; `"pairwise"`, the logistic loss of
            pairs; or `"listwise"`, the cross-entropy of a softmax.
        name: Name of the loss.
        reduction: As in every `keras.Loss`.
        dtype: As in every `keras.Loss`.

    Raises:
        ValueError: If there is no such loss, or shapes do not fit.

    Reference: [Rendle et al., 2009](https://arxiv.org/abs/1205.2618) (pairwise);
    [Cao et al., 2007](https://doi.org/10.1145/1273496.1273513) (listwise)

    >>> round(float(RankingLoss("pairwise")(np.array([[1, 0, -1]]), np.zeros((1, 3)))), 4)
    0.6931
    """

    def __init__(
        self, kind="binary", *, name="ranking_loss", reduction="sum_over_batch_size", dtype=None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if kind not in LOSSES:
            raise ValueError(f"The loss must be one of {', '.join(LOSSES)}. Received: {kind!r}.")
        self.kind = kind

    def call(self, y_true, y_pred):
        if len(y_true.shape) == 1:
            y_true = y_true[:, None]
        if (
            len(y_true.shape) != 2
            or None not in (a := (y_true.shape[1], y_pred.shape[1]))
            and (a[0] != a[1])
        ):
            raise ValueError(
                "Targets have the shape of scores. "
                f"Received: shapes {tuple(y_true.shape)} and {tuple(y_pred.shape)}."
            )
        return LOSSES[self.kind](ops.cast(y_true, y_pred.dtype), y_pred)

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "dtype": self.dtype}


@register
class RankingAUC(keras.metrics.AUC):
    """Keras's area under the curve of true and false positives, of logits.

    Shape: zeros and ones `(batch,)` or `(batch, 1)`; logits `(batch, 1)`.

    Args:
        name: Name in the logs.
        dtype: As in every `keras.Metric`.

    >>> metric = RankingAUC()
    >>> metric.update_state(np.array([0, 1]), np.array([[-1.0], [2.0]]))
    >>> float(metric.result())
    1.0
    """

    def __init__(self, *, name="auc", dtype=None):
        super().__init__(num_thresholds=1000, name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        # Flattened by 8, so that logits of rare clicks do not all lie below the first threshold.
        scores = ops.sigmoid(ops.cast(y_pred, self.dtype) / 8)
        if sample_weight is not None:
            sample_weight = ops.reshape(sample_weight, (-1,))
        super().update_state(ops.reshape(y_true, (-1,)), ops.reshape(scores, (-1,)), sample_weight)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}
