"""One search, replayed on a table: the tuners are the real ones, only the trainings are read."""

import contextlib
import gc
import io
import json
import statistics
import time

import keras
import keras_tuner

from benchmarks.search import space
from benchmarks.search.table import EPOCHS, MODELS, RATE, architecture, key_of


class Table:
    """What was trained once.

    Args:
        name: Name of the data set.

    Attributes:
        rows: Accuracies of every configuration, by its key.
        limit: The latency that three of ten architectures keep, in milliseconds.
    """

    def __init__(self, name):
        found = json.loads((MODELS / f"search_{name}.json").read_text())
        self.rows, self.costs = found["rows"], found["costs"]
        latencies = sorted(each["latency_ms"] for each in self.costs.values())
        self.limit = latencies[round(0.3 * len(latencies)) - 1]

    def facts(self, key):
        """Return what the architecture of a configuration costs."""
        return self.costs[architecture(key)]

    def seconds(self, key):
        """Return how long an epoch takes, the time to trace the graph left out."""
        return statistics.median(self.rows[key]["seconds"])

    def tracing(self, key):
        """Return how long the first epoch takes above the others, when nothing is traced yet."""
        first = f"{architecture(key)} {space.CHOICES[RATE][0]}"
        seconds = self.rows[first]["seconds"]
        return max(0.0, seconds[0] - statistics.median(seconds))


def stand_in(key):
    """Return a model that costs nothing, whose one layer tells an architecture from others."""
    name = architecture(key).replace(" ", "_")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name=name)])
    model.compile("sgd", "mse", jit_compile=False)
    return model


MOST_REFUSED = 100  # networks over the limit in a row, after which a search ends


class Spent(BaseException):
    """All epochs are spent, or a search proposes what is refused again and again."""


class Replay(keras_tuner.HyperModel):
    """A space whose trainings are read from a table, until all epochs are spent.

    Args:
        table: A `Table`.
        epochs: Number of epochs to spend.
        gate: Whether to fail a network over the limit before it is trained.
        penalty: What is taken off the accuracy of a network over the limit, times its excess.
        measures: Whether what is trained is measured: latency is an objective.

    Attributes:
        trace: For every epoch: all that were spent, the configuration, its epoch, the seconds
            of trainings so far.
    """

    def __init__(self, table, epochs, gate=False, penalty=0.0, measures=False):
        super().__init__()
        self.table, self.epochs, self.gate, self.penalty = table, epochs, gate, penalty
        self.measures = measures or bool(penalty)
        self.trace, self.seconds, self.gated, self.refused = [], 0.0, set(), 0

    def build(self, hp):
        key = key_of(space.chosen(hp))
        if self.gate:
            self.measured(key)
            if self.table.facts(key)["latency_ms"] > self.table.limit:
                self.refused += 1
                if self.refused == MOST_REFUSED:
                    raise Spent
                raise keras_tuner.errors.FailedTrialError("over the limit")
        self.refused = 0
        model = stand_in(key)
        model.key = key
        return model

    def measured(self, key):
        """Count the seconds of a measurement, once for an architecture."""
        if (name := architecture(key)) not in self.gated:
            self.gated.add(name)
            self.seconds += self.table.facts(key)["gate_seconds"]

    def fit(self, hp, model, *, callbacks=(), epochs=EPOCHS, initial_epoch=0, **kwargs):
        key, history = model.key, keras.callbacks.History()
        if self.measures:
            self.measured(key)
        row = self.table.rows[key]
        params = {"epochs": epochs, "steps": 1, "verbose": 0}
        calls = keras.callbacks.CallbackList([history, *callbacks], model=model, **params)
        model.stop_training, model._initial_epoch = False, None
        calls.on_train_begin()
        begin = model._initial_epoch or initial_epoch
        self.seconds += self.table.tracing(key)
        for epoch in range(begin, epochs):
            if len(self.trace) >= self.epochs:
                raise Spent
            calls.on_epoch_begin(epoch)
            self.seconds += self.table.seconds(key)
            self.trace.append((len(self.trace) + 1, key, epoch, self.seconds))
            calls.on_epoch_end(epoch, self.logs(key, row["valid"][epoch]))
            if model.stop_training:
                break
        calls.on_train_end()
        return history

    def logs(self, key, accuracy):
        """Return the logs of an epoch."""
        latency = self.table.facts(key)["latency_ms"]
        over = max(0.0, latency / self.table.limit - 1)
        return {
            "val_accuracy": accuracy,
            "val_penalised": accuracy - self.penalty * over,
            "val_latency": latency,
        }


class Stored:
    """Stands in for the device: what the table holds of a network."""

    def __init__(self, replay):
        self.replay = replay

    def measure(self, model):
        facts = self.replay.table.facts(model.key)
        self.replay.measured(model.key)
        return {name: facts[name] for name in ("size_kb", "latency_ms", "memory_mb")}


def replayed(make, table, epochs, folder, seed, **given):
    """Return the trace of a search, and the processor's seconds that it took besides trainings.

    A tuner that finds no new configuration ends before all epochs are spent.

    Args:
        make: Function from a `Replay`, and arguments of a tuner, to the tuner.
        table: A `Table`.
        epochs: Number of epochs to spend.
        folder: Folder of the tuner.
        seed: Its seed.
        **given: Arguments of `Replay`.
    """
    replay = Replay(table, epochs, **given)
    gc.collect()
    gc.freeze()  # or each trial of every tuner walks through all of Keras and TensorFlow
    began = time.process_time()
    tuner = make(replay, directory=str(folder), project_name="replay", overwrite=True, seed=seed)
    said = io.StringIO()  # KerasTuner prints a traceback for every network that a gate fails
    out, err = contextlib.redirect_stdout(said), contextlib.redirect_stderr(said)
    with contextlib.suppress(Spent), out, err:
        tuner.search(verbose=0)
    if not replay.trace:
        raise RuntimeError(f"Nothing was trained: {said.getvalue()[-1000:]}")
    return replay.trace, time.process_time() - began
