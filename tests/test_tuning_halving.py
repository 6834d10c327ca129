"""Halving: who goes on, that a paused training goes on where it stood, and that killed ones do."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest

import tuning
from tests.slow import slow
from tuning import epochs

X = np.linspace(-1, 1, 32, dtype="float32")[:, None]
EPOCHS = 9


def curve(width, epoch):
    """Return a score after an epoch: the widest is best from the second epoch on."""
    return round(width * (1 - 0.5**epoch) - (3 * width if epoch == 1 else 0) / 10, 6)


class Curves(keras.callbacks.Callback):
    """Adds a score to the logs, as a metric of a callback is."""

    def __init__(self, width):
        super().__init__()
        self.width, self.seen = width, []

    def on_epoch_end(self, epoch, logs=None):
        logs["val_score"] = curve(self.width, epoch + 1)


class Space(keras_tuner.HyperModel):
    """Networks of one weight matrix whose score is a formula."""

    def __init__(self, widths=range(1, 10)):
        super().__init__()
        self.widths, self.trained = list(widths), []

    def build(self, hp):
        width = hp.Choice("width", self.widths)
        layers = [keras.layers.Dense(width), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((1,)), *layers])
        model.compile(keras.optimizers.Adam(0.05), loss="mse")
        return model

    def fit(self, hp, model, *args, callbacks=(), **kwargs):
        counter = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self.trained.append((hp["width"], epoch + 1))
        )
        first, *rest = callbacks
        own = [first, Curves(hp["width"]), counter, *rest]
        return model.fit(*args, callbacks=own, **kwargs)


def make(folder, space=None, objectives=None, **kwargs):
    kwargs = {"max_trials": 9, "seed": 0, "sampler": "random", **kwargs}
    objectives = objectives or keras_tuner.Objective("val_score", "max")
    return tuning.ParetoSearch(
        space or Space(), objectives, directory=folder, project_name="p", **kwargs
    )


def run(tuner, epochs=EPOCHS):
    tuner.search(X, X, epochs=epochs, verbose=0)
    return tuner


def test_rungs_and_those_who_pass():
    assert tuning.Halving().rungs(27) == [1, 3, 9]
    assert tuning.Halving(min_epochs=4, factor=2).rungs(33) == [4, 8, 16, 32]
    assert tuning.Halving(min_epochs=5).rungs(5) == []
    halving, points = tuning.Halving(factor=3), [[float(i)] for i in range(7)]
    assert [halving.passes(p, points, ["max"]) for p in points] == [False] * 4 + [True] * 3
    assert [halving.passes(p, points, ["min"]) for p in points] == [True] * 3 + [False] * 4
    both = [[1.0, 1.0], [2.0, 2.0], [0.5, 2.0], [0.4, 3.0]]  # the first two are a front
    assert [halving.passes(p, both, ["max", "min"]) for p in both] == [True, True, False, False]
    for wrong in ({"factor": 1}, {"min_epochs": 0}, {"factor": 2.5}, {"min_epochs": True}):
        with pytest.raises(ValueError, match="must be a whole number from .* Received"):
            tuning.Halving(**wrong)


def test_the_best_is_trained_to_the_end_with_few_epochs(tmp_path):
    space = Space()
    tuner = run(make(tmp_path, space, halving=tuning.Halving()))
    rows = tuner.trials_table()
    by_width = {row["values"]["width"]: row for row in rows}
    assert len(rows) == 9 and len(by_width) == 9
    assert {row["state"] for row in rows} == {"completed", "paused"}
    assert by_width[9]["state"] == "completed" and by_width[9]["epochs"] == EPOCHS
    assert tuner.best().hyperparameters["width"] == 9
    assert all(row["epochs"] in (1, 3, EPOCHS) for row in rows)
    assert len(space.trained) < 0.6 * 9 * EPOCHS
    # Nobody trained an epoch twice: what was paused went on.
    assert len(set(space.trained)) == len(space.trained)
    assert {w: max(e for v, e in space.trained if v == w) for w in range(1, 10)} == {
        w: row["epochs"] for w, row in by_width.items()
    }
    for row in rows:
        assert row["objectives"]["val_score"] == max(
            curve(row["values"]["width"], e) for e in range(1, row["epochs"] + 1)
        )


@slow
def test_every_trial_that_may_go_on_did(tmp_path):
    """When the search ends, no paused trial is among the best of its rung."""
    tuner = run(make(tmp_path, halving=tuning.Halving(factor=2)))
    for row in tuner.trials_table():
        if row["state"] == "paused":
            points = list(tuner.oracle.ledger.points(row["epochs"]).values())
            own = [row["objectives"]["val_score"]]
            assert not tuner.oracle.halving.passes(own, points, ["max"])
    completed = [row for row in tuner.trials_table() if row["state"] == "completed"]
    assert 1 <= len(completed) < 9 and tuner.remaining_trials == 0


def test_weights_of_a_trial_that_was_paused_are_those_of_one_that_was_not(tmp_path):
    """Optimizer and random numbers of dropout go on, too; only batches are mixed anew."""

    def fit(tuner):
        tuner.search(X, X, epochs=EPOCHS, shuffle=False, verbose=0)
        (best,) = [t for t in tuner.oracle.completed() if t.hyperparameters["width"] == 9]
        return tuner.load_model(best).get_weights()

    with_pauses = fit(make(tmp_path / "a", halving=tuning.Halving()))
    without = fit(make(tmp_path / "b"))
    for ours, theirs in zip(with_pauses, without):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_averages_are_the_best_weights_and_what_trains_goes_on(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), loss="mse")
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    keep = epochs.Training(tmp_path, keras_tuner.Objective("loss", "min"))
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_weights())
    )
    model.fit(X, 3 * X, epochs=3, callbacks=keep.around([look, swap]), verbose=0)
    number = epochs.numbers(tmp_path, "state")[-1]
    with np.load(epochs.file_of(tmp_path, "state", number)) as arrays:
        np.testing.assert_array_equal(arrays[arrays.files[0]], seen[number - 1][0])
    model.load_weights(epochs.file_of(tmp_path, "best", number))
    assert abs(model.get_weights()[0] - seen[number - 1][0]) > 1e-3  # the average


@slow
def test_several_objectives_pause_what_is_dominated(tmp_path):
    score = keras_tuner.Objective("val_score", "max")
    tuner = run(make(tmp_path / "a", objectives=[score, "params"], halving=tuning.Halving()))
    # The wider, the better and the larger: a front throughout, of which the ends go on.
    done = [row["values"]["width"] for row in tuner.trials_table() if row["state"] == "completed"]
    assert {1, 9} <= set(done) and 3 <= len(done) < 9
    both = [score, keras_tuner.Objective("params", "max")]
    tuner = run(make(tmp_path / "b", objectives=both, halving=tuning.Halving()))
    states = [row["state"] for row in tuner.trials_table()]
    assert states.count("paused") > 3
    (best,) = tuner.pareto_front()
    assert best.hyperparameters["width"] == 9


@slow
def test_paused_trials_are_judged_by_samplers_and_never_best(tmp_path):
    tuner = run(make(tmp_path, sampler="tpe", halving=tuning.Halving()))
    paused = [row["number"] for row in tuner.trials_table() if row["state"] == "paused"]
    assert paused and all(tuner.oracle.study.trials[n].values for n in paused)
    assert not {int(t.trial_id) for t in tuner.pareto_front()} & set(paused)
    with pytest.raises(ValueError, match="No completed trial"):
        tuner.best(params=3)


def test_a_search_of_the_same_name_does_not_go_on_with_states_of_another(tmp_path):
    space = Space([3])
    folder = tmp_path / "p" / "trial_00000" / "execution_0"
    keep = epochs.Training(folder, keras_tuner.Objective("val_score", "max"))
    model = space.build(keras_tuner.HyperParameters())
    model.fit(X, X, epochs=2, callbacks=keep.around([Curves(3)]), verbose=0)
    run(make(tmp_path, space, max_trials=1))
    assert space.trained == [(3, epoch) for epoch in range(1, EPOCHS + 1)]


def test_a_hypermodel_that_trains_twice_cannot_be_paused(tmp_path):
    class Twice(Space):
        def fit(self, hp, model, *args, **kwargs):
            super().fit(hp, model, *args, **kwargs)
            return super().fit(hp, model, *args, **kwargs)

    with pytest.raises(keras_tuner.errors.FatalValueError, match="is trained by one `fit`"):
        run(make(tmp_path, Twice(), halving=tuning.Halving(factor=2)))


def test_the_page_shows_the_search(tmp_path):
    tuner = run(make(tmp_path, sampler="tpe", halving=tuning.Halving(factor=2)))
    page = Path(tuner.report()).read_text()
    assert Path(tuner.project_dir, "report.html").exists()
    for text in ("Learning curves", "The best: trial", "Trials, a line each", "All candidates"):
        assert f"{text}</h2>" in page or text in page
    assert page.count("<svg") >= 4 and "paused" in page and "width=9" in page
    empty = make(tmp_path / "empty")
    assert "The front" in Path(empty.report(tmp_path / "empty.html")).read_text()


@slow
def test_more_trials_go_on_with_paused_ones(tmp_path):
    run(make(tmp_path, max_trials=4, halving=tuning.Halving()))
    tuner = run(make(tmp_path, max_trials=9, halving=tuning.Halving()))
    best = tuner.best()
    assert best.hyperparameters["width"] == 9 and len(tuner.trials_table()) == 9


@pytest.mark.parametrize("kind", ["unknown", "twice", "executions"])
def test_what_halving_cannot_judge_is_told(tmp_path, kind):
    if kind == "executions":
        with pytest.raises(ValueError, match="is trained once. Received"):
            make(tmp_path, halving=tuning.Halving(), executions_per_trial=2)
        return
    if kind == "unknown":
        with pytest.raises(ValueError, match="`halving` must be a tuning.Halving"):
            make(tmp_path, halving=3)
        return

    class Twice(Space):
        def fit(self, hp, model, *args, **kwargs):
            super().fit(hp, model, *args, **kwargs)
            return super().fit(hp, model, *args, **kwargs)

    space = Twice([5])
    tuner = run(make(tmp_path, space, max_trials=1), epochs=2)
    assert space.trained == [(5, 1), (5, 2)] * 2  # its second training is not taken for the first
    assert tuner.trials_table()[0]["epochs"] == 4


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import keras
from test_tuning_halving import Space, X, make

class Killed(Space):
    def fit(self, hp, model, *args, callbacks=(), **kwargs):
        def kill(epoch, logs):
            if epoch + 1 == 5:
                os.kill(os.getpid(), signal.SIGKILL)
        end = keras.callbacks.LambdaCallback(on_epoch_end=kill)
        return super().fit(hp, model, *args, callbacks=[*callbacks, end], **kwargs)

make(sys.argv[2], Killed([7]), max_trials=1).search(X, X, epochs=9, verbose=0)
"""


