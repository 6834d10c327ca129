"""What a search keeps when its process dies, is interrupted, or is not alone."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from test_tuning_search import Formula, WithBuild, dense_model, search, values

import tuning
from tuning import store, workers
from tuning.outcomes import outcome

ROOT = Path(__file__).parents[1]

SCRIPT = '''
import sys
import time

import keras
import numpy as np

import tuning


def build(hp):
    model = keras.Sequential([keras.Input((2,))])
    model.add(keras.layers.Dense(hp.Int("units", 1, 64), activation="relu"))
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1, sampling="log")), loss="mse")
    return model


class Wait(keras.callbacks.Callback):
    """Holds the second trial in its second epoch, to be killed there."""

    def __init__(self, tuner):
        super().__init__()
        self.tuner = tuner

    def __deepcopy__(self, memo):
        return self

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and len(self.tuner.oracle.start_order) == 2:
            print("second trial", flush=True)
            time.sleep(600)


def run(folder, callbacks=()):
    tuner = tuning.ParetoSearch(build, "val_loss", max_trials=3, seed=7, directory=folder)
    x = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
    callbacks = [make(tuner) for make in callbacks]
    data = {"x": x, "y": x[:, :1], "validation_data": (x, x[:, :1])}
    tuner.search(**data, epochs=2, verbose=0, callbacks=callbacks)
    return tuner


if __name__ == "__main__":
    run(sys.argv[1], [Wait])
'''


def test_a_killed_search_ends_as_if_it_had_not_been_killed(tmp_path, monkeypatch):
    (tmp_path / "story.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    import story

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "story.py", "killed"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout.readline() == b"second trial\n"
        child.send_signal(signal.SIGKILL)
    before = tuning.ParetoSearch(
        story.build, "val_loss", max_trials=3, seed=7, directory=tmp_path / "killed"
    )
    states = [row["state"] for row in before.trials_table()]
    assert states == ["completed", "running"]

    killed, whole = story.run(tmp_path / "killed"), story.run(tmp_path / "whole")
    assert [row["state"] for row in killed.trials_table()] == ["completed"] * 3
    for a, b in zip(killed.trials_table(), whole.trials_table()):
        assert a["values"] == b["values"]
        assert a["objectives"]["val_loss"] == pytest.approx(b["objectives"]["val_loss"], rel=1e-5)
    study = killed.oracle.study
    expected = ["completed", "interrupted", "completed", "completed"]
    assert [outcome(t) for t in study.trials] == expected
    assert study.trials[2].user_attrs["retry_of"] == 1
    assert study.trials[2].params == study.trials[1].params
    # Finished trials were not trained again, and their models are there.
    assert killed.trials_table()[0]["seconds"] == before.trials_table()[0]["seconds"]
    assert len(killed.get_best_models(3)) == 3


def die(tuner):
    """Leave the running trial as a process does that is killed in it."""
    (running,) = tuner.oracle.running.values()
    running.beat.stop()
    running.optuna.set_user_attr("worker", {**workers.worker(), "start": -1})


def open_again(folder, model=None, **kwargs):
    return tuning.ParetoSearch(
        model or Formula(), directory=folder, project_name="p", max_trials=4, seed=0, **kwargs
    )


def test_a_trial_that_kills_its_process_again_and_again_is_failed(tmp_path):
    attempts = []
    for _ in range(3):
        tuner = open_again(tmp_path)
        attempts.append(dict(tuner.gate.next().hyperparameters.values))
        die(tuner)
    assert attempts == attempts[:1] * 3
    tuner = search(tmp_path, max_trials=4, seed=0)
    rows = tuner.trials_table()
    assert [row["state"] for row in rows] == ["failed"] + ["completed"] * 3
    assert rows[0]["reason"] == "its process died 3 times"
    assert attempts[0] not in values(tuner)


def test_killed_between_the_record_and_the_word_to_optuna(tmp_path, monkeypatch):
    tuner = open_again(tmp_path)

    def killed(*args, **kwargs):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(tuner.oracle.ledger, "end", killed)
        patch.setattr(tuner.oracle, "give_back", lambda: None)
        with pytest.raises(SystemExit):
            tuner.search(verbose=0)
    die(tuner)
    model = Formula()
    again = search(tmp_path, model, max_trials=4, seed=0)
    assert [row["state"] for row in again.trials_table()] == ["completed"] * 4
    assert len(model.fitted) == 3  # the first was finished, only not told
    assert again.oracle.study.trials[0].values == [
        again.trials_table()[0]["objectives"]["val_accuracy"]
    ]


def test_killed_between_failing_and_queueing(tmp_path):
    tuner = open_again(tmp_path)
    trial = tuner.gate.next()
    die(tuner)
    tuner.oracle.study.tell(int(trial.trial_id), state=TrialState.FAIL)
    again = search(tmp_path, max_trials=4, seed=0)
    assert len(values(again)) == 4
    assert dict(trial.hyperparameters.values) == again.trials_table()[0]["values"]


@pytest.mark.parametrize("same_object", [True, False])
def test_ctrl_c_keeps_everything_and_says_where(tmp_path, capsys, same_object):
    class Interrupted(Formula):
        def fit(self, hp, model, *args, **kwargs):
            if len(self.fitted) == 2 and not self.done:
                self.done = True
                raise KeyboardInterrupt
            return super().fit(hp, model)

        done = False

    model = Interrupted()
    tuner = open_again(tmp_path, model)
    with pytest.raises(KeyboardInterrupt) as error:
        tuner.search(verbose=1)
    assert str(tmp_path) in error.value.__notes__[0]
    assert str(tmp_path) in capsys.readouterr().out.splitlines()[-1]
    assert [row["state"] for row in tuner.trials_table()] == ["completed"] * 2 + ["waiting"]
    if not same_object:
        tuner = open_again(tmp_path, model)
    tuner.search(verbose=1)
    assert [row["state"] for row in tuner.trials_table()] == ["completed"] * 4
    assert "2 of 4 trials are done" in capsys.readouterr().out
    assert values(tuner) == values(search(tmp_path / "whole", max_trials=4, seed=0))


def test_what_was_cut_off_keeps_its_values_under_another_seed(tmp_path):
    def build(hp):
        hp.Float("rate", 0.0, 1.0)
        return dense_model(1, 1)

    model = WithBuild(build)
    tuner = open_again(tmp_path, model)
    rate = tuner.gate.next().hyperparameters["rate"]
    die(tuner)
    again = search(tmp_path, model, max_trials=2, seed=5)
    first, second = [row["values"]["rate"] for row in again.trials_table()]
    assert first == rate != second


def test_ctrl_c_is_no_crash(tmp_path):
    def interrupt(hp):
        raise KeyboardInterrupt

    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            open_again(tmp_path, Formula(interrupt)).search(verbose=0)
    tuner = search(tmp_path, max_trials=4, seed=0)
    assert [row["state"] for row in tuner.trials_table()] == ["completed"] * 4


def test_a_living_worker_keeps_its_trial(tmp_path):
    first = open_again(tmp_path)
    running = first.gate.next()
    second = search(tmp_path, max_trials=4, seed=0)
    assert len(values(second)) == 3 and dict(running.hyperparameters.values) not in values(second)
    first.oracle.give_back()
    first.search(verbose=0)
    assert [row["state"] for row in first.trials_table()] == ["completed"] * 4


def test_a_worker_elsewhere_is_dead_when_its_beats_stop(tmp_path, monkeypatch):
    tuner = open_again(tmp_path)
    tuner.gate.next()
    (running,) = tuner.oracle.running.values()
    running.optuna.set_user_attr("worker", {"host": "elsewhere", "pid": 1, "start": 1})
    other = open_again(tmp_path)
    other.oracle.ledger.recover()
    assert [row["state"] for row in other.trials_table()] == ["running"]
    monkeypatch.setattr(workers, "STALE_AFTER", -1.0)
    other.oracle.ledger.recover()
    assert [row["state"] for row in other.trials_table()] == ["waiting"]
    running.beat.stop()


def test_beats_are_written_while_a_trial_runs(tmp_path, monkeypatch):
    study = store.open_study(str(tmp_path / "search.db"), ["max"])
    monkeypatch.setattr(workers, "STALE_AFTER", 0.04)
    beat = workers.Heartbeat(study.ask())
    first = study.trials[0].user_attrs["beat"]
    for _ in range(200):
        if study.trials[0].user_attrs["beat"] > first:
            break
        threading.Event().wait(0.02)
    beat.stop()
    assert study.trials[0].user_attrs["beat"] > first
    assert not beat.thread.is_alive()


def test_going_on_with_more_trials(tmp_path):
    model = Formula()
    search(tmp_path, model, max_trials=3, seed=0)
    tuner = search(tmp_path, model, max_trials=6, seed=0)
    assert len(model.fitted) == 6 and len({str(v) for v in model.fitted}) == 6
    whole = search(tmp_path / "whole", max_trials=6, seed=0)
    assert values(tuner) == values(whole)
    assert [t.score for t in tuner.oracle.get_best_trials(6)] == sorted(
        (row["objectives"]["val_accuracy"] for row in whole.trials_table()), reverse=True
    )


def test_other_settings_are_refused_and_overwrite_begins_anew(tmp_path):
    search(tmp_path, max_trials=2)
    for kwargs in (
        {"objectives": ["val_accuracy", "macs"]},
        {"objectives": keras_tuner.Objective("val_accuracy", "min")},
        {"budget": tuning.Budget(params=3)},
    ):
        with pytest.raises(ValueError, match="begun with.*Received"):
            open_again(tmp_path, **kwargs)
    tuner = open_again(tmp_path, objectives=["val_accuracy", "macs"], overwrite=True)
    assert tuner.trials_table() == [] and tuner.remaining_trials == 4


def test_a_changed_space_is_refused(tmp_path):
    def build(hp):
        hp.Choice("width", [3, 5, 7])
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])

    search(tmp_path, max_trials=2)
    model = Formula(lambda hp: 0.5)
    model.build = build
    with pytest.raises(keras_tuner.errors.FatalValueError, match="overwrite=True"):
        search(tmp_path, model, max_trials=4)


def test_workers_that_start_together_open_one_store(tmp_path):
    folder = tmp_path / "a folder {x} 100% ? ü"
    folder.mkdir()
    barrier, opened = threading.Barrier(5), []

    def work():
        barrier.wait()
        opened.append(store.open_study(str(folder / "search.db"), ["max", "min"]))

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 5
    for study in opened:
        study.ask()
    assert len(opened[0].trials) == 5 and (folder / "search.db").exists()


def test_optuna_reads_the_store(tmp_path):
    tuner = search(tmp_path, objectives=["val_accuracy", "params"], max_trials=3, seed=0)
    path = os.path.join(tuner.project_dir, "search.db")
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{path}")
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    for trial, row in zip(study.trials, tuner.trials_table()):
        assert trial.values == [*row["objectives"].values()]
    np.testing.assert_array_equal(len(study.best_trials), len(tuner.pareto_front()))
