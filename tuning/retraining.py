"""Finalists of a search: trained anew from several seeds, and tested once."""

import dataclasses
import hashlib
import json
import statistics
from pathlib import Path

import keras
import numpy as np

from tuning import samplers
from tuning.answers import value
from tuning.epochs import save
from tuning.gate import fresh_model
from tuning.objectives import FACTS
from tuning.processes import all_have, is_first


@dataclasses.dataclass
class Finalist:
    """A configuration that was trained anew.

    Attributes:
        number: Number of its trial.
        values: Its hyperparameters.
        facts: What its model costs.
        scores: For each metric of the test, a value of every seed.
        files: The `.keras` file of every seed.
        test_reads: How often this search has read a test, this time included.
    """

    number: int
    values: dict
    facts: dict
    scores: dict
    files: list
    test_reads: int

    @property
    def mean(self) -> dict:
        """The mean of each metric over the seeds."""
        return {name: statistics.mean(x) for name, x in self.scores.items()}

    @property
    def spread(self) -> dict:
        """The standard deviation of each metric over the seeds, 0 of one seed."""
        return {n: statistics.stdev(x) if len(x) > 1 else 0.0 for n, x in self.scores.items()}

    def __str__(self):
        seeds = len(self.files)
        scores = (f"{name} {x:.4f} ± {self.spread[name]:.4f}" for name, x in self.mean.items())
        return f"trial {self.number}, {seeds} seeds: {', '.join(scores)}"


class Test:
    """The test data of a search, which counts in its store how often it is read.

    Args:
        data: `(x, y)`, or what `evaluate` takes.
        study: The Optuna study of the search.
    """

    def __init__(self, data, study):
        self.data, self.study = data if isinstance(data, tuple) else (data,), study
        self.reads, self.read = study.user_attrs.get("test_reads", 0), False

    def evaluate(self, model):
        """Return the metrics of a model."""
        if not self.read:  # all finalists of one call together are one reading
            self.read, self.reads = True, self.reads + 1
            if is_first():
                self.study.set_user_attr("test_reads", self.reads)
        found = model.evaluate(*self.data, return_dict=True, verbose=0)
        return {name: float(score) for name, score in found.items()}


def retrain(tuner, trial, args, test, seeds, fit):
    """Return the `Finalist` of a trial; what is trained already is read.

    Args:
        tuner: The `ParetoSearch`.
        trial: A completed KerasTuner trial.
        args: Positional arguments of `fit`.
        test: The `Test`.
        seeds: Number of trainings.
        fit: Further arguments of `fit`.
    """
    folder = Path(tuner.project_dir, "final", f"trial_{trial.trial_id}")
    folder.mkdir(parents=True, exist_ok=True)
    scores, files = {}, []
    for seed in range(seeds):
        path = folder / f"seed_{seed}.keras"
        found = _trained(tuner, trial, path, args, test, seed, fit)
        files.append(str(path))
        for name, score in found.items():
            scores.setdefault(name, []).append(score)
    facts = {name: x for name in FACTS if (x := value(trial, name)) is not None}
    values = dict(trial.hyperparameters.values)
    return Finalist(int(trial.trial_id), values, facts, scores, files, test.reads)


def _trained(tuner, trial, path, args, test, seed, fit):
    """Return the scores of one training from a seed of its own."""
    facts = path.with_suffix(".json")
    settings = described({"fit": fit, "args": args})
    asked = described(test.data)
    kept = json.loads(facts.read_text()) if path.exists() and facts.exists() else {}
    if all_have(kept.get("settings") == settings):
        if not all_have(kept["test"] == asked):
            kept |= {"test": asked, "scores": test.evaluate(keras.saving.load_model(path))}
            if is_first():
                facts.write_text(json.dumps(kept))
        return kept["scores"]
    own = samplers.derived_seed(tuner.oracle.seed, 2**31 + seed)
    model = fresh_model(tuner._build_hypermodel, trial.hyperparameters, own)
    options = {**fit, "callbacks": tuner._deepcopy_callbacks(fit.get("callbacks") or [])}
    tuner.hypermodel.fit(trial.hyperparameters, model, *args, **options)
    found = test.evaluate(model)
    if is_first():
        save(path, lambda part: keras.saving.save_model(model, part))
        facts.write_text(json.dumps({"settings": settings, "test": asked, "scores": found}))
    return found


def described(given):
    """Return what a training is given as plain data; of arrays, what tells their contents apart."""
    if isinstance(given, (bool, int, float, str, type(None))):
        return given
    if isinstance(given, dict):
        return {str(name): described(value) for name, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [described(value) for value in given]
    try:
        array = np.ascontiguousarray(given)
    except Exception:  # a data set or an object, which is told by its kind alone
        array = np.empty(0, object)
    kind = type(given).__name__
    if array.dtype == object:
        return [kind]
    return [kind, *array.shape, hashlib.sha256(array.tobytes()).hexdigest()[:16]]
