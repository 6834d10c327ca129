"""What a search costs besides its trainings: `python -m benchmarks.search_overhead [part …]`.

Trials train nothing (`fit` of a HyperModel returns a number) or, for memory, one epoch on
scikit-learn's digits. Every figure is of a process of its own.

- `trial`: seconds a trial of each tuner, over 60 trials, ours beside KerasTuner's.
- `gates`: seconds of each gate for a network of `image_space`.
- `workers`: trials of half a second by 1, 2 and 4 workers on one store, what each takes longer.
- `thousand`: seconds a trial with 1,000 finished trials in the store.
- `memory`: megabytes of the process after 10 and 100 trials, with and without `isolate`.
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import statistics
import tempfile
import time

from benchmarks.kept import Kept, check_names, table

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

TRIALS, SECONDS = 60, 0.5
MANY = 100_000


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_overhead")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; by default all")
    parser.add_argument("--again", action="store_true", help="measure what is kept, too")
    given = parser.parse_args()
    check_names(parser, given.parts, PARTS)
    kept = Kept("search_overhead")
    for part in given.parts or PARTS:
        header, cases, measure = PARTS[part]
        print()
        table(header, (row(kept, part, case, measure, given.again) for case in cases))


def row(kept, part, case, measure, again):
    name = f"{part} {case}"
    if again or name not in kept.all():
        kept.add({"name": name, "cells": alone(measure, *case)})
    return [", ".join(map(str, case)), *kept.all()[name]["cells"]]


def alone(function, *args):
    """Return what a function returns in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *args).result()


def space(train):
    """Return a HyperModel of small dense networks; `train` gives what its `fit` returns."""
    import keras
    import keras_tuner

    class Space(keras_tuner.HyperModel):
        def build(self, hp):
            model = keras.Sequential([keras.Input((64,))])
            for i in range(hp.Int("depth", 1, 3)):
                model.add(keras.layers.Dense(hp.Int(f"units{i}", 8, 128)))
            model.add(keras.layers.Dense(10, "softmax"))
            rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
            loss = "sparse_categorical_crossentropy"
            optimizer = keras.optimizers.Adam(rate)
            model.compile(optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)
            return model

        def fit(self, hp, model, *args, **kwargs):
            return train(hp)

    return Space()


def score(hp):
    """Return an accuracy that a sampler can learn."""
    return {"val_accuracy": 1 - 0.1 * abs(hp.get("depth") - 2) - abs(hp.get("rate") - 0.01)}


def pareto(hypermodel, folder, **given):
    import tuning

    given = {"max_trials": MANY, "directory": folder, "seed": 0, **given}
    return tuning.ParetoSearch(hypermodel, "val_accuracy", **given)


def seconds_a_trial(name, sampler):
    """Return the median seconds of a trial, of the first and of the last third."""
    import keras_tuner

    from benchmarks.search.searchers import peer

    ends = []

    def train(hp):
        ends.append(time.perf_counter())
        return score(hp)

    with tempfile.TemporaryDirectory() as folder:
        if name == "ParetoSearch":
            tuner = pareto(space(train), folder, max_trials=TRIALS, sampler=sampler)
        else:
            kind, own = getattr(keras_tuner, name), {"max_trials": TRIALS}
            tuner = peer(kind, "val_accuracy", **own)(space(train), directory=folder, seed=0)
        tuner.search(verbose=0)
    each = [after - before for before, after in zip(ends, ends[1:])]
    third = len(each) // 3
    return [f"{statistics.median(part):.3f}" for part in (each[:third], each[-third:])]


def gate(limits):
    """Return the seconds of judging a network by such a budget, the median of ten."""
    import tuning

    space = tuning.image_space((32, 32, 3), 10)
    names = limits.split()
    with tempfile.TemporaryDirectory() as folder:
        tuner = pareto(space, folder, budget=tuning.Budget(**dict.fromkeys(names, 1e9)))
        found = []
        for _ in range(10):
            trial = tuner.oracle.propose(True)
            model = space(trial.hyperparameters)
            began = time.perf_counter()
            tuner.costs.judge(tuner.oracle.running[trial.trial_id], model)
            found.append(time.perf_counter() - began)
            tuner.oracle.end(trial, "refused", "measured alone")
    return [f"{statistics.median(found):.2f}", f"{max(found):.2f}"]


