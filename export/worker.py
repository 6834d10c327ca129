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


def _beside(name):
    """Import a file by its path: as part of the package it would bring Keras."""
    path = os.path.join(os.path.dirname(__file__), f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


int8, running, unrounded = map(_beside, ("int8", "running", "unrounded"))


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
        content = int8.quantized(_calibrated(folder, names, calibration), floating)
    else:
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if precision in ("float16", "dynamic", "int8"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
        if precision == "int8":
            model, builder = int8.opened(content)
            unrounded.unround(model.subgraphs[0], int8.kinds_of(model), int8.FIXED)
            content = int8.closed(model, builder)
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
    _write(target, _calibrated(folder, names, calibration))
    return {}


def _calibrated(folder, names, calibration):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter._experimental_calibrate_only = True
    samples = running.arrays(calibration, names)
    starts = range(1)  # TensorFlow says which tensors have ranges
    converter.representative_dataset = lambda: (
        {name: x[i : i + 1] for name, x in samples.items()} for i in starts
    )
    content = converter.convert()
    model, builder = int8.opened(content)
    if len(model.subgraphs) > 1:  # branches, whose ranges are TensorFlow's
        starts = range(len(samples[names[0]]))
        content = converter.convert()
        model, builder = int8.opened(content)
    int8.set_ranges(model, running.ranges(content, int8.ranged(model), samples))
    return int8.closed(model, builder)


def quantize(source, target, floating):
    """Convert what `calibrate` wrote to an int8 file."""
    with open(source, "rb") as file:
        _write(target, int8.quantized(file.read(), floating))
    return {}


def _write(path, content):
    with open(path, "wb") as file:
        file.write(content)


COMMANDS = {
    "save": save,
    "save_onnx": save_onnx,
    "convert": convert,
    "calibrate": calibrate,
    "quantize": quantize,
    "run": running.run,
    "peaks": running.peaks,
    "run_onnx": running.run_onnx,
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
