"""Whether samples are what a model was trained on, as far as the model knows."""

import warnings

import keras
import numpy as np

from blocks.graph import path_of
from export.normalization import normalization_of, opened
from export.reference import answers

FEW = 32
# Pixels of another scale are off by 50 times and more; pictures of other things are not by 8, nor
# do they lie by 4 deviations elsewhere.
FACTOR, SHIFT = 8.0, 4.0
SMALL, LARGE = 0.1, 20.0  # what scaled pixels of all samples span at least, and mostly end at
FIRST = 3  # layers that are asked, in order
MOST = 64  # samples that run through them
KNOWING = (keras.layers.BatchNormalization, keras.layers.Normalization)
REPAIR = "Give some 100 samples as the model was trained on, scaled as they were."


def check_calibration(model, samples):
    """Warn where samples for int8 are few, all the same, or not what a model was trained on."""
    for text in _problems(model, samples):
        warnings.warn(f"{text}. {REPAIR}", stacklevel=3)


def check_alike(calibration, inputs):
    """Warn where samples to compare on are of another scale than those for int8."""
    for name, x in inputs.items():
        sizes = [float(np.abs(each.astype("float64")).mean()) for each in (x, calibration[name])]
        if x.dtype.kind == "f" and min(sizes) and not _alike(sizes[0] / sizes[1]):
            warnings.warn(
                f"`inputs` and `calibration` should be of one scale. Received: {name!r} with "
                f"inputs {_span(x)} and calibration {_span(calibration[name])}. Scale both as in "
                "training.",
                stacklevel=3,
            )


def _problems(model, samples):
    """Yield in words what is wrong with samples."""
    count = len(next(iter(samples.values())))
    if count < FEW:
        yield (
            "int8 takes ranges from its samples, and about one new sample in "
            f"{(count + 1) / 2:.2g} lies beyond them. Received: calibration of {count}"
        )
    equal = all((x == x[:1]).all() for x in samples.values())
    if equal and (count > 1 or all(np.ptp(x) == 0 for x in samples.values())):
        yield f"Calibration needs samples that differ. Received: {count}, all the same"
    elif text := _in_layers(model, samples) or _after_rescaling(model, samples):
        yield f"Calibration should be as the model was trained on. Received: {text}"


def _after_rescaling(model, samples):
    """Return in words which input its own rescaling does not bring near 1, or `None`."""
    for name, known in normalization_of(model).items():
        mean, std = np.array(known["mean"]), np.array(known["std"])
        if (std <= 1).any():  # it makes larger what it reads
            continue
        made = (samples[name].astype("float64") - mean) / std
        ends = np.abs(made).reshape(len(made), -1).max(axis=1)
        if np.ptp(made) < SMALL or np.median(ends) > LARGE:  # tables have outliers
            return (
                f"{name!r} with numbers {_span(samples[name])}, of which "
                f"{', '.join(map(repr, known['layers']))} makes numbers {_span(made)}"
            )
    return None


def _in_layers(model, samples):
    """Return in words which of the first layers reads other numbers than it knows, or `None`.

    Each layer of `KNOWING` has the mean and variance of what it read in training.
    """
    flat = opened(model) if any(map(_knows, model._flatten_layers())) else None
    asked = [x for x in flat.layers if _knows(x) and _is_simple(x)][:FIRST] if flat else []
    if not asked:
        return None
    moments = {}
    for i, layer in enumerate(asked):
        (x,) = layer._inbound_nodes[0].input_tensors
        kept = [axis % len(x.shape) for axis in keras.tree.flatten(layer.axis)]
        others = [axis for axis in range(1, len(x.shape)) if axis not in kept]
        x = keras.ops.cast(x, "float32")
        moments[f"mean_{i}"] = keras.ops.mean(x, others)
        moments[f"square_{i}"] = keras.ops.mean(keras.ops.square(x), others)
    step = max(1, len(next(iter(samples.values()))) // MOST)
    some = {name: x[::step] for name, x in samples.items()}
    found = answers(keras.Model(flat._inputs_struct, moments), some)
    for i, layer in enumerate(asked):
        mean = found[f"mean_{i}"].mean(axis=0, dtype="float64").ravel()
        square = found[f"square_{i}"].mean(axis=0, dtype="float64").ravel()
        variance, known = (square - mean**2).clip(0), _statistics(layer)
        if not _fits(layer, mean, variance, *known):
            return (
                f"{_moments(mean, variance)} where they reach {path_of(layer)!r}, which knows "
                f"{_moments(*known)} (or was trained for few steps)"
            )
    return None


def _statistics(layer):
    """Return the mean and the variance that a layer knows, by channel."""
    if isinstance(layer, keras.layers.BatchNormalization):
        pair = layer.moving_mean, layer.moving_variance
    else:
        pair = layer.mean, layer.variance
    return [keras.ops.convert_to_numpy(x).astype("float64").ravel() for x in pair]


def _knows(layer):
    """Return whether a layer's statistics are not those that it began with."""
    if not isinstance(layer, KNOWING) or getattr(layer, "invert", False):
        return False
    mean, variance = _statistics(layer)
    return bool((mean != 0).any() or (variance != 1).any())


def _is_simple(layer):
    """Return whether a layer reads one tensor, all of it."""
    node, *more = layer._inbound_nodes
    return not more and node.arguments.kwargs.get("mask") is None


def _fits(layer, mean, variance, known_mean, known_variance):
    """Return whether moments are nearly those of a layer, by the medians of its channels.

    Moving statistics may still hold a part of their start, a mean of 0 and a variance of 1.
    """
    moving = isinstance(layer, keras.layers.BatchNormalization)
    small = 1e-3 * known_variance.mean() + 1e-12  # channels may be dead
    most = min(known_variance.min(), 0.99) if moving else 0.0
    for left in np.linspace(0, most, 9):
        was, spread = known_mean / (1 - left), (known_variance - left) / (1 - left) + small
        ratio = np.median(np.sqrt((variance + small) / spread))
        shift = np.median(np.abs(mean - was) / np.sqrt(spread))
        if _alike(ratio) and shift < SHIFT:
            return True
    return False


def _alike(ratio):
    return 1 / FACTOR < ratio < FACTOR


def _moments(mean, variance):
    deviation = np.sqrt(np.median(variance))
    return f"a mean of {np.median(mean):.3g} and a deviation of {deviation:.3g}"


def _span(x):
    return f"from {x.min():.4g} to {x.max():.4g}"
