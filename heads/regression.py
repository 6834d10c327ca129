"""Numbers of a whole input."""

import keras
import numpy as np
from keras import layers, ops

from blocks.base import check_positive, check_rate, register
from heads.base import Head, are_numbers, number_problems, wrong_rows
from heads.pooling import GlobalAverage
from heads.values import require

LOSSES = {
    "mse": keras.losses.mean_squared_error,
    "mae": keras.losses.mean_absolute_error,
    "huber": keras.losses.huber,
    "log_cosh": keras.losses.log_cosh,
}


@register
class RegressionHead(Head):
    """Numbers from the coarsest feature, averaged over its positions.

    With `mean` and `std` of the training targets, the head learns on targets of mean 0 and
    deviation 1, while targets, raw output, scores and answers stay in the targets' own units.
    Its scores are `mae`, `rmse` and `r2`.

    Shape: `(batch, ..., channels)` to `(batch, units)`; channels alone, tokens, maps.
    Padding that a mask marks does not count.

    Args:
        units: Numbers to predict for an input; targets are `(batch, units)`, of one unit
            `(batch,)` as well.
        loss: `"mse"`, `"mae"`, `"huber"` or `"log_cosh"`, on errors divided by `std`.
        mean: Mean of the training targets, a number or a list of one for each unit.
        std: Their standard deviation, likewise.
        dropout: Share of the pooled feature that is dropped in training.

    Raises:
        ValueError: If an argument is out of its range, or the feature has no fixed channels.

    >>> values = RegressionHead(2, mean=[10.0, 500.0], std=[1.0, 50.0])(np.zeros((1, 7, 16)))
    >>> keras.ops.convert_to_numpy(values).tolist()
    [[10.0, 500.0]]
    """

    answer_name = "values"

    def __init__(self, units=1, *, loss="mse", mean=0.0, std=1.0, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        check_rate(dropout=dropout)
        if loss not in LOSSES:
            raise ValueError(f"`loss` must be one of {sorted(LOSSES)}. Received: loss={loss!r}.")
        for name, value in (("mean", mean), ("std", std)):
            right = are_numbers(value, (), (units,))
            if not right or (name == "std" and np.min(value) <= 0):
                raise ValueError(
                    f"`{name}` must be a number or one for each of {units} units, and a "
                    f"deviation above 0. Received: {name}={value!r}."
                )
        self.units, self.kind = units, loss
        self.mean, self.std = plain(mean), plain(std)
        self.pool = GlobalAverage(dtype="float32", name="pool")
        self.drop = layers.Dropout(dropout, dtype="float32", name="drop")
        self.values = layers.Dense(units, dtype="float32", name="values")
        self.scale = layers.Rescaling(std, mean, dtype="float32", name="scale")

    def call(self, x):
        return self.scale(self.values(self.drop(self.pool(x))))

    def loss(self):
        return RegressionLoss(self.kind, std=plain(self.std))

    def make_metrics(self):
        return [
            keras.metrics.MeanAbsoluteError(name="mae"),
            keras.metrics.RootMeanSquaredError(name="rmse"),
            R2(mean=plain(self.mean), std=plain(self.std)),
        ]

    def check(self, targets):
        if problems := number_problems(targets):
            return problems
        if not fits(targets.shape, self.units):
            return [misfit(targets.shape, self.units)]
        finite = np.isfinite(np.asarray(targets, "float64")).reshape(len(targets), -1).all(axis=1)
        return [] if finite.all() else [f"{RULE} {wrong_rows(finite, targets)}"]

    def doubts(self, targets):
        targets = np.asarray(targets, "float64").reshape(len(targets), -1)
        mean, std = targets.mean(axis=0), targets.std(axis=0)
        scaled = np.abs(np.concatenate([(mean - self.mean) / self.std, std / self.std]))
        found = [f"Column {i} has one value, {mean[i]:g}." for i in np.flatnonzero(std == 0)]
        if scaled.max() > 100:
            found.append(
                "The targets are far from mean 0 and deviation 1, which learns badly: give "
                f"RegressionHead(mean={mean.round(4).tolist()}, std={std.round(4).tolist()})."
            )
        return found


RULE = "Targets of a regression must be finite numbers."


def plain(value):
    """Return a number, or a list of numbers, as plain data without a layer's tracking."""
    return np.asarray(value, "float64").tolist()


def fits(shape, units):
    """Return whether targets of `units` numbers may have this shape."""
    return (len(shape) == 2 and shape[1] in (units, None)) or (len(shape) == 1 and units == 1)


def misfit(shape, units):
    """Return an error about targets of this shape."""
    return (
        f"Targets must have the shape (batch, {units}). Received: shape {shape}. "
        f"RegressionHead(units={shape[-1] if len(shape) == 2 else 1}) would fit two axes or one."
    )


@register
class RegressionLoss(keras.Loss):
    """A mean over errors divided by the deviation of their column.

    Shape: targets and predictions `(batch, units)`.

    Args:
        kind: `"mse"`, `"mae"`, `"huber"` (bent at one deviation) or `"log_cosh"`.
        std: The deviation, a number or a list of one for each unit.
        name: Name of the loss.
        reduction: As in every `keras.Loss`.
        dtype: As in every `keras.Loss`.

    Raises:
        ValueError: If targets have another shape. A step of training stops where they are
            NaN or infinite.

    >>> float(RegressionLoss("mae", std=10.0)(np.array([[30.0]]), np.array([[25.0]])))
    0.5
    """

    def __init__(
        self,
        kind="mse",
        *,
        std=1.0,
        name="regression_loss",
        reduction="sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.kind = kind
        self.std = plain(std)

    def call(self, y_true, y_pred):
        if not fits(y_true.shape, y_pred.shape[-1]):
            raise ValueError(misfit(tuple(y_true.shape), y_pred.shape[-1]))
        y_true = ops.reshape(y_true, ops.shape(y_pred))
        require(ops.all(ops.isfinite(y_true), axis=-1), y_true, RULE)
        errors = (y_pred - y_true) / ops.array(self.std, self.dtype)
        return LOSSES[self.kind](ops.zeros_like(errors), errors)

    def get_config(self):
        return {**super().get_config(), "kind": self.kind, "std": self.std, "dtype": self.dtype}


@register
class R2(keras.metrics.R2Score):
    """Share of the targets' variance that is explained, averaged over the units.

    Keras sums squares in float32, where targets far from zero lose their variance: they are
    brought to mean 0 and deviation 1 first, which changes nothing else.

    Shape: targets and predictions `(batch, units)`.

    Args:
        mean: About the mean of the targets, a number or a list of one for each unit.
        std: About their deviation, likewise.
        name: Name in the logs.
        dtype: As in every `keras.Metric`.

    >>> metric = R2(mean=2000.0, std=3.0)
    >>> metric.update_state(np.array([[1998.0], [2002.0]]), np.array([[1998.0], [2002.0]]))
    >>> float(metric.result())
    1.0
    """

    def __init__(self, *, mean=0.0, std=1.0, name="r2", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.mean, self.std = plain(mean), plain(std)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        y_true = ops.reshape(ops.cast(y_true, self.dtype), ops.shape(y_pred))
        mean, std = ops.array(self.mean, self.dtype), ops.array(self.std, self.dtype)
        super().update_state((y_true - mean) / std, (y_pred - mean) / std, sample_weight)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype, "mean": self.mean, "std": self.std}
