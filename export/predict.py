"""What a file answers."""

from pathlib import Path

import numpy as np

from export import schema
from export.reference import run
from export.samples import MOST, take


def predict(path, inputs):
    """Return a file's answers to samples: a dict of arrays by output name.

    It runs on LiteRT with built-in operations, in a process of its own, one sample a call.

    Args:
        path: A `.tflite` file.
        inputs: An array, or a list or dict of arrays for several inputs, of any number of
            samples.

    Raises:
        ValueError: If there is no sample, or the inputs do not fit the file's.
        ExportError: If the file does not run.
    """
    known = schema.read(Path(path)).inputs
    if not isinstance(inputs, dict):
        listed = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        if len(listed) != len(known):
            raise ValueError(
                f"The file takes {', '.join(x.name for x in known)}. "
                f"Received: {len(listed)} arrays."
            )
        inputs = {x.name: values for x, values in zip(known, listed)}
    arrays = {name: np.asarray(values) for name, values in inputs.items()}
    count = len(next(iter(arrays.values()), ()))
    parts = [
        run(path, take({k: x[i : i + MOST] for k, x in arrays.items()}, known, "inputs"))
        for i in range(0, max(count, 1), MOST)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
