"""Which precision a file should have: each is made, timed and scored on real data."""

import math
import tempfile
from pathlib import Path

import keras

from export import samples as data_of
from export import schema, signature
from export.candidates import Candidate, QuantizationReport
from export.convert import calibrated, convert, paths_of
from export.errors import ExportError, ParityError
from export.parity import TOLERANCES
from export.reference import answers, checked, in_float32, run
from export.scoring import agreement, gathered, score_of
from export.timing import ask
from export.together import side_by_side

FEW = 64  # samples on which layers are ranked
MOST_FLOAT = 0.5  # share of the layers that may stay in floats


def quantization_report(
    model,
    data,
    metric=None,
    *,
    mode="max",
    max_drop=0.01,
    calibration=None,
    input_shape=None,
    tolerance=None,
    threads=1,
    rank=True,
    folder=None,
    verbose=1,
):
    """Make a file of each precision, measure and score all, and say which to take.

    The precisions are those of `to_tflite`. Where 8 bits cost more than `max_drop`, files follow in
    which the layers that disturb the answers most stay in floats: one, two, four and so on. A
    layer's sensitivity is its share of the noise that layers make, each alone in 8 bits: of its
    weights, of what it reads and of what it gives. All files are timed in turn, round by round.

    Recommended is the fastest file that drops at most `max_drop`, passes `export.verify`, and is
    not slower than float32; of files as fast as it, the smallest.

    Args:
        model: What answers, as for `to_tflite`.
        data: `(inputs, targets)`, or an iterable of such batches (its first 10,000 samples), best
            of data that the model was not trained on. Without targets, files are scored by how far
            they agree with Keras.
        metric: A `keras.Metric`, or a function `metric(targets, answers)` that gives a number;
            `answers` is an array, or a dict of arrays by name of several outputs.
        mode: Whether `"max"` or `"min"` of the metric is better.
        max_drop: By how much a file's score may be worse than Keras's.
        calibration: Typical samples for int8; by default those of `data`, of which 256 are used.
        input_shape: Sizes of open axes, as in `to_tflite`.
        tolerance: Dict of tolerances by precision, each as in `to_tflite`.
        threads: Number of threads that files are timed with.
        rank: Whether to rank the layers, also where 8 bits do no harm. It takes a second or more
            for each layer.
        folder: Where to keep the files, by default nowhere.
        verbose: 0 for silence, 1 for a line of progress.

    Returns:
        A `QuantizationReport`, which prints as a table and writes a page with `report.write(path)`.

    Raises:
        ValueError: If an argument is wrong, a metric has no targets, or the other way round.
        ExportError: If the model does not become a file even of float32.

    >>> image = keras.Input((8, 8, 1))
    >>> x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    >>> model = keras.Model(image, keras.layers.Dense(2, "softmax")(x))
    >>> images = keras.random.uniform((16, 8, 8, 1), seed=0)
    >>> report = quantization_report(model, images, rank=False, verbose=0)
    >>> [each.name for each in report.candidates]
    ['float32', 'float16', 'weight_only', 'dynamic', 'int8']
    """
    if mode not in ("max", "min"):
        raise ValueError(f'`mode` must be "max" or "min". Received: mode={mode!r}.')
    if isinstance(max_drop, bool) or not isinstance(max_drop, (int, float)) or not max_drop >= 0:
        raise ValueError(
            f"`max_drop` must be a number from 0, in the metric's unit. Received: {max_drop!r}."
        )
    signature.graph_of(model)
    tensors = signature.inputs_of(model, input_shape)
    missing = data_of.may_be_missing(model, "float32")
    samples, targets = gathered(data, tensors, missing=missing)
    if (metric is None) != (targets is None):
        raise ValueError(
            "A metric needs targets, and targets a metric: data=(inputs, targets), "
            "metric=keras.metrics.SparseCategoricalAccuracy(). Received: "
            f"{'no targets' if targets is None else 'targets'} and metric={metric!r}."
        )
    known = {name: x[: data_of.MOST] for name, x in samples.items()}
    ranges = known if calibration is None else data_of.take(calibration, tensors)
    model = in_float32(model, known)
    expected = answers(model, samples)
    if metric is None:
        metric, targets, named = agreement, expected, "agreement with Keras"
    else:
        named = getattr(metric, "name", None) or getattr(metric, "__name__", "metric")
    found = QuantizationReport(
        model=model.name,
        metric=named,
        mode=mode,
        samples=len(next(iter(samples.values()))),
        max_drop=max_drop,
        reference=score_of(metric, targets, expected),
    )
    if not math.isfinite(found.reference):
        raise ValueError(
            f"`metric` must be finite for Keras's answers. Received: {found.reference}."
        )
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary).expanduser()
        place.mkdir(parents=True, exist_ok=True)
        bench = _Bench(model, found, place, samples, known, targets, metric, tolerance or {})
        bench.make_all(ranges, input_shape, rank, verbose)
        bench.time(threads)
    if folder is None:
        for each in found.candidates:
            each.path = None
    return found


