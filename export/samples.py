"""Real inputs for calibration and verification, as one array for each input of the model."""

import keras
import numpy as np

MOST = 256  # samples taken from what is given


def may_be_missing(model, precision):
    """Return whether a model reads numbers that are missing, and a file of a precision can.

    A layer that says `takes_missing` does; in 8 bits there is no such number.
    """
    layers = model._flatten_layers()
    return precision != "int8" and any(getattr(x, "takes_missing", False) for x in layers)


def take(data, inputs, what="calibration", *, missing=False, most=MOST):
    """Return the first samples of `data` as a dict of arrays by input name, checked.

    Args:
        data: An array; a list (in the inputs' order) or dict of arrays for several inputs; or an
            iterable of batches, such as a `tf.data.Dataset`. A tuple is `(inputs, targets, …)`.
        inputs: What the model takes, as `signature.inputs_of` says.
        what: Name of the argument, for messages.
        missing: Whether numbers may be NaN or infinite.
        most: How many samples are taken.
    """
    found = [_by_name(batch, inputs, what, most) for batch in _batches(data, inputs, what, most)]
    if not found or not len(next(iter(found[0].values()))):
        raise ValueError(f"`{what}` must hold at least one sample. Received: none.")
    return {
        x.name: _checked(x, [batch[x.name] for batch in found], what, missing, most) for x in inputs
    }


def random(model, inputs, count=8):
    """Return seeded random samples that suit each input's type.

    Whole numbers stay below the smallest `input_dim` of the model's embeddings.
    """
    rng = np.random.default_rng(0)
    sizes = [
        layer.input_dim
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Embedding)
    ]
    top = min(sizes, default=2)
    samples = {}
    for x in inputs:
        shape = (count, *x.shape[1:])
        if "int" in x.dtype:
            samples[x.name] = rng.integers(0, 256 if x.dtype == "uint8" else top, shape)
        elif x.dtype == "bool":
            samples[x.name] = rng.random(shape) < 0.5
        else:
            samples[x.name] = rng.standard_normal(shape)
        samples[x.name] = samples[x.name].astype(x.dtype)
    return samples


def _batches(data, inputs, what, most):
    """Yield batches in one of the forms of `_by_name` until there are enough samples."""
    data = _without_targets(data, what)
    is_list = isinstance(data, list) and len(data) == len(inputs) and _is_array(data[0])
    if is_list and len(inputs) == 1:  # one array in a list, or a list of one batch or sample
        data = data[0]
    if _is_array(data) or isinstance(data, dict) or (is_list and len(inputs) > 1):
        yield data
        return
    try:
        batches = iter(data)
    except TypeError:
        raise ValueError(
            f"`{what}` must be an array, a list or dict of arrays, or an iterable of batches. "
            f"Received: {type(data).__name__}."
        ) from None
    count = 0
    for batch in batches:
        batch = _without_targets(batch, what)
        yield batch
        first = next(iter(_by_name(batch, inputs, what, most).values()))
        count += len(first)
        if count >= most:
            return


def _without_targets(value, what):
    """Return the inputs of `(inputs, targets, …)`; inputs in an inner tuple become a list."""
    if not isinstance(value, tuple):
        return value
    if not value:
        raise ValueError(f"`{what}` must hold at least one sample. Received: an empty tuple.")
    return list(value[0]) if isinstance(value[0], tuple) else value[0]


def _by_name(batch, inputs, what, most):
    names = [x.name for x in inputs]
    if isinstance(batch, dict):
        if set(batch) != set(names):
            raise ValueError(
                f"`{what}` must have one array for each input: {names}. "
                f"Received: keys {sorted(batch)}."
            )
        arrays = [batch[name] for name in names]
    else:
        arrays = list(batch) if isinstance(batch, list) else [batch]
        if len(arrays) != len(names):
            raise ValueError(
                f"`{what}` must have one array for each input: {names}. Received: {len(arrays)}. "
                "Give a dict by name; a tuple is read as (inputs, targets)."
            )
    samples = {x.name: _batch(x, array, what, most) for x, array in zip(inputs, arrays)}
    counts = {name: len(values) for name, values in samples.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"`{what}` must have as many samples in each input. Received: {counts}.")
    return samples


def _batch(x, array, what, most):
    array = as_array(array, what)
    if array.ndim == len(x.shape) - 1:
        array = array[None]
    if array.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"`{what}` must have samples of shape {x.shape[1:]} for input {x.name!r}. "
            f"Received: an array of shape {array.shape}."
        )
    return array[:most]


def as_array(values, what):
    """Return `values` as an array of numbers."""
    try:
        array = np.asarray(keras.ops.convert_to_numpy(values) if _is_array(values) else values)
    except (TypeError, ValueError) as error:  # rows of several lengths, sparse tensors
        raise ValueError(f"`{what}` must hold arrays of numbers. Received: {error}") from error
    if array.dtype.name == "bfloat16":  # no type of NumPy's own
        array = array.astype("float32")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"`{what}` must hold arrays of numbers. Received: type {array.dtype}.")
    return array


def _checked(x, batches, what, missing, most):
    values = np.concatenate(batches)[:most]
    if values.dtype.kind == "f" and not missing:
        bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if bad.any():
            raise ValueError(
                f"`{what}` must be finite. Received: NaN or infinity in sample "
                f"{int(np.argmax(bad))} of input {x.name!r} ({int(bad.sum())} such samples)."
            )
        if "int" in x.dtype and (values != np.round(values)).any():
            raise ValueError(
                f"`{what}` must be whole numbers for input {x.name!r} of type {x.dtype}. "
                f"Received: {values[values != np.round(values)][0]}."
            )
    if "int" in x.dtype:
        limits = np.iinfo(x.dtype)
        for value in (values.min(initial=0), values.max(initial=0)):
            if not limits.min <= int(value) <= limits.max:
                raise ValueError(
                    f"`{what}` must fit input {x.name!r} of type {x.dtype}, {limits.min} to "
                    f"{limits.max}. Received: {value}."
                )
    return np.ascontiguousarray(values, dtype=x.dtype)


def _is_array(value):
    return hasattr(value, "shape") and hasattr(value, "dtype")
