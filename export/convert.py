"""From a Keras model to the bytes of a `.tflite` file, through the worker process."""

import builtins
import errno
import os
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from export import advice, savedmodel
from export.errors import ExportError
from export.fuse import fused
from export.process import WorkerCrash, WorkerError, worker

ROOT = Path(__file__).parents[1]  # where `export` is, wherever the process went since


def convert(model, precision="float32", samples=None, input_shape=None, imports=()):
    """Return the file of a float32 model: batch 1, built-in operations, one named signature.

    Layers that offer `fuse()` go into it fused. Those that say `stays_float`, and all behind them
    up to the next weights, compute in floats in an int8 file: what ranks and cuts is lost in 256
    steps.

    Args:
        model: A model that `float32.rebuilt` returned.
        precision: `"float32"`, `"float16"`, `"dynamic"` or `"int8"`.
        samples: Dict of calibration arrays by input name, for int8.
        input_shape: See `signature.inputs_of`.
        imports: Names of modules that another process imports before it loads the model.
    """
    worker.prepare()
    model = fused(model)
    layers = model._flatten_layers()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        on_tensorflow = keras.backend.backend() == "tensorflow"
        if on_tensorflow:
            loops = _write_here(model, folder, input_shape, precision)
        else:
            loops = _write_there(model, folder, input_shape, precision, imports)
        if precision == "int8":
            advice.refuse_loops(loops, model)
            np.savez(
                folder / "calibration.npz",
                **{str(i): values for i, values in enumerate(samples.values())},
            )
        try:
            worker.ask(
                "convert",
                folder=str(folder / "saved"),
                target=str(folder / "model.tflite"),
                precision=precision,
                names=list(samples or ()),
                calibration=str(folder / "calibration.npz"),
                floating=[x.name for x in layers if getattr(x, "stays_float", False)],
            )
        except WorkerError as error:
            _disk(error)
            raise advice.explain(str(error), model) from None  # pages; they are in `details`
        except WorkerCrash as error:
            raise ExportError(
                "The converter's process died on this model. "
                f"Received: {error}. Export the model's parts to find the layer."
            ) from error
        return (folder / "model.tflite").read_bytes()


def _write_here(model, folder, input_shape, precision):
    try:
        return savedmodel.write(model, str(folder / "saved"), input_shape, precision)
    except (OSError, ExportError):
        raise
    except Exception as error:  # whatever a layer raises when it is traced
        _full(error)
        raise advice.explain_trace(error, model) from error


def _write_there(model, folder, input_shape, precision, imports):
    """Save the model for the worker, which has TensorFlow, to load and trace."""
    layers = [x for x in model._flatten_layers() if not type(x).__module__.startswith("keras.")]
    for layer in layers:
        if type(layer).__module__ == "__main__":
            raise ExportError(
                f"On the {keras.backend.backend()} backend another process loads the model, so its "
                f"layers must be importable. Received: {type(layer).__name__}, defined in "
                "__main__ or a notebook. Move the class to a module and import it from there.",
                layer=layer.name,
            )
    keras_file = folder / "model.keras"
    model.save(keras_file)
    try:
        reply = worker.ask(
            "save",
            keras_file=str(keras_file),
            folder=str(folder / "saved"),
            input_shape=input_shape,
            precision=precision,
            modules=sorted({*imports, *(type(layer).__module__ for layer in layers)}),
            path=[os.path.abspath(folder) for folder in [*sys.path, ROOT]],  # "" is this folder
        )
    except WorkerError as error:
        _disk(error)
        raise advice.explain_trace(error, model) from None
    except WorkerCrash as error:
        raise ExportError(f"The model must load in a fresh process. Received: {error}") from error
    return reply["loops"]


def _disk(error):
    """Raise an operating system's refusal as what it is."""
    kind = getattr(builtins, error.kind, None)
    if isinstance(kind, type) and issubclass(kind, OSError):
        raise OSError(str(error)) from error
    _full(error)


def _full(error):
    """Raise TensorFlow's error of a full disk as what it is."""
    if "No space left on device" in str(error):
        raise OSError(
            errno.ENOSPC, "No space is left for temporary files", tempfile.gettempdir()
        ) from error
