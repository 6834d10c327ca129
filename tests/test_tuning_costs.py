"""What models cost: measured, remembered, foretold; and budgets that are kept by it."""

import math

import keras
import keras_tuner
import numpy as np
import pytest

import export
import heads
import tuning
from tests.slow import slow
from tuning import device
from tuning.device import Device, architecture
from tuning.predictor import LEAST, Predictor, features

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a file is made on the TensorFlow backend"
)
WIDTHS = list(range(1, 41))


class Formula(keras_tuner.HyperModel):
    """One hidden layer, whose width is its score: nothing is trained."""

    def build(self, hp):
        width, rate = hp.Choice("width", WIDTHS), hp.Choice("rate", [0.1, 0.5])
        layers = [keras.layers.Dense(width), keras.layers.Dropout(rate), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((3,)), *layers])
        model.compile(loss="mse")
        return model

    def fit(self, hp, model, *args, **kwargs):
        return {"val_accuracy": hp["width"] / 100}


def cost(width):
    return 0.01 * (width + 1) ** 1.1


@pytest.fixture
def measured(monkeypatch):
    """Return the widths that are measured, by a formula instead of a file."""
    seen = []

    def measure(self, model):
        width = model.layers[0].units
        seen.append(width)
        return {"size_kb": width * 1.0, "latency_ms": cost(width), "memory_mb": 12.0}

    monkeypatch.setattr(Device, "measure", measure)
    return seen


def search(folder, objectives="val_accuracy", **kwargs):
    kwargs = {"sampler": "random", "seed": 0, "max_trials": 10, **kwargs}
    tuner = tuning.ParetoSearch(Formula(), objectives, directory=folder, project_name="p", **kwargs)
    tuner.search(verbose=kwargs.pop("verbose", 0))
    return tuner


def test_what_is_over_the_budget_is_refused_and_not_trained(tmp_path, measured):
    tuner = search(tmp_path, budget=tuning.Budget(latency_ms=cost(12)), max_trials=8)
    rows = tuner.trials_table()
    for row in rows:
        width = row["values"]["width"]
        assert (row["state"] == "completed") == (width <= 12)
        if row["state"] == "completed":
            assert row["latency_ms"] == cost(width) and row["gate_seconds"] <= row["seconds"]
        else:
            assert "latency_ms" in row["reason"] and f"over {cost(12):,}" in row["reason"]
    assert tuner.best(latency_ms=cost(7)).hyperparameters["width"] <= 7
    # The same network is measured once, whatever else differs.
    assert len(measured) == len(set(measured))
    constraints = [t.constraints for t in tuner.oracle.study.trials if t.constraints]
    assert any(c["latency_ms"] > 0 for c in constraints)
    assert any(c["latency_ms"] <= 0 for c in constraints)


@slow
def test_most_of_what_is_too_slow_is_foretold(tmp_path, measured, capsys):
    budget = tuning.Budget(latency_ms=cost(8))
    tuner = search(tmp_path, budget=budget, max_trials=14)
    rows = tuner.trials_table()
    foretold = [row for row in rows if row["foretold"]]
    assert len(foretold) > 5 and tuner.costs.foretold == len(foretold)
    for row in foretold:
        assert row["state"] == "refused" and row["latency_ms"] is None
        assert row["values"]["width"] > 8 and "latency_ms about" in row["reason"]
        assert row["foretold"]["latency_ms"] == pytest.approx(cost(row["values"]["width"]), rel=0.2)
    # Whatever is trained was measured.
    assert all(row["latency_ms"] for row in rows if row["state"] == "completed")
    assert len(measured) < len({row["values"]["width"] for row in rows})
    said = tuner.costs.summary()
    assert f"{len(measured)} models measured" in said and "latency_ms foretold within" in said


def test_a_search_that_goes_on_measures_nothing_twice(tmp_path, measured):
    budget = tuning.Budget(latency_ms=1.0)
    search(tmp_path, budget=budget, max_trials=5)
    before = list(measured)
    tuner = search(tmp_path, budget=budget, max_trials=10)
    assert len(tuner.trials_table()) == 10
    assert not set(before) & set(measured[len(before) :])
    with pytest.raises(ValueError, match="begun with.*'precision': 'int8'.*'float32'"):
        search(tmp_path, budget=tuning.Budget(latency_ms=1.0, precision="int8"))


def test_costs_are_objectives(tmp_path, measured):
    tuner = search(tmp_path, ["val_accuracy", "latency_ms", "size_kb"], max_trials=6)
    assert len(tuner.pareto_front()) == 6  # the wider, the better and the slower
    assert all(row["objectives"]["latency_ms"] == row["latency_ms"] for row in tuner.trials_table())
    assert not tuner.costs.foretold


def test_a_budget_that_nothing_keeps_names_what_is_to_blame(tmp_path, measured):
    budget = tuning.Budget(params=10**6, latency_ms=1e-4)
    assert repr(budget) == "Budget(params=1000000, latency_ms=0.0001)"
    with pytest.raises(ValueError, match=r"\(latency_ms 20 times\).*the nearest"):
        search(tmp_path, budget=budget, max_consecutive_refused=20)


