"""The training of a trial, kept as it goes, so that it goes on where it was cut off or paused.

In its folder stand `state_00007.npz`, what trains and its optimizer after seven epochs;
`best_00005.weights.h5`, the weights of the best epoch; and `epochs.jsonl`, the logs of each.
"""

import json
import os
import time
import zipfile
from pathlib import Path

import keras
import keras_tuner
import numpy as np

STATE_EVERY = 10.0  # seconds; an epoch that is better than all before is always kept
LOG = "epochs.jsonl"
ENDINGS = {"state": "npz", "best": "weights.h5"}


class Training:
    """Keeps a training and takes it up again.

    Args:
        folder: Where its files are.
        objective: The `keras_tuner.Objective` that says which epoch is best.
        goes_on: Function of the number of epochs done, of all epochs, and of the logs of every
            epoch so far, which says whether the training goes on.
    """

    def __init__(self, folder, objective, goes_on=None):
        self.folder, self.objective = Path(folder), objective
        self.goes_on = goes_on or (lambda done, epochs, rows: True)
        self.rows, self.paused, self.state = [], False, None
        self.fits = 0  # a `fit` of a HyperModel may train more than once
        self.kept = time.monotonic()

    def around(self, callbacks):
        """Return callbacks with those of this training.

        The first sees the weights that train, the last what the others put in their place, such
        as averages, and what they add to the logs.
        """
        return [First(self), *callbacks, Last(self)]

    def begin(self, model):
        """Go on with what is kept, if a model can take it."""
        self.fits += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        model._initial_epoch = None  # of a training before, which Keras keeps
        if self.paused:
            raise keras_tuner.errors.FatalValueError(
                "A trial that may be paused is trained by one `fit`. Received: a HyperModel whose "
                "`fit` trains again after the pause. Leave out `halving`."
            )
        if self.fits > 1:  # which of its trainings a state belongs to cannot be told
            remove(self.folder, "state")
            return
        rows = rows_of(self.folder)
        sweep(self.folder)
        done = max((n for n in numbers(self.folder, "state") if n <= len(rows)), default=0)
        if not (done and restore(model, file_of(self.folder, "state", done))):
            done = 0
        remove(self.folder, "state", keep=[done])
        remove(self.folder, "best", keep=range(1, done + 1))
        self.rows = rows[:done]
        write_rows(self.folder / LOG, self.rows)
        if done:
            model._initial_epoch = done  # as Keras's own BackupAndRestore

    def end_epoch(self, model, epochs, logs):
        """Keep what stands after an epoch, and end the training where it is paused."""
        self.rows.append({name: float(x) for name, x in (logs or {}).items() if is_real(x)})
        done, best = len(self.rows), best_epoch(self.rows, self.objective)
        first = self.fits == 1
        if first and done < epochs and not self.goes_on(done, epochs, self.rows):
            self.paused = model.stop_training = True
        if best == done:
            save(file_of(self.folder, "best", done), model.save_weights)
        due = best == done or self.paused or time.monotonic() - self.kept > STATE_EVERY
        if first and due:
            save(file_of(self.folder, "state", done), lambda part: np.savez(part, *self.state))
            self.kept = time.monotonic()
        with (self.folder / LOG).open("a") as file:
            file.write(json.dumps(self.rows[-1]) + "\n")
        remove(self.folder, "best", keep=[best])
        remove(self.folder, "state", keep=numbers(self.folder, "state")[-1:])


class First(keras.callbacks.Callback):
    """Stands before the callbacks of the user."""

    def __init__(self, training):
        super().__init__()
        self.training = training

    def on_train_begin(self, logs=None):
        self.training.begin(self.model)

    def on_epoch_end(self, epoch, logs=None):
        self.training.state = [array(x) for x in variables(self.model)]


class Last(keras.callbacks.Callback):
    """Stands behind the callbacks of the user."""

    def __init__(self, training):
        super().__init__()
        self.training = training

    def on_epoch_end(self, epoch, logs=None):
        self.training.end_epoch(self.model, self.params.get("epochs") or 0, logs)


def variables(model):
    """Return all that changes while a model is trained."""
    return [*model.variables, *(model.optimizer.variables if model.optimizer else [])]


def array(variable):
    """Return a copy of a variable's value, of a type that NumPy can keep."""
    value = np.array(keras.ops.convert_to_numpy(variable))
    return value.astype("float32") if value.dtype.name == "bfloat16" else value


def restore(model, path):
    """Give a model a state; return whether it could take it."""
    if not model.built:
        return False
    if model.optimizer is not None:
        model.optimizer.build(model.trainable_variables)
    found = variables(model)
    try:
        with np.load(path) as arrays:
            kept = [arrays[name] for name in arrays.files]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # a power cut
        return False
    if [x.shape for x in kept] != [tuple(x.shape) for x in found]:
        return False
    for variable, value in zip(found, kept):
        variable.assign(value)
    return True


def best_epoch(rows, objective):
    """Return the number of the best epoch, from 1; the last where none has the objective."""
    sign = 1 if objective.direction == "max" else -1
    scored = [
        (sign * row[objective.name], -i) for i, row in enumerate(rows, 1) if scores(row, objective)
    ]
    return -max(scored)[1] if scored else len(rows)


def scores(row, objective):
    """Return whether logs hold a finite objective."""
    return abs(row.get(objective.name, float("nan"))) < float("inf")


def best_file(folders, objective):
    """Return the weights of the best epoch of several trainings of a model, or `None`."""
    sign, found = 1 if objective.direction == "max" else -1, []
    for folder in folders:
        rows = rows_of(folder)
        files = numbers(folder, "best")
        if files:
            row = rows[files[-1] - 1] if files[-1] <= len(rows) else {}
            score = sign * row[objective.name] if scores(row, objective) else -float("inf")
            found.append((score, str(file_of(folder, "best", files[-1]))))
    return max(found)[1] if found else None


def forget(folder):
    """Remove the states of a trial's trainings, so that none of them goes on."""
    for each in Path(folder).glob("execution_*"):
        remove(each, "state")
        sweep(each)


def sweep(folder):
    """Remove what processes had half written when they died."""
    for part in Path(folder).glob("part_*"):
        part.unlink(missing_ok=True)


def rows_of(folder):
    """Return the logs of every epoch that was trained."""
    path, rows = Path(folder, LOG), []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:  # the process died while it wrote
            break
    return rows


def write_rows(path, rows):
    """Write logs to a file, whole or not at all."""
    save(path, lambda part: part.write_text("".join(json.dumps(row) + "\n" for row in rows)))


def save(path, write):
    """Let a function write a file, whole or not at all."""
    part = path.with_name(f"part_{os.getpid()}_{path.name}")
    write(part)
    os.replace(part, path)


def file_of(folder, kind, number):
    """Return the path of the file of a kind after an epoch."""
    return Path(folder, f"{kind}_{number:05d}.{ENDINGS[kind]}")


def numbers(folder, kind):
    """Return the epochs of which there are files of a kind, in order."""
    names = (path.name for path in Path(folder).glob(f"{kind}_*.{ENDINGS[kind]}"))
    return sorted(int(name[len(kind) + 1 :].split(".")[0]) for name in names)


def remove(folder, kind, keep=()):
    """Remove the files of a kind but those of some epochs."""
    for number in numbers(folder, kind):
        if number not in keep:
            file_of(folder, kind, number).unlink(missing_ok=True)


def is_real(value):
    """Return whether a log is one number."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