class _Bench:
    """Makes and judges the candidates of one report."""

    def __init__(self, model, report, folder, samples, known, targets, metric, tolerance):
        self.model, self.report, self.folder = model, report, folder
        self.samples, self.known, self.targets = samples, known, targets
        self.metric, self.tolerance = metric, tolerance

    def make_all(self, ranges, input_shape, rank, verbose):
        plain = [x for x in TOLERANCES if x != "int8"]
        paths = paths_of(self.model)
        steps = len(TOLERANCES) + len(paths) * bool(rank)
        bar = keras.utils.Progbar(steps, verbose=verbose, unit_name="file")
        for precision in plain:
            content = self.attempt(
                Candidate(precision, precision),
                lambda precision=precision: convert(self.model, precision, None, input_shape),
            )
            if precision == "float32" and content is None:
                raise ExportError(self.report.candidates[0].error)
            bar.add(1)
        try:
            with calibrated(self.model, ranges, input_shape) as quantized:
                whole = self.attempt(Candidate("int8", "int8"), quantized)
                bar.add(1)
                harm = whole is None or not self.report.allows(self.report.candidates[-1])
                if whole is not None and (rank or harm):
                    self.rank(quantized, paths, bar)
                    if harm:
                        self.keep_some_in_floats(quantized)
        except ExportError as error:
            self.report.candidates.append(Candidate("int8", "int8", error=str(error)))
        bar.update(steps, finalize=True)

    def attempt(self, candidate, make):
        """Make a candidate's file and judge it; return its path, or `None` where there is none."""
        self.report.candidates.append(candidate)
        path = self.folder / f"{candidate.name.replace(', ', '_').replace(' ', '_')}.tflite"
        try:
            path.write_bytes(make())
            candidate.path = path
            candidate.size = path.stat().st_size
            candidate.ops = dict(schema.read(path).ops)
            limits = self.tolerance.get(candidate.precision)
            try:
                candidate.parity = checked(
                    self.model, path, self.known, candidate.precision, limits
                )
            except ParityError as error:
                candidate.parity = error.parity
            candidate.score = score_of(self.metric, self.targets, run(path, self.samples))
        except ExportError as error:
            candidate.error = str(error)
            return None
        sign = 1 if self.report.mode == "max" else -1
        candidate.drop = sign * (self.report.reference - candidate.score)
        return path

    def rank(self, quantized, paths, bar):
        """Find how much of the noise of 8 bits each layer makes where it alone has them."""
        few = {name: x[:FEW] for name, x in self.known.items()}
        expected = answers(self.model, few)
        part = self.folder / ".layer.tflite"

        def noise(float_layers):
            part.write_bytes(quantized(float_layers))
            return _noise(expected, run(part, few))

        try:
            rest = noise(paths)  # what has no weights
            alone = {}
            for path in paths:
                others = tuple(x for x in paths if x != path)
                alone[path] = max(0.0, noise(others) - rest)
                bar.add(1)
        finally:
            part.unlink(missing_ok=True)
        whole = sum(alone.values()) or 1.0
        self.report.sensitivity = {path: share / whole for path, share in alone.items()}

    def keep_some_in_floats(self, quantized):
        """Make files in which more and more of the most sensitive layers stay in floats."""
        order = sorted(self.report.sensitivity, key=self.report.sensitivity.get, reverse=True)
        count = 1
        while count <= MOST_FLOAT * len(order):
            some = tuple(order[:count])
            name = f"int8, {count} in float"
            candidate = Candidate(name, "int8", float_layers=some)
            self.attempt(candidate, lambda some=some: quantized(some))
            if self.report.allows(candidate):
                return
            count *= 2

    def time(self, threads):
        made = [x for x in self.report.candidates if x.error is None]
        found = side_by_side([x.path for x in made], threads=threads, runs=20)
        for each, timed in zip(made, found.files):
            least, most = found.noise if each is made[0] else (timed.lowest, timed.highest)
            each.latency_ms, each.spread = timed.median_ms, (most - least) / timed.ratio
            request = {"file": str(each.path.absolute()), "runs": 1, "threads": threads}
            facts = ask("latency.py", request | {"signature": None}, each.path)
            each.memory = facts["peak_memory"]


def _noise(expected, actual):
    """Return the error of all outputs as a share of what they hold, each output alike."""
    total = 0.0
    for name, reference in expected.items():
        if reference.dtype.kind == "f":
            error = actual[name].astype("float64") - reference
            signal = float((reference.astype("float64") ** 2).mean())
            total += float((error**2).mean()) / signal if signal else 0.0
    return total
