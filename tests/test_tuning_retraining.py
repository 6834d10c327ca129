"""Finalists that are trained anew: which trainings go on, and that no score is another call's."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

import tuning

X = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def squared(y, said):
    return keras.ops.mean(keras.ops.square(y - said), axis=-1)


def build(hp):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(hp.Choice("units", [2, 4]))])
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.SGD(0.05), loss=squared)
    return model


def search(folder, seed=0, **kwargs):
    tuner = tuning.ParetoSearch(
        build, "val_loss", max_trials=2, seed=seed, directory=folder, project_name="p", **kwargs
    )
    tuner.search(X, Y, validation_data=(X, Y), verbose=0)
    tuner.progress.verbose = 0
    return tuner


@pytest.fixture(scope="module")
def tuner(tmp_path_factory):
    return search(tmp_path_factory.mktemp("p"))


def losses(tuner, *args, test=(X, Y), trials=None, **kwargs):
    kwargs = {"seeds": 1, "epochs": 1, "trials": trials or tuner.best(), **kwargs}
    (found,) = tuner.retrain(*args, test=test, **kwargs)
    return found.scores["loss"][0]


class Batches(keras.utils.PyDataset):
    """Counts how often it is read."""

    def __init__(self, y):
        super().__init__()
        self.y, self.read = y, 0

    def __len__(self):
        return 2

    def __getitem__(self, i):
        self.read += 1
        return X[16 * i : 16 * i + 16], self.y[16 * i : 16 * i + 16]


def test_what_cannot_be_told_is_trained_anew_unless_it_is_named(tuner):
    one, other, far = Batches(Y), Batches(-Y), Batches(Y + 100)
    first = losses(tuner, one, test=Batches(Y))
    assert losses(tuner, one, test=far) > 100 * first and far.read
    assert losses(tuner, other, test=Batches(Y)) > first
    named = losses(tuner, one, test=Batches(Y), name="sums")
    before = one.read
    assert losses(tuner, one, test=Batches(Y), name="sums") == named and one.read == before
    assert losses(tuner, one, test=Batches(Y), name="other") == named and one.read > before
    still = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    moved = losses(tuner, X, Y)
    assert losses(tuner, X, Y, callbacks=[still]) != moved


def test_finalists_of_another_search_are_not_read(tmp_path):
    first = search(tmp_path)
    trial = sorted(first.oracle.completed(), key=lambda t: t.trial_id)[0]
    mine = losses(first, X, Y, trials=[trial])
    for seed in range(1, 9):
        second = search(tmp_path, seed, overwrite=False, storage=f"{seed}.journal")
        theirs = sorted(second.oracle.completed(), key=lambda t: t.trial_id)[0]
        if theirs.hyperparameters.values != trial.hyperparameters.values:
            break
    (found,) = second.retrain(X, Y, test=(X, Y), trials=[theirs], seeds=1, epochs=1)
    model = keras.saving.load_model(found.files[0], custom_objects={"squared": squared})
    assert model.layers[0].units == found.values["units"] and found.scores["loss"] != [mine]


def test_a_kill_between_two_files_and_half_a_file_train_again(tuner, monkeypatch):
    losses(tuner, X, Y)
    facts = next(Path(tuner.project_dir, "final").rglob("seed_0.json"))
    write = tuning.retraining._write

    def killed(path, kept):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning.retraining, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        losses(tuner, X, Y, epochs=9)
    monkeypatch.setattr(tuning.retraining, "_write", write)
    (found,) = tuner.retrain(X, Y, test=(X, Y), trials=tuner.best(), seeds=1, epochs=1)
    model = keras.saving.load_model(found.files[0], custom_objects={"squared": squared})
    right = float(np.mean(np.square(model.predict(X, verbose=0) - Y)))
    assert found.scores["loss"][0] == pytest.approx(right, rel=1e-4)
    facts.write_text(facts.read_text()[:40])
    assert losses(tuner, X, Y) == pytest.approx(right, rel=1e-4)


def test_a_model_is_kept_before_a_test_that_fails(tuner):
    reads = tuner.oracle.study.user_attrs.get("test_reads", 0)
    with pytest.raises(ValueError):
        losses(tuner, X, Y, test=(X[:, :2], Y), epochs=3)
    assert tuner.oracle.study.user_attrs.get("test_reads", 0) == reads
    facts = next(Path(tuner.project_dir, "final").rglob("seed_0.json"))
    assert "scores" not in json.loads(facts.read_text())
    kept = facts.with_suffix(".keras").stat().st_mtime_ns
    weighed = losses(tuner, X, Y, test=(X, Y, np.eye(1, 32)[0]), epochs=3)
    assert facts.with_suffix(".keras").stat().st_mtime_ns == kept
    assert weighed != losses(tuner, X, Y, epochs=3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"test": [X, Y]}, r"`test` must be \(x, y\).*Received: a list of length 2"),
        ({"test": (X, Y, Y, Y)}, "Received: a tuple of length 4"),
        ({"trials": [3]}, r"completed trials.*Received: \['int'\]"),
    ],
)
def test_wrong_finalists_and_tests_are_told_before_a_training(tuner, wrong, said):
    given = {"test": (X, Y), "trials": tuner.best(), **wrong}
    with pytest.raises(ValueError, match=said):
        tuner.retrain(X, Y, **given)
