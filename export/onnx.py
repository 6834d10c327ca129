"""The way to other runtimes: a verified `.onnx` file, or nothing new."""

import tempfile
from pathlib import Path

import keras

from export import advice, onnx_file, signature
from export import samples as data
from export.bundle import bundle_of, versions
from export.convert import there
from export.errors import ExportError
from export.files import aside, target, write_json
from export.parity import limits_of
from export.preflight import examined
from export.reference import checked, in_float32
from export.timing import is_count


def to_onnx(
    model,
    path,
    *,
    inputs=None,
    input_shape=None,
    tolerance=None,
    batch="dynamic",
    opset=None,
    imports=(),
):
    """Write a model as an `.onnx` file that is proven to answer as Keras does.

    Keras's exporter writes it, in float32; inputs and outputs are named as in `to_tflite`. It is
    written aside, run by onnxruntime, compared with Keras, then renamed; if anything fails, `path`
    stays as it was. The facts go beside it, with the suffix `.json`. It needs
    `pip install 'keras-blocks[onnx]'`.

    Args:
        model: A functional or `Sequential` `keras.Model`; one of mixed precision is rebuilt in
            float32 first, and layers that offer `fuse()` are fused. The file is compared with the
            model as it was given.
        path: Where to write, ending in `.onnx`.
        inputs: Samples to compare on, as in `to_tflite`; by default eight random ones.
        input_shape: Sizes without the batch axis, where the model leaves some open.
        tolerance: A number in place of the bound of float32 in `parity.TOLERANCES`, the relative
            error, or a dict of bounds.
        batch: `"dynamic"`, any number of samples a call, or 1.
        opset: Version of ONNX's operations; by default the exporter's.
        imports: Names of modules that register what the model needs, as in `to_tflite`.

    Returns:
        A `Bundle`.

    Raises:
        ExportError: If the model does not convert; `layer` and `op` say where. Or if the libraries
            that ONNX needs are missing.
        ParityError: If the file does not answer as Keras does; `parity` holds the figures.
        ValueError: If an argument is wrong.
        OSError: If the file cannot be written.
    """
    onnx_file.check_installed()
    path = target(path, ".onnx")
    if batch not in ("dynamic", 1) or batch is True:
        raise ValueError(f'`batch` must be "dynamic" or 1. Received: batch={batch!r}.')
    if opset is not None and not is_count(opset):
        raise ValueError(f"`opset` must be a whole number from 1. Received: opset={opset!r}.")
    limits_of("float32", tolerance)
    signature.graph_of(model)
    tensors = signature.inputs_of(model, input_shape)
    missing = data.may_be_missing(model, "float32")
    if inputs is not None:
        inputs = data.take(inputs, tensors, "inputs", missing=missing)
    else:
        inputs = data.random(model, tensors)
    with aside(path, target(path.with_suffix(".json"), ".json")) as (part, facts_part):
        model = in_float32(model, inputs)
        options = {
            "input_shape": input_shape,
            "batch": None if batch == "dynamic" else 1,
            "opset": opset,
        }
        runs, flight = examined(model, "float32", input_shape)
        _write(runs, part, imports, options)
        parity = checked(model, part, inputs, "float32", tolerance, runner=onnx_file.run)
        facts = onnx_file.read(part)
        made = versions("onnx", "onnxruntime", "tf2onnx") | {"opset": onnx_file.opset_of(part)}
        more = {"versions": made, "rewrites": flight.rewrites}
        bundle = bundle_of(path, "float32", part.read_bytes(), facts, parity, **more)
        write_json(bundle.to_dict(), facts_part)
    return bundle


def _write(model, part, imports, options):
    if keras.backend.backend() != "tensorflow":
        with tempfile.TemporaryDirectory() as folder:
            place = str(part.absolute())
            there(model, Path(folder), "save_onnx", imports, target=place, **options)
    else:
        try:
            onnx_file.write(model, str(part), **options)
        except (OSError, ExportError):
            raise
        except Exception as error:  # whatever a layer raises when it is traced
            raise advice.explain_trace(error, model) from error
    onnx_file.check_operations(part, model)
