"""The trainings of one trial, in this process or in one of its own."""

import keras

from tuning import results
from tuning.epochs import Training


class Trainer:
    """Trains a candidate as often as it is to be, and goes on where it stands.

    Args:
        folder: Folder of the trial.
        executions: Number of trainings.
        objective: The `keras_tuner.Objective` that says which epoch is best.
        goes_on: See `Training`.

    Attributes:
        epochs: The most epochs of a training.
    """

    def __init__(self, folder, executions, objective, goes_on=None):
        self.folder, self.executions, self.objective = folder, executions, objective
        self.goes_on, self.epochs = goes_on, 0

    def run(self, fit, callbacks):
        """Return what the trainings gave, as `results.metrics_of` takes it.

        Args:
            fit: Function from the number of a training and its callbacks to its result.
            callbacks: Function from the number of a training to its other callbacks.
        """
        return [self._execute(i, fit, callbacks) for i in range(self.executions)]

    def _execute(self, execution, fit, callbacks):
        folder = self.folder / f"execution_{execution}"
        training = Training(folder, self.objective, self.goes_on)
        try:
            found = fit(execution, training.around([*callbacks(execution), results.StopAtNaN()]))
        finally:
            self.epochs = max(self.epochs, len(training.rows))
        if isinstance(found, keras.callbacks.History) and training.rows:
            # What was trained before it was taken up again belongs to it.
            found.history = results.columns(training.rows)
        return found


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
