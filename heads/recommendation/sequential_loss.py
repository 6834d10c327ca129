"""The loss of what comes next: each step's own item against others."""

import keras
from keras import ops

from blocks.base import register


@register
class NextItem(keras.Loss):
    """Cross-entropy of the item that comes next, over all steps that have one.

    Shape: histories, ids `(batch, length)`, 0 where there is none, or longer ones; logits
    `(batch, length - 1, 1 + negatives)`, that of the next item first, or, where all items are
    compared, `(batch, length - 1, 1 + num_items)`, by ids.

    Args:
        sampled: Whether logits are of the next item and of negatives.
        num_items: Number of items; larger ids are none. `None` is any, or as many as are compared.
        name: Name of the loss.
        reduction: As in every `keras.Loss`.
        dtype: As in every `keras.Loss`.

    >>> round(float(NextItem()(np.array([[0, 3, 1]]), np.zeros((1, 2, 5)))), 4)
    1.6094
    """

    def __init__(
        self,
        sampled=True,
        num_items=None,
        *,
        name="next_item",
        reduction="sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.sampled, self.num_items = sampled, num_items

    def call(self, y_true, y_pred):
        following, there = steps(y_true, y_pred, self)
        log_p = ops.log_softmax(y_pred, axis=-1)
        if self.sampled:
            losses = -log_p[..., 0]
        else:
            places = ops.cast(following, "int32")[..., None]
            losses = -ops.take_along_axis(log_p, places, axis=-1)[..., 0]
        there = ops.cast(there, losses.dtype)
        # so that the mean is over the steps that have a next item, whatever histories' lengths
        return ops.mean(losses * there, axis=-1) / ops.maximum(ops.mean(there), 1e-9)

    def get_config(self):
        own = {"sampled": self.sampled, "num_items": self.num_items, "dtype": self.dtype}
        return {**super().get_config(), **own}


def steps(history, logits, judge):
    """Return what follows each step that has logits, and where there is a step and a next.

    Args:
        history: The ids; those that are not known are none.
        logits: The logits of a loss or a metric.
        judge: That loss or metric.
    """
    if logits.shape[1] is not None:
        history = history[:, -(logits.shape[1] + 1) :]
    there = history > 0
    most = judge.num_items if judge.sampled else logits.shape[-1] - 1
    if most is not None:
        there = there & (history <= most)
    return ops.where(there, history, 0)[:, 1:], there[:, 1:] & there[:, :-1]


@register
class NextItemRecall(keras.Metric):
    """Share of the steps whose next item is among the `k` best of those compared.

    With sampled negatives its name says so: such a score is not that over the catalogue.

    Shape: as of `NextItem`.

    Args:
        k: Number of items.
        sampled: Whether logits are of the next item and of negatives.
        num_items: As of `NextItem`.
        name: Name in the logs; by default with the protocol and `k`.
        dtype: As in every `keras.Metric`.

    >>> metric = NextItemRecall(1)
    >>> metric.update_state(np.array([[0, 3, 1]]), np.array([[[0, 1, 0], [1, 0, 0]]]))
    >>> float(metric.result())
    1.0
    """

    def __init__(self, k=10, sampled=True, num_items=None, *, name=None, dtype=None):
        protocol = "sampled" if sampled else "catalogue"
        super().__init__(name=name or f"{protocol}_recall_{k}", dtype=dtype)
        self._direction = "up"
        self.k, self.sampled, self.num_items = k, sampled, num_items
        self.hits = self.add_variable((), "zeros", name="hits")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        logits = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        history = ops.convert_to_tensor(y_true, dtype=self.dtype)
        following, there = steps(history, logits, self)
        if self.sampled:
            own = logits[..., :1]
        else:
            own = ops.take_along_axis(logits, ops.cast(following, "int32")[..., None], axis=-1)
        better = ops.sum(ops.cast(~(logits < own), self.dtype), axis=-1) - 1  # NaN is no hit
        there = ops.cast(there, self.dtype)
        if sample_weight is not None:
            there = there * ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
        self.hits.assign_add(ops.sum(there * ops.cast(better < self.k, self.dtype)))
        self.count.assign_add(ops.sum(there))

    def result(self):
        return ops.divide_no_nan(ops.convert_to_tensor(self.hits), self.count)

    def get_config(self):
        own = {"k": self.k, "sampled": self.sampled, "num_items": self.num_items}
        return {**own, "name": self.name, "dtype": self.dtype}