def test_a_killed_training_goes_on_from_its_newest_state(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-500:]
    space = Space([7])
    tuner = run(make(tmp_path, space, max_trials=1))
    assert space.trained == [(7, epoch) for epoch in range(6, 10)]
    (row,) = tuner.trials_table()
    assert row["state"] == "completed" and row["epochs"] == EPOCHS
    assert row["objectives"]["val_score"] == curve(7, EPOCHS)
    (folder,) = Path(tuner.project_dir).glob("trial_*/execution_0")
    assert [path.name for path in sorted(folder.iterdir())] == [
        "best_00009.weights.h5",
        "epochs.jsonl",
    ]
    assert tuner.get_best_models()[0].count_params() == 7 * 2 + 8


@pytest.mark.parametrize("cut", range(3))
def test_a_state_and_logs_that_do_not_fit_are_not_taken(tmp_path, cut):
    """What a kill may leave: a state without its line, half a line, half a file."""
    space = Space([3])
    folder = tmp_path / "p" / "trial_00000" / "execution_0"
    model = space.build(keras_tuner.HyperParameters())
    keep = epochs.Training(folder, keras_tuner.Objective("val_score", "max"))
    model.fit(X, X, epochs=2, callbacks=keep.around([Curves(3)]), verbose=0)
    log = folder / epochs.LOG
    lines = log.read_text().splitlines(keepends=True)
    if cut == 0:
        log.write_text(lines[0])
    if cut == 1:
        log.write_text(lines[0] + lines[1][:5])
    if cut == 2:
        (folder / "part_state_00003.npz").write_bytes(b"half")
    again = epochs.Training(folder, keras_tuner.Objective("val_score", "max"))
    other = space.build(keras_tuner.HyperParameters())
    other.fit(X, X, epochs=3, callbacks=again.around([Curves(3)]), verbose=0)
    assert len(again.rows) == 3 and len(epochs.rows_of(folder)) == 3
    assert [row["val_score"] for row in again.rows] == [curve(3, e) for e in (1, 2, 3)]
    assert json.loads(log.read_text().splitlines()[-1]) == again.rows[-1]
    steps = int(other.optimizer.iterations)
    assert steps == 3  # of one batch each, those before included
    assert list(itertools.chain(epochs.numbers(folder, "best"))) == [3]


def test_of_many_equals_no_more_go_on_than_asked():
    points = [(i / 10, float(i)) for i in range(7)]  # none dominates another
    halving = tuning.Halving(factor=3)
    assert halving.passing(points, points, ["max", "min"]).count(True) == 3
    assert halving.passing(points[:1] + points[-1:], points, ["max", "min"]) == [True, True]


def test_failures_with_pauses_between_are_not_in_a_row(tmp_path):
    class Frail(Space):
        def fit(self, hp, model, *args, **kwargs):
            if hp["width"] % 2:
                raise ArithmeticError("odd")
            return super().fit(hp, model, *args, **kwargs)

    tuner = make(tmp_path, Frail(), halving=tuning.Halving(factor=2), seed=1)
    states = [row["state"] for row in run(tuner).trials_table()]
    assert states.count("failed") == 5 and "paused" in states
