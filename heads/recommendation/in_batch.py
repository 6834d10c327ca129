"""The loss of retrieval, whose negatives are the other items of the batch."""

import keras
from keras import ops

from blocks.base import check_above_zero, check_positive, register
from heads.values import require

HIDDEN = -1e9  # a logit that no item has
LARGEST = 2**24  # a loss sees float32, in which larger indices are no longer told apart
RULE = f"Targets must be indices of items, whole numbers from 0 to {LARGEST}."


@register
class InBatchSoftmax(keras.Loss):
    """Cross-entropy of each user's own item among the items of the batch.

    Items of the batch are as frequent as they are popular, which the second column of targets
    corrects. The user's own item in another row is no negative.

    Shape: indices of items, `(batch,)`, or rows of an index and the logarithm of how probable
    the item is in a batch, `(batch, 2)`, as `heads.item_targets` makes them; vectors of users and
    items side by side, `(batch, 2 * units)`.

    Args:
        temperature: Number by which products are divided.
        hard_negatives: How many negatives count, those nearest to the user; `None` is all.
        name: Name of the loss.
        reduction: As in every `keras.Loss`.
        dtype: As in every `keras.Loss`.

    Raises:
        ValueError: If an argument is out of its range, or targets have another shape. Where they
            are no indices, a step of training stops with the rule and the value.

    Reference: [Yi et al., 2019](https://doi.org/10.1145/3298689.3346996), equations 4 to 6

    >>> vectors = np.eye(2)[[[0, 0], [1, 1]]].reshape(2, 4)
    >>> round(float(InBatchSoftmax(1.0)(np.array([7, 3]), vectors)), 4)
    0.3133
    """

    def __init__(
        self,
        temperature=0.05,
        hard_negatives=None,
        *,
        name="in_batch_softmax",
        reduction="sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        check_above_zero(temperature=temperature)
        check_positive(hard_negatives=1 if hard_negatives is None else hard_negatives)
        self.temperature, self.hard_negatives = temperature, hard_negatives

    def call(self, y_true, y_pred):
        ids, log_q = columns(y_true)
        valid = (ids >= 0) & (ids <= LARGEST) & (ids == ops.floor(ids))
        require(valid, ids, RULE)
        users, items = ops.split(y_pred, 2, axis=-1)
        users, log_q = users / self.temperature, ops.cast(log_q, y_pred.dtype)
        positive = ops.sum(users * items, axis=-1) - log_q
        logits = ops.matmul(users, ops.transpose(items)) - log_q
        negatives = ops.where(ids[:, None] == ids, HIDDEN, logits)
        if self.hard_negatives is not None:
            negatives = hardest(negatives, self.hard_negatives)
        losses = ops.softplus(ops.logsumexp(negatives, axis=-1) - positive)
        return ops.where(valid, losses, float("nan"))

    def get_config(self):
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "hard_negatives": self.hard_negatives,
            "dtype": self.dtype,
        }


def hardest(logits, count):
    """Return the largest logits of every row, as many as there are where those are fewer."""
    width = ops.shape(logits)[-1]
    if isinstance(width, int):
        return ops.top_k(logits, min(count, width))[0]
    logits = ops.pad(logits, [[0, 0], [0, count]], constant_values=HIDDEN)
    return ops.top_k(logits, count)[0]


def columns(y_true):
    """Return indices and logarithms of probabilities, `(batch,)` each; by default zeros."""
    shape = tuple(y_true.shape)
    if len(shape) > 2 or (len(shape) == 2 and shape[1] not in (1, 2)):
        raise ValueError(
            "Targets must be indices of items, (batch,), or such and logarithms of how probable "
            f"they are, (batch, 2). Received: shape {shape}."
        )
    if len(shape) == 1:
        return y_true, ops.zeros_like(y_true)
    return y_true[:, 0], y_true[:, 1] if shape[1] == 2 else ops.zeros_like(y_true[:, 0])


@register
class InBatchRecall(keras.Metric):
    """Share of the users whose own item is among the `k` nearest of the items of the batch.

    It depends on the size of the batch: to compare models, use `heads.CatalogueScores`.

    Shape: as of `InBatchSoftmax`.

    Args:
        k: Number of items.
        name: Name in the logs; by default with `k`.
        dtype: As in every `keras.Metric`.

    >>> metric = InBatchRecall(1)
    >>> metric.update_state(np.array([7, 3]), np.eye(2)[[[0, 0], [1, 1]]].reshape(2, 4))
    >>> float(metric.result())
    1.0
    """

    def __init__(self, k=10, *, name=None, dtype=None):
        super().__init__(name=name or f"in_batch_recall_{k}", dtype=dtype)
        check_positive(k=k)
        self._direction = "up"
        self.k = k
        self.hits = self.add_variable((), "zeros", name="hits")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        ids = columns(y_true)[0]
        users, items = ops.split(ops.convert_to_tensor(y_pred, dtype=self.dtype), 2, axis=-1)
        logits = ops.matmul(users, ops.transpose(items))
        own = ops.diagonal(logits)[:, None]  # of the same product, so that ties stay ties
        better = ~(logits < own) & (ids[:, None] != ids)  # NaN is no hit
        hits = ops.cast(ops.sum(ops.cast(better, "int32"), axis=-1) < self.k, self.dtype)
        weights = ops.ones_like(hits)
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, self.dtype), (-1,))
        self.hits.assign_add(ops.sum(hits * weights))
        self.count.assign_add(ops.sum(weights))

    def result(self):
        return ops.divide_no_nan(ops.convert_to_tensor(self.hits), self.count)

    def get_config(self):
        return {"k": self.k, "name": self.name, "dtype": self.dtype}
