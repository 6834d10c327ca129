"""What a model or file costs: parameters, multiply-adds, bytes, operations, time, memory."""

import math
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras

from export import schema
from export import signature as described
from export.convert import convert
from export.files import aside, existing, target, write_json
from export.float32 import rebuilt
from export.fuse import fused
from export.macs import by_block, rows_of
from export.parity import limits_of
from export.preflight import prepared
from export.samples import random, take
from export.table import kilobytes, render
from export.timing import ask, check_counts, is_count


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
            `own_memory` is what the file added; the `parts` of the graph that LiteRT's delegate
            computes, and how often each operation stays `outside` of it.
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
            first = self.latency[0]
            peak, own = kilobytes(self.peak_memory), kilobytes(first["own_memory"])
            rows.append(("peak memory", f"{peak} of its process, {own} since the file was opened"))
            if first["parts"] is not None:
                rows.append(("delegate", _delegate(first["parts"], first["outside"])))
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
    signature=None,
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
        signature: Name of the signature to run, of a file with several; its times include copying
            inputs and outputs.

    Raises:
        ValueError: If an argument is wrong, or the file is no `.tflite` file or damaged.
        ExportError: If the file does not run.

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
    path = existing(model_or_file, "measure")
    found = Measurement(path.name)
    found.size, found.ops = path.stat().st_size, dict(schema.read(path, signature).ops)
    if runtime is None or runtime:
        add_runtime(found, path, runs, threads, signature)
    return found


def _converted(model, precision, calibration, input_shape):
    """Return the bytes of a model's file, which is compared with nothing."""
    inputs, samples = described.inputs_of(model, input_shape), None
    if precision == "int8":
        samples = random(model, inputs) if calibration is None else take(calibration, inputs)
    runs, _ = prepared(rebuilt(model), precision, input_shape)
    return convert(runs, precision, samples, input_shape)


def facts_of_model(model, input_shape=None):
    """Return the static facts of a model, of fused layers where it has such."""
    described.graph_of(model)
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


def add_runtime(found, path, runs=50, threads=(1, 2), signature=None):
    """Add to a `Measurement` what running the file at `path` shows."""
    found.size, found.ops = path.stat().st_size, dict(schema.read(path).ops)
    request = {"file": str(path.absolute()), "runs": runs, "signature": signature}
    found.latency = [ask("latency.py", {**request, "threads": x}, path) for x in threads]


def _check(runs, threads):
    check_counts(runs=runs)
    several = isinstance(threads, (list, tuple, range)) and len(threads)
    if not several or not all(map(is_count, threads)):
        raise ValueError(
            "`threads` must list whole numbers from 1, such as (1, 2). "
            f"Received: threads={threads!r}."
        )


def _delegate(parts, outside):
    names = ", ".join(f"{op} {count}" for op, count in sorted(outside.items()))
    return f"{parts} part{'s' * (parts != 1)}, " + (f"outside: {names}" if names else "all in it")


def _millions(macs, uncounted):
    text = f"{macs / 1e6:,.2f} M"
    return f"{text} and what {', '.join(uncounted)} need" if uncounted else text
