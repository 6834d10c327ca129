"""The files of a network: ours, and those of two converters as they come."""

import contextlib
import io

import numpy as np

import export
from benchmarks.timing import LOOSE


def ours(model, path, precision, calibration=None, inputs=None):
    """Write a file by `export.to_tflite`."""
    export.to_tflite(
        model,
        path,
        precision,
        calibration=calibration,
        inputs=inputs,
        measure=False,
        tolerance=LOOSE.get(precision),
    )


def chosen(model, path, validation, calibration, max_drop):
    """Write the file that `quantization_report` recommends; return its name in the report."""

    def accuracy(labels, answers):
        return float(np.mean(answers.argmax(-1) == labels))

    report = export.quantization_report(
        model, validation, accuracy, calibration=calibration, max_drop=max_drop
    )
    # The report has judged the file on data already.
    best = report.recommended
    export.to_tflite(
        model,
        path,
        report,
        inputs=calibration,
        measure=False,
        tolerance=LOOSE.get(best.precision),
    )
    return best.name


def converter(model, path, samples=None):
    """Write what plain `TFLiteConverter` makes with its default optimizations."""
    import tensorflow as tf

    with contextlib.redirect_stdout(io.StringIO()):
        made = tf.lite.TFLiteConverter.from_keras_model(model)
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        if samples is not None:
            made.representative_dataset = lambda: ([x[None]] for x in samples)
        path.write_bytes(made.convert())


def edge(source, path, recipe, samples=None):
    """Write what ai-edge-quantizer makes of a float32 file by a recipe of its own."""
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer
    from ai_edge_quantizer import recipe as recipes

    made = quantizer.Quantizer(source.read_bytes(), getattr(recipes, recipe)())
    ranges = None
    if samples is not None:
        for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
            # Inputs and outputs in floats, as in the other files.
            made.update_quantization_recipe(
                ".*", end, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE
            )
        ranges = made.calibrate({"serving_default": [{"image": x[None]} for x in samples]})
    found = made.quantize(ranges, enable_progress_report=False)
    path.write_bytes(found.quantized_model)
