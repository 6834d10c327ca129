"""The process that converts and runs files; `export.process` starts it and talks to it.

A converter or kernel that brings its process down brings down this one, not the user's. A request
is a line of JSON on standard input, a reply a line on standard output; whatever else is printed
goes to standard error.
"""

import gc
import json
import os
import re
import sys
import traceback

import numpy as np


def prepare():
    """Import TensorFlow ahead of the first conversion."""
    import tensorflow  # noqa: F401 - the import is the work

    gc.collect()
    gc.freeze()  # the converter collects garbage each time: let it not walk through TensorFlow


def save(keras_file, folder, input_shape, precision, modules, path):
    """Write a `.keras` file as a SavedModel; return the names of the loops in it."""
    import importlib

    sys.path[:] = path
    for module in modules:
        importlib.import_module(module)
    import keras

    from export import savedmodel

    if isinstance(input_shape, list):
        input_shape = tuple(input_shape)
    model = keras.saving.load_model(keras_file, compile=False)
    return {"loops": savedmodel.write(model, folder, input_shape, precision)}


def convert(folder, target, precision, names, calibration, floating):
    """Convert a SavedModel to a file of built-in operations.

    In an int8 file, the layers named in `floating` stay in floats: see `tensors_of`.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        with np.load(calibration) as arrays:
            samples = {name: arrays[str(index)] for index, name in enumerate(names)}
        count = len(samples[names[0]])
        converter.representative_dataset = lambda: (
            {name: values[i : i + 1] for name, values in samples.items()} for i in range(count)
        )
    partly = precision == "int8" and floating
    content = quantized(converter, floating) if partly else converter.convert()
    with open(target, "wb") as file:
        file.write(content)
    return {}


def quantized(converter, floating):
    """Return an int8 file of which layers stay in floats."""
    from tensorflow.lite.python.convert import mlir_quantize

    converter._experimental_calibrate_only = True
    calibrated = converter.convert()
    stay = tensors_of(floating, calibrated)
    if not stay:
        raise ValueError(f"The file must name the operations of its layers. Received: {floating}.")
    content = without_ranges(calibrated, stay)
    kinds = ["TOPK_V2"]  # of two outputs, an operation is not found by their names
    return mlir_quantize(content, denylisted_nodes=stay, denylisted_ops=kinds)


def without_ranges(content, names):
    """Return a file whose tensors of these names have no range, so none of 8 bits.

    The list of those that stay is not enough: between its operations values were rounded to 8 bits
    and back. What an operation of 8 bits reads keeps its range.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    names = {name.encode() for name in names}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    stay = {i for i, tensor in enumerate(graph.tensors) if tensor.name in names}
    others = [x for x in graph.operators if stay.isdisjoint(x.outputs)]
    for i in stay.difference(*(x.inputs for x in others)):
        graph.tensors[i].quantization = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def tensors_of(layers, content):
    """Return the names of the tensors that layers make in a file, and of all made of those.

    A convolution or a dense layer behind them takes 8 bits again, and what follows it.
    """
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.BuiltinOperator
    weighted = {kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D, kinds.TRANSPOSE_CONV, kinds.FULLY_CONNECTED}
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    names = [graph.Tensors(i).Name().decode() for i in range(graph.TensorsLength())]
    # Keras numbers a scope that it enters again: "decoder_1/".
    scope = re.compile(rf"(^|[/;])({'|'.join(map(re.escape, layers))})(_\d+)?/")
    found = {}
    for i in range(graph.OperatorsLength()):
        operation = graph.Operators(i)
        read = operation.InputsAsNumpy().tolist() if operation.InputsLength() else []
        made = operation.OutputsAsNumpy().tolist()
        code = model.OperatorCodes(operation.OpcodeIndex())
        ends = max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) in weighted
        follows = not ends and any(x in found for x in read)
        if follows or any(scope.search(names[x]) for x in made):
            found.update((x, names[x]) for x in made)
    return list(found.values())


def run(file, names, inputs, outputs, signature=None):
    """Run a file on every sample, through its signature."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(file, num_threads=1).get_signature_runner(signature)
    wanted, made = runner.get_input_details(), runner.get_output_details()
    if set(wanted) != set(names):
        raise ValueError(f"The file's inputs are {sorted(wanted)}. Received: {sorted(names)}.")
    with np.load(inputs) as arrays:
        samples = {name: arrays[str(index)] for index, name in enumerate(names)}
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
    stacked = {
        str(index): np.concatenate([result[name] for result in results])
        for index, name in enumerate(made)
    }
    np.savez(outputs, **stacked)
    return {"names": list(made)}


COMMANDS = {"save": save, "convert": convert, "run": run}


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
