"""One segmenter from scratch to its files."""

import json
from pathlib import Path

import keras
import numpy as np

import export
import heads
import tuning
from benchmarks.clock import Clock, minutes

BATCH_OF_ANSWERS = 8


def train(model, batches, folder, *, epochs, peak, valid=None):
    """Train a model, or read it; return it and what it took. One that was stopped goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    done, facts = folder / "model.keras", folder / "facts.json"
    if done.exists() and facts.exists():
        return keras.saving.load_model(done, compile=False), json.loads(facts.read_text())
    optimizer = tuning.adamw(epochs * len(batches), peak, weight_decay=0.02, ema=0.99)
    losses, metrics = heads.losses(model), heads.metrics(model)
    model.compile(optimizer, loss=losses, metrics=metrics, jit_compile=False)
    log = folder / "log.jsonl"
    callbacks = [
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        keras.callbacks.BackupAndRestore(folder / "backup"),
        Clock(log),
    ]
    history = model.fit(
        batches,
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=callbacks,
        validation_data=valid and (valid[0].astype("float32"), valid[1].astype("int32")),
        validation_batch_size=BATCH_OF_ANSWERS,
        validation_freq=max(1, epochs // 4),
    ).history
    found = {
        "epochs": epochs,
        "steps": epochs * len(batches),
        "batch": batches.batch,
        "peak": peak,
        **minutes(log),
        "loss": history["loss"][-1],
        **{key: x[-1] for key, x in history.items() if key.startswith("val_")},
    }
    model.save(done, include_optimizer=False)
    facts.write_text(json.dumps(found))
    return model, found


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