def test_a_model_that_cannot_be_measured_is_a_failed_trial(tmp_path, monkeypatch):
    def measure(self, model):
        raise export.ExportError("no such operation")

    monkeypatch.setattr(Device, "measure", measure)
    with pytest.raises(RuntimeError, match="no such operation"):
        search(tmp_path, budget=tuning.Budget(latency_ms=1.0), max_consecutive_failed_trials=2)


@on_tensorflow
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_facts_are_those_of_the_file(tmp_path, precision):
    image = keras.Input((8, 8, 3), name="image")
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(image))
    model = heads.attach(keras.Model(image, features), heads.ClassificationHead(5))
    found = Device(precision).measure(model)
    path = tmp_path / "model.tflite"
    samples = np.random.default_rng(0).normal(size=(60, 8, 8, 3)).astype("float32")
    options = {"tolerance": {"sqnr_db": 1.0, "agreement": 0.0}} if precision == "int8" else {}
    bundle = export.to_tflite(
        heads.deploy(model), path, precision, calibration=samples, measure=False, **options
    )
    assert found["size_kb"] == pytest.approx(bundle.size / 1e3, rel=0.02)
    assert 0 < found["latency_ms"] < 50 and 1 < found["memory_mb"] < 60
    budget = tuning.Budget(size_kb=found["size_kb"] / 2, precision=precision)
    facts, violations = budget.check(model)
    assert set(violations) == {"size_kb"} and facts["size_kb"] == found["size_kb"]
    # Without the head's answer it is another file.
    raw = Device(precision, answer=lambda model: model).measure(model)
    assert raw["size_kb"] != found["size_kb"]


@slow
@on_tensorflow
def test_a_search_measures_files(tmp_path):
    tuner = search(tmp_path, ["val_accuracy", "size_kb"], max_trials=3)
    for row in tuner.trials_table():
        assert 0 < row["latency_ms"] < 10 and row["size_kb"] > row["params"] * 4 / 1e3


def dense(width, rate=0.1, activation="relu", seed=None):
    keras.backend.clear_session(free_memory=False)  # as a search does, so that names are alike
    layers = [keras.layers.Dense(width, activation), keras.layers.Dropout(rate, seed=seed)]
    return keras.Sequential([keras.Input((4,)), *layers])


def test_an_architecture_is_what_costs_the_same():
    same = architecture(dense(8))
    assert architecture(dense(8, rate=0.5, seed=3)) == same
    assert len({same, architecture(dense(9)), architecture(dense(8, activation="gelu"))}) == 3
    model = dense(8)
    model.compile(keras.optimizers.SGD(0.3), loss="mae")
    assert architecture(model) == same

    class Own(keras.Model):
        def get_config(self):
            raise NotImplementedError

    assert architecture(Own()) is None


def test_a_prediction_finds_a_law_and_tells_its_error():
    rng = np.random.default_rng(0)
    rows = [features(export.measure(dense(width)).layers) for width in range(2, 60)]
    exact = np.array([math.exp(0.8 * row[2]) for row in rows])
    noisy = exact * np.exp(0.1 * rng.normal(size=len(rows)))
    predictor = Predictor(rows[::2], noisy[::2])
    assert predictor.error == pytest.approx(0.1, rel=0.5)
    for row, true in zip(rows[1::2], exact[1::2]):
        assert predictor.predict(row) == pytest.approx(true, rel=0.2)
        assert predictor.least(row) < true
    # The error is that of leaving each out.
    left = [
        Predictor(rows[:i] + rows[i + 1 :], np.delete(noisy, i)).predict(rows[i])
        for i in range(len(rows))
    ]
    root = np.sqrt(np.mean((np.log(left) - np.log(noisy)) ** 2))
    assert Predictor(rows, noisy).error == pytest.approx(root, rel=0.1)
    assert LEAST > len(rows[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"latency_ms": 0},
        {"size_kb": float("nan")},
        {"memory_mb": "1"},
        {"precision": "int4"},
        {"threads": 0},
        {"threads": 1.5},
    ],
)
def test_a_wrong_budget_is_told(wrong):
    with pytest.raises(ValueError, match="Received"):
        tuning.Budget(**wrong)


def test_an_answer_must_be_a_function(tmp_path):
    with pytest.raises(ValueError, match="`answer` must be a function"):
        tuning.ParetoSearch(Formula(), directory=tmp_path, answer="deploy")


def test_one_process_measures_at_a_time(tmp_path):
    """The lock is taken by file, so that a second `with` in another process waits."""
    import subprocess
    import sys
    import time

    script = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); import fcntl, tempfile, pathlib; "
        "file = open(pathlib.Path(tempfile.gettempdir(), 'keras_blocks_measure.lock'), 'a'); "
        "fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True); time.sleep(1)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip() == "held"
    began = time.perf_counter()
    with device.alone():
        waited = time.perf_counter() - began
    process.communicate()
    assert waited > 0.5


def test_features_tell_kinds_of_layers_apart():
    image = keras.Input((8, 8, 4))
    convolution = keras.Model(image, keras.layers.Conv2D(4, 3)(image))
    depthwise = keras.Model(image, keras.layers.DepthwiseConv2D(3)(image))
    rows = [features(export.measure(model).layers) for model in (convolution, depthwise)]
    (dense_depthwise, dense_convolution), (own, none) = (row[:2] for row in rows)
    assert dense_depthwise == 0 < dense_convolution and own > 0 == none
