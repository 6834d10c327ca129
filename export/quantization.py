"""Which precision a file should have: each is made, timed and scored on real data."""

import math
import tempfile
from pathlib import Path

import keras

from export import samples as data_of
from export import signature
from export.bench import Bench
from export.calibration import check_calibration
from export.candidates import QuantizationReport
from export.reference import answers, in_float32
from export.scoring import agreement, gathered, score_of


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
    imports=(),
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
        imports: As in `to_tflite`.
        verbose: 0 for silence, 1 for a line of progress.

    Returns:
        A `QuantizationReport`, which prints as a table and writes a page with `report.write(path)`.

    Raises:
        ValueError: If an argument is wrong, a metric has no targets, or the other way round.
        ExportError: If the model does not become a file even of float32.

    >>> image = keras.Input((8, 8, 1))
    >>> x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    >>> model = keras.Model(image, keras.layers.Dense(2, "softmax")(x))
    >>> images = keras.random.uniform((32, 8, 8, 1), seed=0)
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
    if signature.knows_ranges(model):
        raise ValueError(
            'A model of quantize_aware is exported with precision="int8": there is nothing to '
            f"choose. Received: {model.name!r}."
        )
    fits = metric is None or isinstance(metric, keras.Metric)
    if not fits and (isinstance(metric, type) or not callable(metric)):
        raise ValueError(
            f"`metric` must be a keras.Metric or a function. Received: metric={metric!r}."
        )
    if metric is None and mode == "min":
        raise ValueError('Agreement with Keras is better the more: mode="max". Received: "min".')
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
    check_calibration(model, ranges)
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
        calibration=ranges,
        known=known,
    )
    if not math.isfinite(found.reference):
        raise ValueError(
            f"`metric` must be finite for Keras's answers. Received: {found.reference}."
        )
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary).expanduser()
        place.mkdir(parents=True, exist_ok=True)
        bench = Bench(model, found, place, samples, known, targets, metric, tolerance or {})
        bench.make_all(input_shape, rank, imports, verbose)
        bench.time(threads)
    if folder is None:
        for each in found.candidates:
            each.path = None
    return found
