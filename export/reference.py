"""The answers of a model and of a file to the same samples."""

from pathlib import Path

import keras
import numpy as np

from export import onnx_file, schema
from export import signature as described
from export.errors import ExportError, ParityError
from export.files import existing
from export.float32 import rebuilt
from export.judges import apart, before, excused, judged, shares_of
from export.parity import compare, limits_of
from export.process import WorkerCrash, WorkerError, answered
from export.rewrites import misreads
from export.samples import may_be_missing, take
from export.timing import not_run

BATCH = 32
SMALLEST = 6.1e-5  # float16 loses what is below
SETTLED = {"relative": 1e-4}  # bound of what a layer has aligned: boxes add roundings up
SAME = 0.5  # share of boxes that a copy in float32 must find again
ROUNDING = 0.05  # what half precision may be off by, as a share of the largest value


def verify(model, path, inputs, *, precision="float32", tolerance=None, signature=None):
    """Run a file on `inputs` through its signature and compare its answers with Keras's.

    A model of mixed precision is compared in float32, which is what a file computes in. Boxes
    of a float32 file that only the rounding of nearly equal scores moved are put in Keras's order
    first. In a detector of two stages rounding also decides which of two nearly equal proposals is
    looked at: one sample in ten may have some other boxes, up to a half, if 0.9 of all agree;
    `apart` counts these samples, and a `tolerance` below 1e-4 allows none. Boxes of other files are
    compared by what they say, in any order.

    Args:
        model: The `keras.Model` the file was made from.
        path: The `.tflite` file, or an `.onnx` file, which onnxruntime runs.
        inputs: Samples: an array, a list or dict of arrays, or an iterable of batches; the first
            256 are used.
        precision: What the file was made with: `"float32"`, `"float16"`, `"dynamic"`, `"int8"`.
        tolerance: A number in place of the precision's first bound in `parity.TOLERANCES`, or a
            dict of bounds (`relative`, `sqnr_db`, `equal`, `agreement`).
        signature: Name of the signature that answers, of a file with several.

    Returns:
        A `Parity`: for each output the largest error, absolute and relative to the largest value,
        the signal to quantization noise in dB, and the share of equal best classes.

    Raises:
        ParityError: If a bound is not met; its `parity` holds the figures.
        ExportError: If the file does not run.
    """
    limits_of(precision, tolerance)
    path = existing(path, "verify")
    described.graph_of(model)
    known, runner = schema.read, run
    if path.suffix == ".onnx":
        _check_onnx(precision, signature)
        known, runner = onnx_file.read, onnx_file.run
    shapes = {x.name: x.shape[1:] for x in known(path, signature).inputs}
    names = described.input_names(model)
    if set(names) != set(shapes):
        raise ValueError(
            f"The file must have the model's inputs {sorted(names)}. Received: {sorted(shapes)}. "
            "Is it this model's? A name given to keras.Input stays the same wherever it is built."
        )
    missing = may_be_missing(model, precision)
    samples = take(inputs, described.inputs_of(model, shapes), "inputs", missing=missing)
    model = in_float32(model, samples)
    return checked(model, path, samples, precision, tolerance, (), signature, runner)


def _check_onnx(precision, signature):
    onnx_file.check_installed("onnx", "onnxruntime")
    if precision != "float32" or signature is not None:
        raise ValueError(
            "An .onnx file is of float32 and has no signature. Received: "
            f"precision={precision!r}, signature={signature!r}."
        )


def in_float32(model, samples):
    """Return `float32.rebuilt` of a model, after a loose comparison of the two on `samples`."""
    copy = rebuilt(model)
    if copy is model:
        return model
    few = {name: values[:BATCH] for name, values in samples.items()}
    expected, actual = answers(model, few), answers(copy, few)
    shares = shares_of(model, expected, actual)
    if shares and min(shares.values()) < SAME:  # then by what goes into such layers
        _check_copy(model, *(answers(before(x), few) for x in (model, copy)))
    rest = [{k: x for k, x in each.items() if k not in shares} for each in (expected, actual)]
    _check_copy(model, *rest)
    return copy


