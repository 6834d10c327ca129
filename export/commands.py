"""The command line: `keras-blocks`, and `python -m export`."""

import os
import sys

from export import arguments, schema
from export.device import on_device
from export.errors import ExportError, ParityError
from export.files import aside, existing, target, write_json
from export.measure import measure
from export.onnx import to_onnx
from export.opened import arrays_of, labels_of, model_of
from export.operations import profile
from export.preflight import preflight
from export.reference import verify
from export.stopped import STATUS, STOPPED
from export.table import render
from export.tflite import to_tflite
from export.together import side_by_side


def main(words=None):
    """Run the command in `words`, by default those of the command line; return its exit status.

    It is 0, 1 where a file does not answer as its model does, and 2 for what a user can mend,
    which is one line on standard error.
    """
    if not {"", os.getcwd()} & set(sys.path):  # of a console script; `python -m` has it
        sys.path.insert(0, os.getcwd())
    try:
        given = arguments.parsed(sys.argv[1:] if words is None else words)
        COMMANDS[given.command](given)
    except ParityError as error:
        print(error.parity)
        return _failed(error, 1)
    except (ValueError, OSError) as error:
        return _failed(error, 2)
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return STATUS
    return 0


def _failed(error, status):
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror + (f": {error.filename}" if error.filename else "")
    text = " ".join(text.split())
    print(f"keras-blocks: error: {text}", file=sys.stderr)
    return status


def _measure(given):
    path = given.json and target(given.json, ".json")
    if given.device is not None:
        found = _of_device(given)
    else:
        found = _of_one(given) if len(given.files) == 1 else _of_several(given)
    if path:
        with aside(path) as [part]:
            write_json(found, part)


def _of_one(given):
    """Print and return the facts of a file."""
    [file], threads = given.files, given.threads or [1, 2]
    name = given.signature
    found = measure(file, runs=given.runs, threads=threads, signature=name)
    about = schema.read(existing(file, "measure"), name)
    tensors = [("input", x) for x in about.inputs] + [("output", x) for x in about.outputs]
    rows = [(f"{what} {x.name}", f"{list(x.shape)} {x.dtype}") for what, x in tensors]
    if len(about.signatures) > 1:
        rows.append(("signatures", ", ".join(about.signatures)))
    print(render([("measured", found.name), *rows, *found.rows()]))
    operations = []
    try:
        costs = profile(file, runs=given.runs, signature=name)
        print(costs.table())
        operations = costs.operations
    except ExportError as error:
        print(f"The costs of operations are not known: {error}")
    keys = {"inputs": about.inputs, "outputs": about.outputs, "operations": operations}
    return found.to_dict() | {key: [vars(x) for x in value] for key, value in keys.items()}


def _of_several(given):
    """Print and return how fast files are beside each other."""
    found = []
    for threads in given.threads or [1]:
        found.append(side_by_side(given.files, threads=threads, runs=given.runs))
        print(found[-1])
    return {"side_by_side": [x.to_dict() for x in found]}


def _of_device(given):
    """Print and return what a file costs on a device."""
    found = []
    for threads in given.threads or [1]:
        found.append(
            on_device(
                given.files[0],
                tool=given.tool,
                threads=threads,
                runs=given.runs,
                serial=given.device or None,
            )
        )
        print(found[-1])
    return {"on_device": [x.to_dict() for x in found]}


def _verify(given):
    existing(given.file, "verify")
    inputs = arrays_of(given.inputs, "--inputs")
    found = verify(
        model_of(given.model, given.imports),
        given.file,
        inputs,
        precision=given.precision,
        tolerance=given.tolerance,
        signature=given.signature,
    )
    print(found)


def _preflight(given):
    model = model_of(given.model, given.imports)
    found = preflight(model, given.precision, given.input_shape and tuple(given.input_shape))
    print(found)
    if found.refused:
        raise ExportError(f"The model does not convert. Received: {found.refused[0].what}.")


def _convert(given):
    if given.path.endswith(".onnx"):
        _convert_to_onnx(given)
        return
    target(given.path, ".tflite")
    calibration = arrays_of(given.calibration, "--calibration")
    inputs = arrays_of(given.inputs, "--inputs")
    labels = labels_of(given.labels)
    bundle = to_tflite(
        model_of(given.model, given.imports),
        given.path,
        given.precision,
        calibration=calibration,
        inputs=inputs,
        labels=labels,
        input_shape=given.input_shape and tuple(given.input_shape),
        tolerance=given.tolerance,
        measure=not given.no_measure,
        imports=given.imports,
    )
    print(bundle)


def _convert_to_onnx(given):
    target(given.path, ".onnx")
    for name, usual in (("precision", "float32"), ("calibration", None), ("labels", None)):
        if getattr(given, name) != usual:
            raise ValueError(
                f"`--{name}` is for .tflite files; an .onnx file is of float32. "
                f"Received: {getattr(given, name)!r}."
            )
    inputs = arrays_of(given.inputs, "--inputs")
    bundle = to_onnx(
        model_of(given.model, given.imports),
        given.path,
        inputs=inputs,
        input_shape=given.input_shape and tuple(given.input_shape),
        tolerance=given.tolerance,
        imports=given.imports,
    )
    print(bundle)


COMMANDS = {"measure": _measure, "verify": _verify, "preflight": _preflight, "convert": _convert}
