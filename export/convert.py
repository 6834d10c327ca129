"""From a Keras model to the bytes of a `.tflite` file, through the worker process."""

import builtins
import contextlib
import errno
import os
import re
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from blocks import flatten
from blocks.graph import dotted, path_of
from export import advice, savedmodel
from export.errors import ExportError
from export.fuse import fused
from export.half import check_weights
from export.int8 import OUTPUT
from export.process import WorkerCrash, WorkerError, worker
from export.signature import output_names

ROOT = Path(__file__).parents[1]  # where `export` is, wherever the process went since


def convert(
    model, precision="float32", samples=None, input_shape=None, float_layers=(), imports=()
):
    """Return the file of a float32 model: batch 1, built-in operations, one named signature.

    Layers that offer `fuse()` go into it fused. Those that say `stays_float`, and all behind them
    up to the next weights, compute in floats in an int8 file: what ranks and cuts is lost in 256
    steps.

    Args:
        model: A model that `float32.rebuilt` returned.
        precision: A key of `parity.TOLERANCES`.
        samples: Dict of calibration arrays by input name, for int8; none for a model that knows
            its ranges, as `quantize_aware` makes.
        input_shape: See `signature.inputs_of`.
        float_layers: Paths of further layers that compute in floats in an int8 file.
        imports: Names of modules that another process imports before it loads the model.
    """
    if precision == "float16":
        check_weights(model)
    with _saved(model, precision, samples, input_shape, imports) as (folder, asked):
        ask(model, "convert", **asked, precision=precision, floating=stay(model, float_layers))
        return (folder / "model.tflite").read_bytes()


@contextlib.contextmanager
def traced(model, input_shape=None, imports=()):
    """Yield a function from a precision, but `"int8"`, to the bytes of a file.

    The model is traced once.
    """
    with _saved(model, "float32", None, input_shape, imports) as (folder, asked):

        def converted(precision):
            if precision == "float16":
                check_weights(model)
            ask(model, "convert", **asked, precision=precision, floating=[])
            return (folder / "model.tflite").read_bytes()

        yield converted


@contextlib.contextmanager
def calibrated(model, samples, input_shape=None, imports=()):
    """Yield a function from paths of layers that compute in floats to the bytes of an int8 file.

    The model is traced, and its ranges are found, once.
    """
    with _saved(model, "int8", samples, input_shape, imports) as (folder, asked):
        source = str(folder / "calibrated.tflite")
        ask(model, "calibrate", **asked | {"target": source})

        def quantized(float_layers=()):
            floating = stay(model, float_layers)
            ask(model, "quantize", source=source, target=asked["target"], floating=floating)
            return (folder / "model.tflite").read_bytes()

        yield quantized


@contextlib.contextmanager
def _saved(model, precision, samples, input_shape, imports=()):
    """Yield a folder with a model as the worker converts it, and what the worker is asked."""
    worker.prepare()
    model = fused(model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        on_tensorflow = keras.backend.backend() == "tensorflow"
        if on_tensorflow:
            loops = _write_here(model, folder, input_shape, precision)
        else:
            asked = {"input_shape": input_shape, "precision": precision}
            loops = there(model, folder, "save", imports, folder=str(folder / "saved"), **asked)[
                "loops"
            ]
        if precision == "int8":
            if samples:
                advice.refuse_loops(loops, model)
            values = enumerate((samples or {}).values())
            np.savez(folder / "calibration.npz", **{str(i): x for i, x in values})
        yield (
            folder,
            {
                "folder": str(folder / "saved"),
                "target": str(folder / "model.tflite"),
                "names": list(samples or ()),
                "calibration": str(folder / "calibration.npz"),
            },
        )


def stay(model, float_layers=()):
    """Return patterns of the scopes of layers that compute in floats in an int8 file.

    Raises:
        ValueError: If there is no layer of such a path.
    """
    model = fused(model)
    names = {x.name for x in model._flatten_layers() if getattr(x, "stays_float", False)}
    float_layers = [dotted(str(path)) for path in float_layers]
    known = paths_of(model) if float_layers else ()
    for path in float_layers:
        if not any(x == path or x.startswith(f"{path}.") for x in known):
            raise ValueError(
                "A layer that stays in floats is named by its path, as `blocks.flatten` does. "
                f"Received: {path!r}. There are {', '.join(known[:20])}"
                f"{', …' if len(known) > 20 else ''}."
            )
    # Keras opens a scope twice for each call, so that all are numbered: "decoder_1/". Layers of
    # flat models have their paths as names: "stem.conv_1/", or "stem>conv_1/" of torch.
    found = [rf"(^|[/;]){re.escape(name)}_\d+/" for name in sorted(names)]
    for path in float_layers:
        steps = r"(_\d+/|[.>])".join(map(re.escape, path.split(".")))
        found.append(rf"(^|;){re.escape(model.name)}_\d+/{steps}(_\d+/|[.>])")
    if float_layers:
        for name, x in zip(output_names(model), flatten(model).outputs):
            maker = path_of(x._keras_history.operation)
            if any(maker == path or maker.startswith(f"{path}.") for path in float_layers):
                found.append(f"{OUTPUT}{name}")  # its tensor is not named by the layer
    return found


def paths_of(model):
    """Return the paths of a model's layers that multiply by weights, in order."""
    flat = flatten(fused(model))
    kinds = (keras.layers.BatchNormalization, keras.layers.Normalization)
    return [
        path_of(layer)
        for layer in flat.layers
        if not isinstance(layer, kinds) and any(len(w.shape) > 1 for w in layer.weights)
    ]


def ask(model, command, **request):
    """Ask the worker to convert, and say what went wrong in terms of a model's layers."""
    try:
        worker.ask(command, **request)
    except WorkerError as error:
        _disk(error)
        if "ai_edge_quantizer" in str(error):
            raise ExportError(
                'precision="weight_only" needs ai-edge-quantizer. Received: '
                f"{error}. pip install 'keras-blocks[quantize]'"
            ) from None
        raise advice.explain(str(error), model) from None  # pages; they are in `details`
    except WorkerCrash as error:
        raise ExportError(
            "The converter's process died on this model. "
            f"Received: {error}. Export the model's parts to find the layer."
        ) from error


def _write_here(model, folder, input_shape, precision):
    try:
        return savedmodel.write(model, str(folder / "saved"), input_shape, precision)
    except (OSError, ExportError):
        raise
    except Exception as error:  # whatever a layer raises when it is traced
        _full(error)
        raise advice.explain_trace(error, model) from error


def there(model, place, command, imports, **request):
    """Save the model in a folder for the worker, which has TensorFlow; return its reply."""
    layers = [x for x in model._flatten_layers() if not type(x).__module__.startswith("keras.")]
    for layer in layers:
        if type(layer).__module__ == "__main__":
            raise ExportError(
                f"On the {keras.backend.backend()} backend another process loads the model, so its "
                f"layers must be importable. Received: {type(layer).__name__}, defined in "
                "__main__ or a notebook. Move the class to a module and import it from there.",
                layer=layer.name,
            )
    keras_file = place / "model.keras"
    model.save(keras_file)
    try:
        return worker.ask(
            command,
            keras_file=str(keras_file),
            modules=sorted({*imports, *(type(layer).__module__ for layer in layers)}),
            path=[os.path.abspath(folder) for folder in [*sys.path, ROOT]],  # "" is this folder
            **request,
        )
    except WorkerError as error:
        _disk(error)
        raise advice.explain_trace(error, model) from None
    except WorkerCrash as error:
        raise ExportError(f"The model must load in a fresh process. Received: {error}") from error


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
