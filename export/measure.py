"""What a model or file costs: parameters, multiply-adds, bytes, operations, time, memory."""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from numbers import Integral
from pathlib import Path

import keras

from export import schema, signature
from export.convert import convert
from export.errors import ExportError
from export.files import aside, target, write_json
from export.float32 import rebuilt
from export.fuse import fused
from export.macs import by_block, rows_of
from export.parity import limits_of
from export.samples import random, take
from export.table import kilobytes, render

SCRIPT = Path(__file__).with_name("latency.py")


@dataclass
class Measurement:
    """What `measure` found; what was not measured is `None`.

    Attributes:
        name: The model's name, or the file's.
        params, trainable_params: Numbers of weights.
        macs: Multiply-adds of one sample.
        layers: A `macs.Row` for each layer: name, kind, output shape, parameters, multiply-adds.
        uncounted: Names of layers whose multiply-adds could not be told.
        size: Bytes of the file.
        ops: How often each LiteRT operation occurs.
        latency: For each number of threads, `median_ms` and `min_ms` of `runs` runs, and the
            `peak_memory` of their process in bytes (Python, NumPy and LiteRT included), of which
            `own_memory` is what the file added.
    """

    name: str
    params: int | None = None
    trainable_params: int | None = None
    macs: int | None = None
    layers: list = field(default_factory=list)
    uncounted: list = field(default_factory=list)
    size: int | None = None
    ops: dict | None = None
    latency: list = field(default_factory=list)

    @property
    def latency_ms(self):
        """Median time of a run with the first number of threads, in ms."""
        return self.latency[0]["median_ms"] if self.latency else None

    @property
    def peak_memory(self):
        """Peak memory of the process that ran the file with the first number of threads."""
        return self.latency[0]["peak_memory"] if self.latency else None

    def blocks(self):
        """Return the rows of `layers` summed by block."""
        return by_block(self.layers)

    def to_dict(self):
        return asdict(self)

    def save(self, path):
        """Write the facts as JSON to `path`, whole or not at all."""
        path = target(path, ".json")
        with aside(path) as [part]:
            write_json(self.to_dict(), part)
        return path

    def rows(self, file=True):
        """Return the lines of the printed table as pairs."""
        rows = []
        if self.params is not None:
            rows.append(("parameters", f"{self.params:,} ({self.trainable_params:,} trainable)"))
            rows.append(("MACs", _millions(self.macs, self.uncounted)))
        if file and self.size is not None:
            rows.append(("size", kilobytes(self.size)))
            rows.append(("ops", ", ".join(f"{op} {n}" for op, n in sorted(self.ops.items()))))
        for x in self.latency:
            rows.append(
                (
                    f"latency, {x['threads']} thread{'s' * (x['threads'] > 1)}",
                    f"{x['median_ms']:.3f} ms median, {x['min_ms']:.3f} ms min of {x['runs']}",
                )
            )
        if self.latency:
            rows.append(("peak memory", f"{kilobytes(self.peak_memory)} of its process"))
        return rows

    def __str__(self):
        return render([("measured", self.name), *self.rows()])


