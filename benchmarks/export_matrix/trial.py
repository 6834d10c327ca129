"""One model as a file of every precision: judged beside Keras, timed beside its float32 file."""

import tempfile
from pathlib import Path

import keras
import numpy as np

import heads
from export import ParityError, samples, schema, side_by_side, signature
from export.convert import calibrated, traced
from export.fuse import fused
from export.parity import TOLERANCES
from export.reference import checked

COUNT = 16
RUNS, ROUNDS = 10, 5


def try_out(make, **options):
    """Return what was found of each precision, a dict by it; what failed has an `error`.

    Args:
        make: Function that returns the network.
        **options: Given to `heads.deploy`.
    """
    keras.utils.set_random_seed(0)
    try:
        model = heads.deploy(make(), **options)
        given = inputs_of(model)
        settle_statistics(model, given)
        return of_model(model, given)
    except Exception as error:  # whatever it is, it is a row
        return {precision: {"error": reason_of(error)} for precision in TOLERANCES}


def inputs_of(model):
    """Return random samples: images of a few coarse colours and some noise, which differ."""
    tensors = signature.inputs_of(model)
    found = samples.random(model, tensors, COUNT)
    rng = np.random.default_rng(1)
    for x in tensors:
        if len(x.shape) == 4:
            _, height, width, channels = x.shape
            coarse = rng.normal(size=(COUNT, 4, 4, channels))
            grown = coarse.repeat(-(-height // 4), 1).repeat(-(-width // 4), 2)
            found[x.name] = (grown[:, :height, :width] + 0.2 * found[x.name]).astype("float32")
    return found


def settle_statistics(model, given):
    """Give batch normalizations the statistics of the samples, as a training would.

    No variance is less than the layer's mean: an untrained network has channels that hardly vary,
    and would make them, and what is rounded in them, as loud as the others.
    """
    layers = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    before = [x.momentum for x in layers]
    for x in layers:
        x.momentum = 0.0
    if layers:
        graph = signature.graph_of(model)
        model(
            keras.tree.pack_sequence_as(graph._inputs_struct, list(given.values())), training=True
        )
    for x, momentum in zip(layers, before):
        x.momentum = momentum
        variance = keras.ops.convert_to_numpy(x.moving_variance)
        x.moving_variance.assign(np.maximum(variance, variance.mean()))


def of_model(model, given):
    """Make, judge and time the files of a model."""
    runs, found, paths = fused(model), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for precision, content in contents(runs, given):
            if isinstance(content, Exception):
                found[precision] = {"error": reason_of(content)}
                continue
            path = Path(folder, f"{precision}.tflite")
            path.write_bytes(content)
            try:
                found[precision] = judge(model, path, given, precision)
                paths[precision] = path
            except Exception as error:
                found[precision] = {"error": reason_of(error)}
        if "float32" in paths:
            time(paths, found)
    return found


def contents(model, given):
    """Yield each precision and the bytes of its file, or the error there is instead."""
    try:
        with traced(model) as converted:
            for precision in [x for x in TOLERANCES if x != "int8"]:
                yield precision, attempt(converted, precision)
    except GeneratorExit:
        raise
    except Exception as error:
        for precision in [x for x in TOLERANCES if x != "int8"]:
            yield precision, error

    def whole():
        with calibrated(model, given) as quantized:
            return quantized()

    yield "int8", attempt(whole)


def attempt(make, *arguments):
    try:
        return make(*arguments)
    except Exception as error:
        return error


def judge(model, path, given, precision):
    """Return the figures of a file; `misses` says which bounds it does not keep."""
    try:
        parity, misses = checked(model, path, given, precision), []
    except ParityError as error:
        parity, misses = error.parity, error.parity.failures
    facts = schema.read(path)
    return {
        "builtin": not facts.custom,
        "size": path.stat().st_size,
        "misses": misses,
        "outputs": parity.to_dict()["outputs"],
    }


def time(paths, found):
    """Add the ratio to float32's latency, and what is noise in it."""
    names = list(paths)
    if len(names) < 2:
        return
    beside = side_by_side([paths[x] for x in names], runs=RUNS, rounds=ROUNDS)
    for name, timed in zip(names, beside.files):
        found[name] |= {"ms": timed.median_ms, "ratio": timed.ratio, "noise": beside.noise}


def reason_of(error):
    return " ".join((str(error) or type(error).__name__).split())[:300]