def work(storage, folder):
    """Search as one of several workers; return when each of its trainings began."""
    ends = []

    def train(hp):
        ends.append(time.perf_counter())
        time.sleep(SECONDS)
        return score(hp)

    tuner = pareto(space(train), folder, max_trials=TRIALS, storage=storage, sampler="random")
    tuner.search(verbose=0)
    return ends


def workers(kind, count):
    """Return the trials a second of so many workers, and what each takes beside its training."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        storage = None if kind == "sqlite" else os.path.join(folder, "search.journal")
        with concurrent.futures.ProcessPoolExecutor(count, mp_context=spawn) as pool:
            jobs = [pool.submit(work, storage, folder) for _ in range(count)]
            every = [job.result() for job in jobs]
    begins = max(ends[0] for ends in every)  # when the last of them had begun
    last = max(ends[-1] for ends in every)
    trials = sum(begins < end <= last for ends in every for end in ends)
    rate = trials / (last - begins)
    return [f"{rate:.2f}", f"{count / rate - SECONDS:.3f}"]


def thousand(sampler):
    """Return the seconds of a trial in a store of 1,000, and those of opening it."""
    ends = []

    def train(hp):
        ends.append(time.perf_counter())
        return score(hp)

    with tempfile.TemporaryDirectory() as folder:
        pareto(space(score), folder, max_trials=1000, sampler="random").search(verbose=0)
        began = time.perf_counter()
        tuner = pareto(space(train), folder, max_trials=1020, sampler=sampler)
        opened = time.perf_counter() - began
        tuner.search(verbose=0)
    each = [after - before for before, after in zip(ends, ends[1:])]
    return [f"{statistics.median(each):.3f}", f"{opened:.2f}"]


def dense(hp):
    """Return a compiled network for the digits, of one of many sizes."""
    return space(None).build(hp)


def memory(isolate):
    """Return the megabytes of this process after 10 and after 100 trials of one epoch."""
    from sklearn.datasets import load_digits

    from benchmarks.search_overhead import dense  # by its name in every process

    x, y = load_digits(return_X_y=True)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for trials in (10, 100):
            tuner = pareto(dense, folder, max_trials=trials, isolate=isolate, sampler="random")
            tuner.search(x[:256], y[:256], validation_data=(x[256:512], y[256:512]), verbose=0)
            found.append(resident())
    return [f"{megabytes:.0f}" for megabytes in found]


def resident():
    """Return the megabytes that this process holds (Linux)."""
    with open("/proc/self/status") as file:
        (line,) = [x for x in file if x.startswith("VmRSS")]
    return int(line.split()[1]) / 1e3


TUNERS = [
    ("ParetoSearch", "tpe"),
    ("ParetoSearch", "random"),
    ("BayesianOptimization", "its own"),
    ("RandomSearch", "its own"),
]
GATES = [
    ("params",),
    ("macs",),
    ("size_kb",),
    ("latency_ms",),
    ("params macs size_kb latency_ms memory_mb",),
]
PARTS = {
    "trial": (["tuner, sampler", "first 20 trials", "last 20"], TUNERS, seconds_a_trial),
    "gates": (["limits", "seconds", "the most"], GATES, gate),
    "workers": (
        ["store, workers", "trials a second", "seconds a trial beside training"],
        [(kind, count) for kind in ("sqlite", "journal") for count in (1, 2, 4)],
        workers,
    ),
    "thousand": (
        ["sampler", "seconds a trial", "seconds to open"],
        [("random",), ("tpe",)],
        thousand,
    ),
    "memory": (["isolate", "MB after 10 trials", "after 100"], [(False,), (True,)], memory),
}


if __name__ == "__main__":
    main()
