"""The searches that are compared, each a function from a space to a tuner."""

import keras_tuner

import tuning
from benchmarks.search.replay import Stored
from benchmarks.search.table import EPOCHS

MANY = 100_000  # trials, and failures in a row: epochs are what ends a search
ACCURACY = keras_tuner.Objective("val_accuracy", "max")
PENALISED = keras_tuner.Objective("val_penalised", "max")
BOTH = [ACCURACY, keras_tuner.Objective("val_latency", "min")]
PENALTY = 1.0  # a network of twice the latency loses all of its accuracy


def peer(kind, objective, **own):
    class Peer(kind):
        def _configure_tensorboard_dir(self, *args):
            """Do nothing: it imports tensorboard, which TensorFlow no longer installs."""

    own |= {"objective": objective, "max_consecutive_failed_trials": MANY}
    return lambda replay, **given: Peer(replay, **own, **given)


def random(objective):
    return peer(keras_tuner.RandomSearch, objective, max_trials=MANY)


def bayesian(objective):
    return peer(keras_tuner.BayesianOptimization, objective, max_trials=MANY)


def hyperband(objective):
    own = {"max_epochs": EPOCHS, "factor": 3, "hyperband_iterations": MANY}
    return peer(keras_tuner.Hyperband, objective, **own)


def pareto(objectives="val_accuracy", gate=True, halving=True, sampler="tpe"):
    def make(replay, **given):
        limit = tuning.Budget(latency_ms=replay.table.limit) if gate else None
        judge = tuning.Halving(min_epochs=1, factor=3) if halving else None
        search = tuning.ParetoSearch(
            replay,
            objectives,
            budget=limit,
            halving=judge,
            sampler=sampler,
            max_trials=MANY,
            max_consecutive_refused=MANY,
            **given,
        )
        search.costs.device = Stored(replay)
        return search

    return make


GATE, PENALISE, MEASURES = {"gate": True}, {"penalty": PENALTY}, {"measures": True}
UNDER_LIMIT = {  # best accuracy under the limit: what makes the tuner, and what its space does
    "RandomSearch": (random(ACCURACY), {}),
    "BayesianOptimization": (bayesian(ACCURACY), {}),
    "Hyperband": (hyperband(ACCURACY), {}),
    "RandomSearch, gate": (random(ACCURACY), GATE),
    "BayesianOptimization, gate": (bayesian(ACCURACY), GATE),
    "Hyperband, gate": (hyperband(ACCURACY), GATE),
    "RandomSearch, penalty": (random(PENALISED), PENALISE),
    "BayesianOptimization, penalty": (bayesian(PENALISED), PENALISE),
    "Hyperband, penalty": (hyperband(PENALISED), PENALISE),
    "ParetoSearch, random": (pareto(halving=False, sampler="random"), {}),
    "ParetoSearch": (pareto(halving=False), {}),
    "ParetoSearch, halving": (pareto(), {}),
}
FRONT = {  # area under the front
    "RandomSearch": UNDER_LIMIT["RandomSearch"],
    "BayesianOptimization": UNDER_LIMIT["BayesianOptimization"],
    "BayesianOptimization, both": (bayesian(BOTH), MEASURES),
    "Hyperband": UNDER_LIMIT["Hyperband"],
    "Hyperband, both": (hyperband(BOTH), MEASURES),
    "ParetoSearch": (pareto(["val_accuracy", "latency_ms"], False, False), {}),
    "ParetoSearch, halving": (pareto(["val_accuracy", "latency_ms"], False), {}),
}
