"""One segmenter from scratch to its files."""

from pathlib import Path

import numpy as np

import export
import heads
import tuning
from benchmarks.clock import trained
from benchmarks.timing import LOOSE

BATCH_OF_ANSWERS = 8


def train(model, batches, folder, *, epochs, peak, valid=None):
    """Train a model, or go on, or read it; return it and what it took."""
    steps = epochs * len(batches)
    optimizer = tuning.adamw(steps, peak, weight_decay=0.02, ema=0.99)
    losses, metrics = heads.losses(model), heads.metrics(model)
    model.compile(optimizer, loss=losses, metrics=metrics, jit_compile=False)
    model, facts = trained(
        model,
        batches,
        folder,
        epochs=epochs,
        validation_data=valid and (valid[0].astype("float32"), valid[1].astype("int32")),
        validation_batch_size=BATCH_OF_ANSWERS,
        validation_freq=max(1, epochs // 4),
    )
    return model, {"steps": steps, "peak": peak, **facts}


def files(answer, folder, samples, input_shape=None):
    """Return the float32 and the int8 file of a model, as bundles by precision."""
    return {
        precision: export.to_tflite(
            answer,
            Path(folder, f"{precision}.tflite"),
            precision,
            calibration=samples,
            inputs=samples[:8],
            input_shape=input_shape,
            measure=False,
            tolerance=LOOSE.get(precision),
        )
        for precision in ("float32", "int8")
    }


def confusion(metric, maps, targets):
    """Return a metric of this library that has seen class maps."""
    classes = metric.targets.num_classes
    metric.reset_state()
    for found, true in zip(maps, targets):
        logits = (
            np.where(found[..., None] == 1, 10.0, -10.0)
            if classes == 1
            else one_hot(found, classes)
        )
        metric.update_state(true[None].astype("int32"), logits[None])
    return metric


def one_hot(found, classes):
    return np.eye(classes, dtype="float32")[found]
