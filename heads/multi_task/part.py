"""One task of several: its head, with a loss whose weight is learned."""

import keras
from keras import ops

from blocks.base import register


class Part:
    """What belongs to training a task of a `MultiTaskHead`: as of its own head."""

    def __init__(self, head, uncertainty):
        self.head, self.uncertainty = head, uncertainty

    def __getattr__(self, name):
        return getattr(self.head, name)

    def loss(self):
        """Return a new loss on the task's targets and raw output."""
        loss = self.head.loss()
        return WeightedLoss(loss) if self.uncertainty else loss

    def metrics(self):
        """Return a list of new metrics on the task's targets and raw output."""
        found = self.head.metrics()
        return [WithoutWeight(x) for x in found] if self.uncertainty else found


@register
class WeightedLoss(keras.Loss):
    """A loss of all columns but the last, weighted by what that says.

    Args:
        loss: A `keras.Loss`, or the name of one of Keras's.
        name: Name of the loss; by default the loss's own.
        reduction: As in every `keras.Loss`; by default the loss's own.
        dtype: As in every `keras.Loss`.

    Reference: [Kendall et al., 2017](https://arxiv.org/abs/1705.07115), equation 10

    >>> x = np.array([[3.0, 0.0]])  # of a weight of 1
    >>> float(WeightedLoss("mean_squared_error")(np.array([[1.0]]), x))
    4.0
    """

    def __init__(self, loss, *, name=None, reduction=None, dtype=None):
        loss = keras.losses.deserialize(loss) if isinstance(loss, dict) else keras.losses.get(loss)
        super().__init__(
            name=name or getattr(loss, "name", "loss"),
            reduction=reduction or getattr(loss, "reduction", "sum_over_batch_size"),
            dtype=dtype,
        )
        self.loss = loss

    def call(self, y_true, y_pred):
        raw, log_variance = y_pred[..., :-1], ops.mean(y_pred[..., -1])
        losses = getattr(self.loss, "call", self.loss)(y_true, raw)  # a name gives a function
        return ops.exp(-log_variance) * losses + 0.5 * log_variance

    def get_config(self):
        loss = keras.losses.serialize(self.loss)
        return {**super().get_config(), "loss": loss, "dtype": self.dtype}


@register
class WithoutWeight(keras.Metric):
    """A metric of all columns but the last.

    Args:
        metric: A `keras.Metric`.
        name: Name in the logs; by default the metric's own.
        dtype: As in every `keras.Metric`.

    >>> metric = WithoutWeight(keras.metrics.MeanAbsoluteError(name="mae"))
    >>> metric.update_state(np.array([[1.0]]), np.array([[3.0, 7.0]]))
    >>> float(metric.result())
    2.0
    """

    def __init__(self, metric, *, name=None, dtype=None):
        metric = keras.metrics.deserialize(metric) if isinstance(metric, dict) else metric
        super().__init__(name=name or metric.name, dtype=dtype)
        self._direction = getattr(metric, "_direction", None)
        self.metric = metric

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.metric.update_state(y_true, y_pred[..., :-1], sample_weight)

    def result(self):
        return self.metric.result()

    def reset_state(self):
        self.metric.reset_state()

    def get_config(self):
        metric = keras.metrics.serialize(self.metric)
        return {"metric": metric, "name": self.name, "dtype": self.dtype}