def measure(
    model_or_file,
    *,
    runtime=None,
    runs=50,
    threads=(1, 2),
    input_shape=None,
    precision="float32",
    calibration=None,
):
    """Return what a Keras model or a `.tflite` file costs, as a `Measurement`.

    Of a model: parameters and multiply-adds of one sample, layer by layer (convolutions, dense,
    einsum, matrix and attention products; no biases, normalization or activations). Layers that
    offer `fuse()` are counted as they run, fused. Of a file: its size, operations, latency and
    peak memory, on LiteRT in a fresh process.

    Args:
        model_or_file: A functional or `Sequential` `keras.Model`, or the path of a file.
        runtime: Whether to run it; by default a file is run and a model is not. A model is
            converted to a temporary file for it.
        runs: Timed runs, after five that are not.
        threads: Numbers of threads; each is timed in a process of its own.
        input_shape: Sizes for open axes of a model, as in `to_tflite`.
        precision: Precision of the file of a model, as in `to_tflite`.
        calibration: Samples for `"int8"`, as there. By default random ones: they change the
            answers of a file, not its costs.

    >>> image = keras.Input((8, 8, 3))
    >>> model = keras.Model(image, keras.layers.Conv2D(4, 3, padding="same")(image))
    >>> measure(model).macs == 8 * 8 * 3 * 3 * 3 * 4
    True
    """
    _check(runs, threads)
    limits_of(precision)  # is it one?
    if isinstance(model_or_file, keras.Model):
        found = facts_of_model(model_or_file, input_shape)
        if runtime:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "model.tflite")
                path.write_bytes(_converted(model_or_file, precision, calibration, input_shape))
                add_runtime(found, path, runs, threads)
        return found
    if not isinstance(model_or_file, (str, os.PathLike)):
        raise ValueError(
            "A keras.Model or the path of a file is measured. "
            f"Received: {type(model_or_file).__name__}."
        )
    path = Path(model_or_file).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file to measure. Received: path={str(path)!r}.")
    found = Measurement(path.name)
    facts = schema.read(path)
    found.size, found.ops = path.stat().st_size, facts.ops
    if runtime is None or runtime:
        add_runtime(found, path, runs, threads)
    return found


def _converted(model, precision, calibration, input_shape):
    """Return the bytes of a model's file, which is compared with nothing."""
    inputs, samples = signature.inputs_of(model, input_shape), None
    if precision == "int8":
        samples = random(model, inputs) if calibration is None else take(calibration, inputs)
    return convert(rebuilt(model), precision, samples, input_shape)


def facts_of_model(model, input_shape=None):
    """Return the static facts of a model, of fused layers where it has such."""
    signature.graph_of(model)
    model = fused(model)
    layers = rows_of(model, input_shape)
    uncounted = [row.name for row in layers if row.macs is None]
    return Measurement(
        model.name,
        params=model.count_params(),
        trainable_params=sum(math.prod(weight.shape) for weight in model.trainable_weights),
        macs=sum(row.macs or 0 for row in layers),
        layers=layers,
        uncounted=uncounted,
    )


def add_runtime(found, path, runs=50, threads=(1, 2)):
    """Add to a `Measurement` what running the file at `path` shows."""
    found.size, found.ops = path.stat().st_size, schema.read(path).ops
    found.latency = [_time(path, count, runs) for count in threads]


def interleaved(paths, threads=1, rounds=5, runs=20):
    """Return what files cost that run in turn, in rounds, each time in a process of its own.

    Each has its `median_ms`, the median of those of the rounds, their `spread` as a share of it,
    and its `peak_memory`.
    """
    found = [[] for _ in paths]
    for i in range(rounds):
        order = range(len(paths)) if i % 2 else reversed(range(len(paths)))
        for place in order:
            found[place].append(_time(paths[place], threads, runs))
    facts = []
    for each in found:
        times = [x["median_ms"] for x in each]
        middle = statistics.median(times)
        facts.append(
            {
                "median_ms": middle,
                "spread": (max(times) - min(times)) / middle,
                "peak_memory": max(x["peak_memory"] for x in each),
            }
        )
    return facts


def _check(runs, threads):
    if not _is_count(runs):
        raise ValueError(f"`runs` must be a whole number from 1. Received: runs={runs!r}.")
    several = isinstance(threads, (list, tuple, range)) and len(threads)
    if not several or not all(map(_is_count, threads)):
        raise ValueError(
            "`threads` must list whole numbers from 1, such as (1, 2). "
            f"Received: threads={threads!r}."
        )


def _is_count(value):
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 1


def _time(path, threads, runs):
    command = [sys.executable, "-P", str(SCRIPT), str(path), str(threads), str(runs)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ExportError(
            f"The file must run on LiteRT with {threads} threads. Received: exit status "
            f"{done.returncode}, {done.stderr.strip()[-500:]}"
        )
    return json.loads(done.stdout.splitlines()[-1])


def _millions(macs, uncounted):
    text = f"{macs / 1e6:,.2f} M"
    return f"{text} and what {', '.join(uncounted)} need" if uncounted else text
