"""The searches whose workers are killed, and the log that the workers keep on their own.

`python -m benchmarks.crash.searches FILE` is one worker, as a script of a user would be.
"""

import json
import os
import sys
import time
from pathlib import Path

import keras

import tuning

EPOCHS, BATCH, TRAIN = 7, 128, 640
UNITS, RATES = [8, 16, 32, 64, 128], [1e-3, 3e-3, 1e-2]
WORKER = "KERAS_BLOCKS_CRASH_WORKER"  # the process that is killed, also in its trials' own

HALVING, ISOLATE = {"halving": True}, {"isolate": True}

# What a search is, the kills of one, so that it ends, and how many seconds lie between two at
# most: a trial in a process of its own imports Keras.
KINDS = {
    "one worker": {"workers": 1, "trials": 8, "kills": 14, "seconds": 8.0},
    "two workers": {"workers": 2, "trials": 8, "kills": 16, "seconds": 6.0},
    "one, halving": {"workers": 1, "trials": 9, "kills": 14, "seconds": 7.0, **HALVING},
    "two, halving": {"workers": 2, "trials": 9, "kills": 16, "seconds": 5.0, **HALVING},
    "one, isolated": {"workers": 1, "trials": 3, "kills": 6, "seconds": 24.0, **ISOLATE},
    "two, halving, isolated": {
        **{"workers": 2, "trials": 4, "kills": 6, "seconds": 20.0},
        **HALVING,
        **ISOLATE,
    },
}


def digits():
    """Return images and classes of training and of validation."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype("float32"), y.astype("int32")
    return x[:TRAIN], y[:TRAIN], (x[TRAIN:], y[TRAIN:])


def name_of(values):
    """Return the name of a configuration."""
    return "_".join([f"units{values['units']}", f"rate{values['rate']}", f"deep{values['deep']}"])


def params_of(values):
    """Return the number of weights, by hand."""
    units = values["units"]
    return 65 * units + (units + 1) * units * values["deep"] + (units + 1) * 10


def network(hp):
    """Return a network whose name is its configuration; 45 of them."""
    values = {
        "units": hp.Choice("units", UNITS),
        "rate": hp.Choice("rate", RATES),
        "deep": hp.Int("deep", 0, 2),
    }
    layers = [keras.layers.Dense(values["units"], "relu") for _ in range(1 + values["deep"])]
    layers = [keras.Input((64,)), *layers, keras.layers.Dense(10)]
    model = keras.Sequential(layers, name=name_of(values))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(values["rate"])
    model.compile(optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)
    return model


def note(path, event, **facts):
    """Add a line to a log by one write, which no kill tears and no other process splits."""
    facts = {"event": event, "worker": int(os.environ.get(WORKER, 0)), **facts}
    line = json.dumps({**facts, "pid": os.getpid(), "time": time.time()}) + "\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


class Noted(keras.callbacks.Callback):
    """Notes when each epoch begins and ends, between the callbacks of the library."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_begin(self, epoch, logs=None):
        note(self.path, "begin", name=self.model.name, epoch=epoch)

    def on_epoch_end(self, epoch, logs=None):
        score = float(logs["val_accuracy"])
        note(self.path, "epoch", name=self.model.name, epoch=epoch, score=score)


class Search(tuning.ParetoSearch):
    """A search that notes each trial once it has ended as far as a user can see."""

    noted = None

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        if trial.status == "COMPLETED":
            values = trial.hyperparameters.values
            facts = {"number": int(trial.trial_id), "name": name_of(values), "score": trial.score}
            note(self.noted, "end", values=dict(values), **facts)


def opened(job):
    """Return the search of a job: a dict of plain values."""
    search = Search(
        network,
        ["val_accuracy", "params"],
        max_trials=job["trials"],
        seed=job["seed"],
        directory=job["folder"],
        project_name=job["name"],
        storage=job["storage"],
        halving=tuning.Halving(min_epochs=2, factor=2) if job.get("halving") else None,
        isolate=job.get("isolate", False),
    )
    search.noted = job["log"]
    return search


def work(job):
    """Search until all trials are done."""
    os.environ[WORKER] = str(os.getpid())
    note(job["log"], "start")
    search = opened(job)
    note(job["log"], "ready")
    x, y, validation = digits()
    fit = {"validation_data": validation, "epochs": EPOCHS, "batch_size": BATCH}
    search.search(x, y, **fit, callbacks=[Noted(job["log"])], verbose=0)


if __name__ == "__main__":
    work(json.loads(Path(sys.argv[1]).read_text()))
