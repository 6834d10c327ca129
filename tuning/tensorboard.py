"""A cure for KerasTuner's own tuners where tensorboard is not installed."""


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
