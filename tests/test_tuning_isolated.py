"""Trials in processes of their own: the same results, and what becomes of those that die."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest

import tuning
from tests.slow import slow
from tuning import epochs

pytest.importorskip("cloudpickle", reason="needs cloudpickle: pip install cloudpickle")

X = np.linspace(-1, 1, 32, dtype="float32")[:, None]


def build(hp):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(hp.Int("width", 1, 4))])
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    return model


class Odd(keras_tuner.HyperModel):
    """Asks for a batch size in `fit`; dies, fails or never ends at some widths."""

    def __init__(self, dies=(), fails=(), sleeps=()):
        super().__init__()
        self.dies, self.fails, self.sleeps = dies, fails, sleeps

    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *args, **kwargs):
        if hp["width"] in self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        if hp["width"] in self.fails:
            raise ArithmeticError("no such width")
        if hp["width"] in self.sleeps:
            Path(args[0]).write_text(str(os.getpid()))
            time.sleep(60)
        return model.fit(X, X, batch_size=hp.Choice("batch", [4, 8]), **kwargs)


class TensorBoard(keras.callbacks.Callback):
    """Says where Keras's own of this name, which needs a package, would write."""

    def __init__(self, log_dir):
        super().__init__()
        self.log_dir = log_dir

    def on_train_end(self, logs=None):
        Path(self.log_dir).mkdir(parents=True)


def search(folder, model, *args, isolate=True, callbacks=None, **kwargs):
    kwargs = {"max_trials": 2, "seed": 0, "sampler": "random", **kwargs}
    tuner = tuning.ParetoSearch(
        model, "loss", directory=folder, project_name="p", isolate=isolate, **kwargs
    )
    tuner.search(*args, epochs=3, verbose=0, callbacks=callbacks)
    return tuner


def test_results_are_those_of_one_process(tmp_path):
    tables = []
    for isolate in (True, False):
        logs = [TensorBoard(str(tmp_path / "logs"))] if isolate else None
        tuner = search(tmp_path / str(isolate), Odd(), isolate=isolate, callbacks=logs)
        names = ("values", "objectives", "params", "state", "epochs")
        tables.append([{name: row[name] for name in names} for row in tuner.trials_table()])
    ours, theirs = tables
    for a, b in zip(ours, theirs):
        assert a["objectives"] == pytest.approx(b.pop("objectives"), rel=1e-5)
        assert {**a, "objectives": None} == {**b, "objectives": None}
        assert set(a["values"]) == {"width", "batch"} and a["epochs"] == 3
    params = {row["params"] for row in tuner.trials_table()}
    assert tuner.get_best_models()[0].count_params() in params
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("logs/*/*"))
    assert written == ["logs/00000/execution0", "logs/00001/execution0"]


@slow
def test_a_process_that_dies_costs_one_trial(tmp_path):
    widths = [1, 2, 3, 4]
    tuner = search(
        tmp_path,
        Odd(dies=widths[:2], fails=widths[2:3]),
        max_trials=4,
        seed=3,
        max_consecutive_failed_trials=9,
    )
    for row in tuner.trials_table():
        width, expected = row["values"]["width"], "completed"
        if width < 4:
            expected = "failed"
            said = "SIGKILL, as when memory runs out" if width < 3 else "ArithmeticError: no such"
            assert said in row["reason"]
        assert row["state"] == expected
    assert {"failed"} < {row["state"] for row in tuner.trials_table()}


@slow
def test_halving_is_asked_across_the_processes(tmp_path):
    halving = tuning.Halving(min_epochs=1, factor=2)
    tuner = search(tmp_path, Odd(), halving=halving, max_trials=3)
    rows = tuner.trials_table()
    assert {row["state"] for row in rows} <= {"completed", "paused"}
    assert all(row["epochs"] in (1, 2, 3) for row in rows) and len(rows) == 3
    assert len(tuner.oracle.ledger.points(1)) == 3


def test_what_cannot_go_to_another_process_is_told(tmp_path):
    lines = (line for line in "ab")
    with pytest.raises(ValueError, match="With isolate=True all that the search is given"):
        search(tmp_path, Odd(), lines)


def test_methods_that_would_not_be_called_are_told(tmp_path):
    class Watching(tuning.ParetoSearch):
        def on_epoch_end(self, *args, **kwargs):
            raise AssertionError

    with pytest.raises(ValueError, match="and on_epoch_end of Watching"):
        Watching(build, "loss", directory=tmp_path, isolate=True)


@slow
def test_a_model_must_be_compiled_there_too(tmp_path):
    def raw(hp):
        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(hp.Int("width", 1, 4))])

    with pytest.raises(keras_tuner.errors.FatalError, match="not compiled"):
        search(tmp_path, raw)


@slow
def test_a_child_ends_with_the_search(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_tuning_isolated as t; "
        "t.search(sys.argv[2], t.Odd(sleeps=[1, 2, 3, 4]), sys.argv[3])"
    )
    path = tmp_path / "pid"
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path), str(path)]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})
    for _ in range(1200):
        if path.exists() and path.read_text():
            break
        time.sleep(0.1)
    child = int(path.read_text())
    process.kill()
    process.wait()
    for _ in range(100):
        if not Path(f"/proc/{child}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()


@slow
def test_several_trainings_of_a_trial_start_apart_and_alike_in_both_ways(tmp_path):
    found = []
    for isolate in (True, False):
        folder = tmp_path / str(isolate)
        search(folder, Odd(), isolate=isolate, max_trials=1, executions_per_trial=2)
        logs = sorted(folder.rglob("execution_*"))
        found.append([epochs.rows_of(log)[-1]["loss"] for log in logs])
    (first, second), theirs = found
    assert abs(first - second) > 1e-6 and theirs == pytest.approx([first, second], rel=1e-4)