def _check_copy(model, expected, actual):
    """Raise where a copy in float32 does not give what a model gives, as far as that is exact."""
    for name, reference in expected.items():
        if reference.dtype.kind in "iub":
            continue  # places near a tie change with the rounding
        reference, found = reference.astype("float64"), actual[name].astype("float64")
        fits = np.isfinite(reference)  # what float16 cannot hold is infinite in it
        error = np.abs(found[fits] - reference[fits]).max(initial=0.0)
        largest = np.abs(reference[fits]).max(initial=0.0)
        if not error <= ROUNDING * largest + SMALLEST:
            raise ExportError(
                "A model of mixed precision is rebuilt in float32 from its configuration and "
                f"weights. Received: {model.name!r}, whose copy is off by {error:.3g} in output "
                f"{name!r} of at most {largest:.3g}: state that is neither configuration nor "
                "weight is lost. Build the model in float32."
            )


def checked(
    model, path, samples, precision, tolerance=None, class_scores=(), signature=None, runner=None
):
    """Return the `Parity` of a file on checked samples, or raise; `runner` runs it, or `run`."""
    expected = answers(model, samples)
    actual = (runner or run)(path, samples, signature)
    if precision == "float32":
        parity = compare(expected, actual, precision, tolerance, class_scores)
        if not parity.passed:
            better = _settled(model, expected, actual, tolerance)
            parity.outputs = [better.get(x.name, x) for x in parity.outputs]
    else:
        shares = shares_of(model, expected, actual)
        parity = compare(expected, actual, precision, tolerance, class_scores, shares)
    if not parity.passed:
        raise ParityError(
            "The file must answer as its Keras model does. "
            f"Received: {'; '.join(parity.failures)}, on {parity.samples} samples. "
            + ADVICE["aware" if described.knows_ranges(model) else precision],
            parity=parity,
        )
    return parity


def _settled(model, expected, actual, tolerance):
    """Return, by name, the figures of outputs whose boxes are in Keras's order."""
    bounds = tolerance
    if tolerance is None or isinstance(tolerance, dict):
        bounds = SETTLED | (tolerance or {})
    found = {}
    relative = limits_of("float32", bounds)["relative"]
    for layer, names, (ours, theirs) in judged(model, expected, actual):
        made = layer.aligned(ours, theirs)
        left = apart(ours, made, relative)
        if relative < SETTLED["relative"] or not excused(layer, ours, theirs, left):
            left[:] = False
        for key, x in made.items():
            x[left] = ours[key][left]
        given = [{names[key]: x for key, x in each.items()} for each in (ours, made)]
        for x in compare(*given, "float32", bounds).outputs:
            x.apart = int(left.sum()) or None
            found[x.name] = x
    return found


ADVICE = {
    "float32": "Find the layer by exporting the model's parts; a larger `tolerance=` accepts it.",
    "float16": "Values above 65504 or below 6e-8 do not fit float16: scale them, or use float32.",
    "weight_only": 'Use "float16", or accept it with a smaller `tolerance=` (dB).',
    "dynamic": 'Use "float16", or accept it with a smaller `tolerance=` (dB).',
    "int8": "Calibrate on more and more typical samples; let `quantization_report` find the layers "
    'for `float_layers=`; or use "float16". A smaller `tolerance=` (dB) accepts it.',
    "aware": "Train the copy on, at a lower rate; a smaller `tolerance=` (dB) accepts it.",
}


def answers(model, samples):
    """Return Keras's answers to `samples`, a dict of arrays by output name."""
    count = len(next(iter(samples.values())))
    batch = model.inputs[0].shape[0]
    if batch is None and count == 1 and misreads(model):
        twice = {name: np.repeat(x, 2, axis=0) for name, x in samples.items()}
        return {name: x[:1] for name, x in answers(model, twice).items()}
    batch = batch or BATCH + (count % BATCH == 1)  # so that none is left alone
    parts = []
    for start in range(0, count, batch):
        tensors = [
            keras.ops.convert_to_tensor(values[start : start + batch])
            for values in samples.values()
        ]
        outputs = described.call(model, tensors)
        parts.append({name: keras.ops.convert_to_numpy(x) for name, x in outputs.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def run(path, samples, signature=None):
    """Return the file's answers to `samples`, a dict of arrays by output name."""
    try:
        return answered("run", path, samples, signature=signature)
    except (WorkerError, WorkerCrash) as error:
        raise not_run(error, Path(path)) from error
