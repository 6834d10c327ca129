"""Real samples with their targets, and what answers to them are worth."""

import sys

import keras
import numpy as np

from export.parity import same_best
from export.samples import take

MOST = 10_000  # samples of a data set, which may never end


def gathered(data, inputs, *, missing=False):
    """Return samples as a dict of arrays by input name, and their targets or `None`.

    Args:
        data: `(inputs, targets)`, where inputs are an array, a list or a dict of arrays; an
            iterable of such batches, of which the first 10,000 samples are taken; or inputs alone.
        inputs: What the model takes, as `signature.inputs_of` says.
        missing: Whether numbers may be NaN or infinite.

    Raises:
        ValueError: If there are not as many targets as samples.
    """
    arrays = (
        isinstance(data, list)
        and len(data) == len(inputs)
        and not isinstance(data[0], (tuple, dict))
    )
    whole = isinstance(data, (tuple, dict)) or hasattr(data, "shape") or arrays
    if whole:
        batches, most = [data if isinstance(data, tuple) else (data,)], sys.maxsize
    else:
        batches, most = _batches(data, inputs[0]), MOST
    given = (list(x[0]) if isinstance(x[0], tuple) else x[0] for x in batches)
    samples = take(given, inputs, "data", missing=missing, most=most)
    known = [x[1] for x in batches if len(x) > 1 and x[1] is not None]
    if not known:
        return samples, None
    count = len(next(iter(samples.values())))
    targets = keras.tree.map_structure(
        lambda *parts: np.concatenate([_array(x) for x in parts])[:most], *known
    )
    for y in keras.tree.flatten(targets):
        if len(y) != count:
            raise ValueError(
                "`data` must have a target for each sample. "
                f"Received: {len(y)} targets, {count} samples."
            )
    return samples, targets


def _batches(data, x):
    """Return batches, of single samples, too; `x` is the first of the model's inputs."""
    try:
        batches = iter(data)
    except TypeError:
        raise ValueError(
            "`data` must be (inputs, targets), or an iterable of such batches. "
            f"Received: {type(data).__name__}."
        ) from None
    found, count = [], 0
    for batch in batches:
        batch = batch if isinstance(batch, tuple) else (batch,)
        first = batch[0].get(x.name) if isinstance(batch[0], dict) else None
        first = keras.tree.flatten(batch)[0] if first is None else first
        if len(np.shape(first)) == len(x.shape) - 1:  # a data set that is not in batches
            batch = tuple(y if y is None else _one(y) for y in batch)
            first = [first]
        found.append(batch)
        count += len(first)
        if count >= MOST:
            break
    return found


def _one(values):
    return keras.tree.map_structure(
        lambda x: np.asarray(keras.ops.convert_to_numpy(x))[None], values
    )


def _array(values):
    array = np.asarray(keras.ops.convert_to_numpy(values))
    return array[None] if not array.ndim else array


def score_of(metric, targets, answers):
    """Return what a metric says of answers, a dict of arrays by output name, as a number.

    Args:
        metric: A `keras.Metric`, or a function of targets and answers.
        targets: Targets as they were given.
        answers: A single output goes into the metric without its name.
    """
    given = next(iter(answers.values())) if len(answers) == 1 else answers
    if isinstance(metric, keras.Metric):
        metric.reset_state()
        metric.update_state(targets, given)
        score = metric.result()
    else:
        score = metric(targets, given)
    array = np.asarray(keras.ops.convert_to_numpy(score))
    if array.size != 1 or array.dtype.kind not in "fiub":
        raise ValueError(f"`metric` must give one number. Received: {score!r}.")
    return float(array.reshape(()))


def agreement(expected, answers):
    """Return how far a file's answers are those of Keras, from 0 to 1; both are by output name.

    Of rows of scores it is the share whose best column is the same, of whole numbers that of equal
    ones, of other numbers 1 less the error's root mean square as a share of the answers'.
    """
    given = answers if isinstance(answers, dict) else {next(iter(expected)): answers}
    return float(np.mean([_agreement(x, given[name]) for name, x in expected.items()]))


def _agreement(reference, actual):
    if reference.dtype.kind != "f":
        return np.mean(reference == actual)
    best = same_best(reference, actual)
    if best is not None:
        return best
    signal = np.sqrt(np.mean(np.square(reference, dtype="float64")))
    noise = np.sqrt(np.mean(np.square(actual.astype("float64") - reference)))
    return max(0.0, 1 - noise / signal) if signal else float(noise == 0)
