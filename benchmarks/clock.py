"""Trainings that are kept: each epoch is timed and said, and one that was stopped goes on."""

import json
import sys
import time

import keras
import numpy as np


class Clock(keras.callbacks.Callback):
    """Keep an epoch's logs with the time that its batches took, and say how far the training is.

    Args:
        path: File that the logs are added to, a line of JSON each.
        epochs: Number of all epochs.
        batches: The batches, told the number of each epoch before it begins.
    """

    def __init__(self, path, epochs, batches):
        super().__init__()
        self.path, self.epochs, self.batches = path, epochs, batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.draw(epoch)
        self.began = self.now = time.perf_counter(), time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        self.now = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        wall, busy = (b - a for a, b in zip(self.began, self.now))
        facts = {"epoch": epoch, "seconds": wall, "processor_seconds": busy, **logs}
        note(self.path, facts)
        left = (self.epochs - epoch - 1) * (time.perf_counter() - self.began[0]) / 60
        scores = ", ".join(f"{k} {x:.4f}" for k, x in logs.items() if x is not None)
        said = f"{self.path.parent.name}: epoch {epoch + 1} of {self.epochs}, {scores}"
        print(f"{said}, {left:.0f} minutes left", file=sys.stderr, flush=True)


def note(log, facts):
    """Add a line of facts to a log; what was left half written before stays a line of its own."""
    with log.open("a") as file:
        file.write(f"\n{json.dumps(facts)}")


def facts_of(log):
    """Return the facts of every epoch, of one that was trained twice the last."""
    found = {}
    for line in log.read_text().splitlines() if log.exists() else []:
        try:
            facts = json.loads(line)
        except ValueError:  # the first line is empty, and one may have been interrupted
            continue
        found[facts["epoch"]] = facts
    return list(found.values())


def minutes(rows):
    """Return the minutes of all epochs, by the wall and of the processor."""
    names = {"wall_minutes": "seconds", "processor_minutes": "processor_seconds"}
    return {key: round(sum(x[name] for x in rows) / 60, 1) for key, name in names.items()}


def last(rows):
    """Return the last loss of a training, and the last of each score of validation."""
    found = {}
    for row in rows:
        found |= {k: x for k, x in row.items() if k == "loss" or k.startswith("val_")}
    return found


def bare(model):
    """Return a copy of a model without its optimizer, which is as large as two of it."""
    copy = type(model).from_config(model.get_config())  # a clone would be compiled
    copy.set_weights(model.get_weights())
    return copy


def stream(batches):
    """Return the batches as a data set that no thread tunes.

    TensorFlow 2.21 may wait for that thread at the end of an epoch, which sleeps ever longer: an
    epoch of 13 seconds then takes 20.
    """
    import tensorflow as tf

    def each():
        return (batches[i] for i in range(len(batches)))

    shapes = [np.shape(x) for x in batches[0]]
    kinds = [np.asarray(x).dtype for x in batches[0]]
    spec = tuple(tf.TensorSpec(shape, kind) for shape, kind in zip(shapes, kinds))
    data = tf.data.Dataset.from_generator(each, output_signature=spec)
    options = tf.data.Options()
    options.autotune.enabled = False
    count = tf.data.experimental.assert_cardinality(len(batches))
    return data.apply(count).prefetch(2).with_options(options)


def trained(model, batches, folder, *, epochs, callbacks=(), **fit):
    """Train a compiled model with averaged weights, or go on, or read what was trained.

    Args:
        model: A compiled model, its optimizer with `use_ema`.
        batches: A `PyDataset` with `batch` and `draw(epoch)`.
        folder: Where state, log and model are kept.
        epochs: Number of all epochs.
        callbacks: Callbacks that see the averaged weights at the end of an epoch.
        **fit: Given to `fit`.

    Returns:
        The model, with its averaged weights, and a dict of what its training took and reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done, facts, log = folder / "model.keras", folder / "facts.json", folder / "log.jsonl"
    if done.exists() and facts.exists():
        return keras.saving.load_model(done, compile=False), json.loads(facts.read_text())
    callbacks = [
        # first, so that it keeps the weights and not their averages
        keras.callbacks.BackupAndRestore(
            folder / "backup", double_checkpoint=True, delete_checkpoint=False
        ),
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        *callbacks,
        Clock(log, epochs, batches),
    ]
    model.fit(stream(batches), epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks, **fit)
    rows = facts_of(log)
    found = {
        "epochs": epochs,
        "batch": batches.batch,
        "noted": len(rows),
        **minutes(rows),
        **last(rows),
    }
    bare(model).save(done)
    facts.write_text(json.dumps(found))
    return model, found
