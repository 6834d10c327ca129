"""The trainings of one trial, as KerasTuner runs them."""

import pathlib

import keras

from tuning import results
from tuning.training import Training, best_epoch


class Trainer:
    """Trains a candidate of a search as often as it is to be, and goes on where it stands.

    Args:
        tuner: The `ParetoSearch`.
        trial: The KerasTuner trial.
    """

    def __init__(self, tuner, trial):
        self.tuner, self.trial = tuner, trial
        self.running = tuner.oracle.running[trial.trial_id]

    def run(self, *args, callbacks=None, **kwargs):
        """Return what the trainings gave, as `results.metrics_of` takes it."""
        folder = pathlib.Path(self.tuner.get_trial_dir(self.trial.trial_id))
        return [
            self._execute(execution, folder / f"execution_{execution}", args, callbacks, kwargs)
            for execution in range(self.tuner.executions_per_trial)
        ]

    def _execute(self, execution, folder, args, callbacks, kwargs):
        tuner, trial = self.tuner, self.trial
        goes_on = self._goes_on if tuner.oracle.halving else None
        training = Training(folder, tuner.oracle.objective, goes_on)
        own = tuner._deepcopy_callbacks(callbacks or [])
        tuner._configure_tensorboard_dir(own, trial, execution)
        own = training.around([*own, results.StopAtNaN(), Hooks(tuner, trial)])
        found = tuner._build_and_fit_model(trial, *args, callbacks=own, **kwargs)
        self.running.epochs = max(self.running.epochs, len(training.rows))
        if isinstance(found, keras.callbacks.History) and training.rows:
            # What was trained before it was taken up again belongs to it.
            found.history = results.columns(training.rows)
        return found

    def _goes_on(self, epochs, all_epochs, rows):
        oracle = self.tuner.oracle
        if epochs not in oracle.halving.rungs(all_epochs):
            return True
        best = {**rows[best_epoch(rows, oracle.objective) - 1], **self.running.facts}
        results.check_objectives(best, oracle.objectives)
        point = [float(best[o.name]) for o in oracle.objectives]
        return oracle.goes_on(self.trial, epochs, point)


class Hooks(keras.callbacks.Callback):
    """Calls the methods of a tuner that KerasTuner documents for the course of a training."""

    def __init__(self, tuner, trial):
        super().__init__()
        self.tuner, self.trial = tuner, trial

    def on_epoch_begin(self, epoch, logs=None):
        self.tuner.on_epoch_begin(self.trial, self.model, epoch, logs=logs)

    def on_batch_begin(self, batch, logs=None):
        self.tuner.on_batch_begin(self.trial, self.model, batch, logs)

    def on_batch_end(self, batch, logs=None):
        self.tuner.on_batch_end(self.trial, self.model, batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.tuner.on_epoch_end(self.trial, self.model, epoch, logs=logs)
