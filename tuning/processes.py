"""Devices and processes that train one model together."""

import keras


def count():
    """Return how many processes train together."""
    if keras.backend.backend() != "jax":
        return 1
    import jax

    return jax.process_count()


def is_first():
    """Return whether this process is the one that writes what all have made."""
    if count() == 1:
        return True
    import jax

    return jax.process_index() == 0


def all_have(found):
    """Return whether every process has found something, so that all do the same next."""
    if count() == 1:
        return found
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(bool(found)).all())


def check_scope():
    """Refuse a scope of TensorFlow's: every model begins with a new graph, which forgets it."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if tf.distribute.has_strategy():
        strategy = type(tf.distribute.get_strategy()).__name__
        raise RuntimeError(
            "Models are built outside of a strategy's scope: give it to the tuner, "
            f"ParetoSearch(distribution_strategy=…). Received: the scope of {strategy}."
        )


def check_alone():
    """Refuse a search in processes that train together: they would wait for each other."""
    check_scope()
    if count() > 1:
        raise RuntimeError(
            "A search trains a trial a process: start its script several times, without "
            "keras.distribution.initialize, and only then retrain together. Received: one of "
            f"{count()} processes that train together."
        )
