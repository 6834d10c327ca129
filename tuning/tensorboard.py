"""Logs for TensorBoard, and a cure for KerasTuner's own tuners where it is not installed."""

from pathlib import Path


def without_tensorboard(tuner):
    """Return a KerasTuner tuner that needs tensorboard only if a callback of it is given.

    On TensorFlow, KerasTuner 1.4 imports tensorboard in every trial. TensorFlow 2.21 does not
    install it any more, so every trial fails. `ParetoSearch` needs no cure.

    Args:
        tuner: A `keras_tuner.Tuner`. It is changed in place.

    >>> import tempfile, keras, keras_tuner
    >>> def build(hp):
    ...     return keras.Sequential([keras.layers.Dense(hp.Choice("units", [1, 2]))])
    >>> folder = tempfile.mkdtemp()
    >>> tuner = keras_tuner.RandomSearch(build, "val_loss", max_trials=1, directory=folder)
    >>> tuner = without_tensorboard(tuner)
    """
    configure = tuner._configure_tensorboard_dir

    def configure_if_needed(callbacks, trial, execution=0):
        if has_tensorboard(callbacks):
            configure(callbacks, trial, execution)

    tuner._configure_tensorboard_dir = configure_if_needed
    return tuner


def has_tensorboard(callbacks):
    """Return whether one of the callbacks writes for TensorBoard."""
    return any(type(callback).__name__ == "TensorBoard" for callback in callbacks)


def apart(callbacks, trial, execution):
    """Return callbacks whose logs for TensorBoard have a folder a training, as KerasTuner's."""
    for callback in callbacks:
        if has_tensorboard([callback]):
            callback.log_dir = str(Path(callback.log_dir, trial, f"execution{execution}"))
    return callbacks
