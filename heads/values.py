"""Numbers in a compiled step and in a file: a check of a batch, class ids, the largest of a row."""

import keras
import numpy as np
from keras.src.backend.common.symbolic_scope import in_symbolic_scope


def require(valid, targets, rule):
    """Raise where a row of `targets` is not `valid`, saying `rule` and what was received.

    In a compiled step TensorFlow raises its `InvalidArgumentError` and JAX its
    `JaxRuntimeError`, both with these words; everywhere else it is a `ValueError`. XLA on
    TensorFlow drops such checks, so a loss should be NaN in these rows as well. On JAX the
    model is lost: Keras has given its weights away to the step that failed.

    Args:
        valid: Tensor of booleans, `(batch,)`.
        targets: Tensor of a row for each of them.
        rule: What every row has to keep, a sentence.
    """
    if isinstance(valid, keras.KerasTensor) or in_symbolic_scope():  # of ones, on torch
        return
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not tf.executing_eagerly():
            row = tf.argmax(tf.logical_not(valid))  # the first one
            found = [f"{rule} Received:", tf.gather(targets, row), "at row", row, _REPAIR]
            tf.debugging.Assert(tf.reduce_all(valid), found, summarize=10)
            return
    if keras.backend.backend() == "jax":
        import jax

        if isinstance(valid, jax.core.Tracer):
            jax.debug.callback(_check, valid, targets, rule=rule)
            return
    _check(keras.ops.convert_to_numpy(valid), keras.ops.convert_to_numpy(targets), rule)


_REPAIR = "of this batch. heads.check_targets(data, head) looks through all of the data."


def _check(valid, targets, rule):
    valid = np.asarray(valid)
    if not valid.all():
        row = int(np.argmin(valid))
        value = np.array2string(np.asarray(targets)[row], threshold=10)
        raise ValueError(f"{rule} Received: {value} at row {row} {_REPAIR}")


def one_hot(ids, count, dtype):
    """Return ids as zeros and ones, all zeros where there is no such class: torch refuses those."""
    return keras.ops.one_hot(keras.ops.where(ids < count, ids, -1), count, dtype=dtype)


def largest(logits):
    """Return the place of the largest number on the last axis, as one op of a file.

    Keras's `argmax` of floats needs an op on TensorFlow that LiteRT does not have.
    """
    if keras.backend.backend() == "tensorflow" and not isinstance(logits, keras.KerasTensor):
        import tensorflow as tf

        return tf.argmax(logits, axis=-1, output_type="int32")
    return keras.ops.cast(keras.ops.argmax(logits, axis=-1), "int32")
