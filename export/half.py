"""Numbers of 16 bits, which end at 65504: weights must be below, activations should be."""

import contextlib
import warnings

import keras
import numpy as np

from blocks.graph import path_of
from export.advice import layer_at
from export.errors import ExportError
from export.process import WorkerCrash, WorkerError, handed, worker

LARGEST = 65504.0
FEW = 8  # samples that are looked at
FOLDED = (keras.layers.BatchNormalization, keras.layers.Normalization)


def check_weights(model):
    """Raise where a weight is beyond float16: the converter would cut it without a word.

    Statistics of normalizations may be: the file holds what they come to.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, FOLDED):
            continue
        for weight in layer._trainable_variables + layer._non_trainable_variables:
            if "float" not in str(weight.dtype):
                continue
            largest = np.abs(keras.ops.convert_to_numpy(weight)).max(initial=0.0)
            if largest > LARGEST:
                raise ExportError(
                    f"float16 ends at {LARGEST:.0f}. Received: {largest:.4g} among the weights "
                    f"{weight.name!r} of layer {path_of(layer)!r}. Scale them, or use "
                    '"float32".',
                    layer=path_of(layer),
                )


def check_values(path, model, samples):
    """Warn where numbers of a file are beyond float16, in which graphics processors compute."""
    few = {name: x[:FEW] for name, x in samples.items()}
    with handed(path, few) as (_, asked), contextlib.suppress(WorkerError, WorkerCrash):
        found = worker.ask("peaks", **asked)
        places = {f"output {name!r}": value for name, value in found["outputs"].items()}
        for name, value in found["inner"].items():
            layer = next(filter(None, (layer_at(x, model) for x in name.split(";"))), None)
            if layer:
                place = f"layer {layer!r}"
                places[place] = max(value, places.get(place, 0.0))
        beyond = [f"{value:.4g} in {place}" for place, value in places.items() if value > LARGEST]
        if beyond:
            warnings.warn(
                f"float16 ends at {LARGEST:.0f}, and graphics processors compute in it. Received: "
                f"{', '.join(beyond[:5])}. On them these numbers are infinite: scale them, or run "
                "the file on processors, which compute in float32.",
                stacklevel=3,
            )
