"""Finalists of a search: trained anew from several seeds, and tested once."""

import contextlib
import dataclasses
import hashlib
import json
import statistics
import tempfile
import uuid
from pathlib import Path

import keras
import numpy as np
from keras_tuner.engine.trial import Trial

from tuning import device, samplers
from tuning.answers import value
from tuning.epochs import save
from tuning.gate import fresh_model
from tuning.objectives import FACTS
from tuning.processes import all_have, count, is_first
from tuning.settings import check_counts


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
        data: `(x, y)`, `(x, y, sample_weight)` or a data set.
        study: The Optuna study of the search.
        name: See `described`.
    """

    def __init__(self, data, study, name=None):
        self.data, self.study, self.told = data, study, described(data, name)
        self.reads, self.read = study.user_attrs.get("test_reads", 0), False

    def evaluate(self, model):
        """Return the metrics of a model."""
        data = self.data if isinstance(self.data, tuple) else (self.data,)
        given = dict(zip(("x", "y", "sample_weight"), data))
        found = model.evaluate(**given, return_dict=True, verbose=0)
        if not self.read:  # all finalists of one call together are one reading
            self.read, self.reads = True, self.reads + 1
            if is_first():
                self.study.set_user_attr("test_reads", self.reads)
        return {name: float(score) for name, score in found.items()}


def check(trials, test, seeds):
    """Return the finalists, a list; raise where an argument of `retrain` is wrong."""
    check_counts(seeds=seeds)
    trials = [trials] if isinstance(trials, Trial) else list(trials)
    if not trials or not all(isinstance(t, Trial) and t.status == "COMPLETED" for t in trials):
        got = [t.status if isinstance(t, Trial) else type(t).__name__ for t in trials]
        raise ValueError(
            "Finalists are completed trials of the search, such as tuner.pareto_front()[:3]. "
            f"Received: {got or 'none'}."
        )
    if isinstance(test, list) or (isinstance(test, tuple) and len(test) not in (2, 3)):
        raise ValueError(
            "`test` must be (x, y), (x, y, sample_weight) or a data set. Received: "
            f"a {type(test).__name__} of length {len(test)}."
        )
    return trials


@contextlib.contextmanager
def alone(folder):
    """Let one of several workers retrain at a time; those that train together are one."""
    if count() > 1:
        yield
        return
    path = Path(folder, "final", "lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with device.locked(path):
        yield


def retrain(tuner, trial, args, test, seeds, fit, told):
    """Return the `Finalist` of a trial; what is trained already is read.

    Args:
        tuner: The `ParetoSearch`.
        trial: A completed KerasTuner trial.
        args: Positional arguments of `fit`.
        test: The `Test`.
        seeds: Number of trainings.
        fit: Further arguments of `fit`.
        told: What tells `args` and `fit` from those of other calls, as plain data.
    """
    folder = Path(tuner.project_dir, "final", f"trial_{trial.trial_id}")
    folder.mkdir(parents=True, exist_ok=True)
    scores, files = {}, []
    for seed in range(seeds):
        path = folder / f"seed_{seed}.keras"
        found = _trained(tuner, trial, path, args, test, seed, fit, told)
        files.append(str(path))
        for metric, score in found.items():
            scores.setdefault(metric, []).append(score)
    facts = {fact: x for fact in FACTS if (x := value(trial, fact)) is not None}
    values = dict(trial.hyperparameters.values)
    return Finalist(int(trial.trial_id), values, facts, scores, files, test.reads)


def _trained(tuner, trial, path, args, test, seed, fit, told):
    """Return the scores of one training from a seed of its own.

    The model is kept before it is tested, and what it was trained with behind it.
    """
    facts = path.with_suffix(".json")
    born = tuner.oracle.ledger.born(int(trial.trial_id))
    settings = {**described({"trial": born, "seed": tuner.oracle.seed}), **told}
    kept = _read(facts) if path.exists() else {}
    model = None
    if not all_have(kept.get("settings") == settings):
        kept = {"settings": settings}
        if is_first():
            facts.unlink(missing_ok=True)
        model = _fitted(tuner, trial, args, seed, fit)
        _save(model, path)
        if is_first():
            _write(facts, kept)
    if not all_have("scores" in kept and kept["test"] == test.told):
        model = _loaded(tuner, trial, path) if model is None else model
        kept |= {"test": test.told, "scores": test.evaluate(model)}
        if is_first():
            _write(facts, kept)
    return kept["scores"]


def _fitted(tuner, trial, args, seed, fit):
    own = samplers.derived_seed(tuner.oracle.seed, 2**31 + seed)
    model = fresh_model(tuner._build_hypermodel, trial.hyperparameters, own)
    options = {**fit, "callbacks": tuner._deepcopy_callbacks(fit.get("callbacks") or [])}
    tuner.hypermodel.fit(trial.hyperparameters, model, *args, **options)
    return model


def _save(model, path):
    """Keep a model; processes that trained it together must read its weights together."""
    if is_first():
        save(path, lambda part: keras.saving.save_model(model, part))
        return
    with tempfile.TemporaryDirectory() as folder:
        keras.saving.save_model(model, Path(folder, path.name))


def _loaded(tuner, trial, path):
    """Return a kept model, compiled as the space does: a loss may be a plain function."""
    model = fresh_model(tuner._build_hypermodel, trial.hyperparameters)
    if not model.built:
        return keras.saving.load_model(path)
    if model.optimizer is not None:
        model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    return model


def _read(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):  # not there, or cut off
        return {}


def _write(path, facts):
    save(path, lambda part: part.write_text(json.dumps(facts)))


def described(given, name=None):
    """Return what a training is given as plain data, equal only where what is given is equal.

    Args:
        given: Plain values and arrays, which are told by their content, in tuples, lists and
            dicts. Anything else is unlike all others, or, with a name, told by it.
        name: The name.
    """
    if isinstance(given, (bool, int, float, str, type(None))):
        return given
    if isinstance(given, dict):
        return {str(key): described(value, name) for key, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [described(value, name) for value in given]
    kind = type(given).__name__
    if not hasattr(given, "__array__"):
        return [kind, uuid.uuid4().hex if name is None else f"named {name}"]
    array = np.ascontiguousarray(given)
    content = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
    return [kind, str(array.dtype), *array.shape, hashlib.sha256(content).hexdigest()[:16]]
