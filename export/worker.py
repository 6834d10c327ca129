"""The process that converts and runs files; `export.process` starts it and talks to it.

A converter or kernel that brings its process down brings down this one, not the user's. A request
is a line of JSON on standard input, a reply a line on standard output; whatever else is printed
goes to standard error.
"""

import contextlib
import gc
import importlib.util
import json
import os
import sys
import traceback

import numpy as np

# By path: as part of the package it would bring Keras, which a conversion does not need.
_spec = importlib.util.spec_from_file_location(
    "int8", os.path.join(os.path.dirname(__file__), "int8.py")
)
int8 = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(int8)

BATCH = 32  # samples that run together where a file allows it


def prepare():
    """Import TensorFlow ahead of the first conversion."""
    import tensorflow  # noqa: F401 - the import is the work

    gc.collect()
    gc.freeze()  # the converter collects garbage each time: let it not walk through TensorFlow


def save(keras_file, modules, path, folder, input_shape, precision):
    """Write a `.keras` file as a SavedModel; return the names of the loops in it."""
    model = _loaded(keras_file, modules, path)
    from export import savedmodel

    return {"loops": savedmodel.write(model, folder, input_shape, precision)}


def save_onnx(keras_file, modules, path, target, input_shape, batch, opset):
    """Write a `.keras` file as an ONNX file."""
    model = _loaded(keras_file, modules, path)
    from export import onnx_file

    onnx_file.write(model, target, input_shape, batch, opset)
    return {}


def _loaded(keras_file, modules, path):
    sys.path[:] = path
    for module in modules:
        importlib.import_module(module)
    import keras

    return keras.saving.load_model(keras_file, compile=False)


def convert(folder, target, precision, names, calibration, floating):
    """Convert a SavedModel to a file of built-in operations.

    In an int8 file, what the patterns of `floating` find stays in floats: see `int8.tensors_of`.
    """
    import tensorflow as tf

    if precision == "int8" and names:
        content = int8.quantized(int8.calibrated(folder, names, calibration), floating)
    else:
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if precision in ("float16", "dynamic", "int8"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
        if precision == "int8":
            content = int8.unrounded(content)
        if precision == "weight_only":
            content = _weights_quantized(content)
    _write(target, content)
    return {}


def _weights_quantized(content):
    """Return a float file whose weights are kept in 8 bits a channel; they are read as floats."""
    from ai_edge_quantizer import quantizer, recipe

    with contextlib.redirect_stdout(sys.stderr):
        made = quantizer.Quantizer(content, recipe.weight_only_wi8_afp32())
        return int8.inside(bytes(made.quantize(enable_progress_report=False).quantized_model))


def calibrate(folder, target, names, calibration):
    """Convert a SavedModel to a float file that knows the range of every value."""
    _write(target, int8.calibrated(folder, names, calibration))
    return {}


def quantize(source, target, floating):
    """Convert what `calibrate` wrote to an int8 file."""
    with open(source, "rb") as file:
        _write(target, int8.quantized(file.read(), floating))
    return {}


def _write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def run(file, names, inputs, outputs, signature=None):
    """Run a file on every sample, through its signature."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(file, num_threads=1).get_signature_runner(signature)
    wanted, made = runner.get_input_details(), runner.get_output_details()
    if set(wanted) != set(names):
        raise ValueError(f"The file's inputs are {sorted(wanted)}. Received: {sorted(names)}.")
    samples = _arrays(inputs, names)
    for name, values in samples.items():
        if values.shape[1:] != tuple(wanted[name]["shape"][1:]):
            raise ValueError(
                f"Input {name!r} of the file has shape {wanted[name]['shape'].tolist()}. "
                f"Received: samples of shape {values.shape[1:]}."
            )
    results = [
        runner(
            **{
                name: values[i : i + 1].astype(wanted[name]["dtype"])
                for name, values in samples.items()
            }
        )
        for i in range(len(samples[names[0]]))
    ]
    return _kept(outputs, {name: [result[name] for result in results] for name in made})


def run_onnx(file, names, inputs, outputs):
    """Run an ONNX file on every sample.

    Where the batch is open, the first sample goes alone and the others together.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    samples, made = _arrays(inputs, names), [x.name for x in session.get_outputs()]
    count, size = len(samples[names[0]]), session.get_inputs()[0].shape[0]
    starts = range(count) if isinstance(size, int) else [0, *range(1, count, BATCH)]
    parts = [
        session.run(made, {name: values[start:end] for name, values in samples.items()})
        for start, end in zip(starts, [*starts[1:], count])
    ]
    return _kept(outputs, dict(zip(made, zip(*parts))))


def _arrays(path, names):
    with np.load(path) as arrays:
        return {name: arrays[str(index)] for index, name in enumerate(names)}


def _kept(path, parts):
    """Write answers, and return what the reply is: their names."""
    stacked = {str(i): np.concatenate(part) for i, part in enumerate(parts.values())}
    np.savez(path, **stacked)
    return {"names": list(parts)}


def peaks(file, names, inputs):
    """Run a file on every sample; return the largest number of each tensor that it computes.

    Outputs have their names, and the largest of their sizes; weights are none.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        file,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    runner = interpreter.get_signature_runner()
    samples = _arrays(inputs, names)
    computed = {
        int(index)
        for each in interpreter._get_ops_details()
        if each["op_name"] != "DEQUANTIZE"
        for index in each["outputs"]
    }
    inner, outputs = {}, {}
    for i in range(len(samples[names[0]])):
        made = runner(**{name: values[i : i + 1] for name, values in samples.items()})
        for name, x in made.items():
            _raise_to(outputs, name, abs(x.astype("float64")))
        for each in interpreter.get_tensor_details():
            if each["index"] in computed and each["dtype"] is np.float32:
                _raise_to(inner, each["name"], interpreter.get_tensor(each["index"]))
    return {"inner": inner, "outputs": outputs}


def _raise_to(found, name, values):
    found[name] = max(found.get(name, 0.0), float(values.max(initial=0.0)))


COMMANDS = {
    "save": save,
    "save_onnx": save_onnx,
    "convert": convert,
    "calibrate": calibrate,
    "quantize": quantize,
    "run": run,
    "peaks": peaks,
    "run_onnx": run_onnx,
}


def main():
    """Answer requests until standard input closes."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        command = request.pop("command")
        if command == "prepare":  # nobody waits for it
            prepare()
            continue
        try:
            reply = COMMANDS[command](**request)
        except Exception as error:
            traceback.print_exc()
            reply = {"error": type(error).__name__, "message": str(error)[:50_000]}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
