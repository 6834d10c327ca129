"""What a file answers."""

from pathlib import Path

import numpy as np

from export import schema
from export.reference import run
from export.samples import MOST, as_array, take


def predict(path, inputs, *, missing=False, signature=None):
    """Return a file's answers to samples: a dict of arrays by output name.

    It runs on LiteRT with built-in operations, in a process of its own, one sample a call.

    Args:
        path: A `.tflite` file.
        inputs: An array, or for several inputs a dict of arrays by name, of any number of
            samples.
        missing: Whether numbers may be NaN or infinite, as in tables; a file of 8 bits reads
            another number then.
        signature: Name of the signature that answers, of a file with several.

    Raises:
        ValueError: If there is no sample, the inputs do not fit the file's, or it has several
            signatures and none is named.
        ExportError: If the file does not run.
    """
    path = Path(path).expanduser()
    facts = schema.read(path, signature)
    known = facts.inputs
    if signature is None and len(facts.signatures) > 1:
        raise ValueError(
            f"A file of several signatures is asked for one: {', '.join(facts.signatures)}. "
            "Received: signature=None."
        )
    if not isinstance(inputs, dict):
        if len(known) != 1:  # a file's order of inputs is not the model's
            raise ValueError(
                "A file of several inputs takes a dict of arrays by name: "
                f"{', '.join(sorted(x.name for x in known))}. "
                f"Received: {type(inputs).__name__}."
            )
        inputs = {known[0].name: inputs}
    ranks = {x.name: len(x.shape) for x in known}
    arrays = {name: _samples(name, x, ranks.get(name)) for name, x in inputs.items()}
    counts = {name: len(x) for name, x in arrays.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"`inputs` must have as many samples in each input. Received: {counts}.")
    count = next(iter(counts.values()), 0)
    batches = (
        {k: x[i : i + MOST] for k, x in arrays.items()} for i in range(0, max(count, 1), MOST)
    )
    parts = [run(path, take(x, known, "inputs", missing=missing), signature) for x in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _samples(name, values, rank):
    """Return `values` with an axis of samples, of which a single sample has none."""
    array = as_array(values, "inputs")
    if array.ndim + 1 == rank:
        return array[None]
    if not array.ndim:
        raise ValueError(f"`inputs` must hold samples for input {name!r}. Received: {values!r}.")
    return array
