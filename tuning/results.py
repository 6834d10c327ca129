"""What one training gave: the metrics of its best epoch."""

import math

import keras
import keras_tuner
import numpy as np

from tuning.objectives import FACTS


def metrics_of(results, objective):
    """Return the metrics of the best epoch, and that epoch.

    Args:
        results: What `fit` of a HyperModel may return: a `History`, a dict of metrics, a
            number (the objective), or a list of these, one for each execution, which are
            averaged.
        objective: The `keras_tuner.Objective` that decides which epoch is best.
    """
    if isinstance(results, list):
        every, epochs = zip(*[metrics_of(one, objective) for one in results])
        names = [name for name in every[0] if all(name in metrics for metrics in every)]
        means = {name: float(np.mean([metrics[name] for metrics in every])) for name in names}
        return means, round(np.mean(epochs))
    if isinstance(results, keras.callbacks.History):
        check_finite(results.history)
        return _best_epoch(results.history, objective)
    if isinstance(results, dict):
        return {name: float(value) for name, value in results.items()}, 0
    if isinstance(results, (int, float, np.number)):
        return {objective.name: float(results)}, 0
    raise keras_tuner.errors.FatalTypeError(
        "`fit` of a HyperModel must return a History, a dict of metrics, or a number. "
        f"Received: {results!r} of type {type(results).__name__}."
    )


def check_finite(history):
    """Raise where the loss of a training ended as no number, however good it was before."""
    losses = history.get("loss") or [0.0]
    if not math.isfinite(losses[-1]):
        raise keras_tuner.errors.FailedTrialError(
            f"the training diverged: loss {losses[-1]} in epoch {len(losses)}"
        )


def _best_epoch(history, objective):
    if not history.get(objective.name):
        return {name: float(values[-1]) for name, values in history.items() if values}, 0
    values = np.array(history[objective.name], "float64")
    worst = -math.inf if objective.direction == "max" else math.inf
    usable = np.where(np.isfinite(values), values, worst)
    epoch = int(usable.argmax() if objective.direction == "max" else usable.argmin())
    metrics = {
        # Validation may run less often than training: then the lists differ in length.
        name: float(found[epoch] if len(found) == len(values) else found[-1])
        for name, found in history.items()
        if found
    }
    return metrics, epoch


def columns(rows):
    """Return the history of a training from the logs of its epochs."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row[name] for row in rows if name in row] for name in names}


def point(rows, facts, objectives):
    """Return the values of the objectives after the best epoch of a training so far."""
    metrics, _ = _best_epoch(columns(rows), next(o for o in objectives if o.name not in FACTS))
    metrics |= {name: fact for name, fact in facts.items() if fact is not None}
    check_objectives(metrics, objectives)
    return [float(metrics[o.name]) for o in objectives]


def check_objectives(metrics, objectives):
    """Raise if a training did not give an objective, or gave one that is not finite."""
    missing = [o.name for o in objectives if o.name not in metrics]
    if missing:
        raise keras_tuner.errors.FatalValueError(
            f"Every objective must be among the metrics of a trial. Received: {missing}, where a "
            f"trial has {sorted(metrics)}. Compile the model with that metric, and give "
            "`validation_data` for a name that begins with val_."
        )
    names = [o.name for o in objectives] + [n for n in ("loss", "val_loss") if n in metrics]
    broken = {name: metrics[name] for name in names if not math.isfinite(metrics[name])}
    if broken:
        raise keras_tuner.errors.FailedTrialError(f"the training diverged: {broken}")


class StopAtNaN(keras.callbacks.Callback):
    """Ends a training whose loss is no longer finite: further epochs cannot mend it."""

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True
