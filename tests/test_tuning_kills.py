"""What kills at the worst moments leave behind: between two writes, in a file, in a race."""

import tempfile
from pathlib import Path

import keras
import optuna
import pytest
from optuna.trial import TrialState
from test_tuning_resume import die
from test_tuning_search import Formula, build_dense, points, values

import tuning
from tuning import epochs, workers
from tuning.isolated import Isolation


def make(folder, model=None, objectives="val_accuracy", **kwargs):
    kwargs = {"max_trials": 4, "seed": 0, **kwargs}
    return tuning.ParetoSearch(
        model or Formula(), objectives, directory=folder, project_name="p", **kwargs
    )


def states(tuner):
    return [row["state"] for row in tuner.trials_table()]


@pytest.mark.parametrize("taken_up", [False, True])
def test_killed_before_it_said_its_name(tmp_path, monkeypatch, taken_up):
    first = make(tmp_path, max_trials=2)
    if taken_up:
        first.gate.next()
        first.oracle.give_back()

    def killed():
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(workers, "worker", killed)
        with pytest.raises(SystemExit):
            first.gate.next()
    monkeypatch.setattr(workers, "UNNAMED", 0.3)
    second = make(tmp_path, max_trials=2)
    second.search(verbose=0)
    assert states(second) == ["completed"] * 2
    assert not second.oracle.ledger.waiting()


def test_of_two_that_take_the_last_trial_one_gives_it_up(tmp_path, monkeypatch):
    first, second = make(tmp_path, max_trials=1), make(tmp_path, max_trials=1)
    room = first.oracle.ledger.has_room

    def slow(most):  # the other asks right after this one has looked
        found = room(most)
        monkeypatch.undo()
        second.oracle.accept(second.gate.next())
        return found

    monkeypatch.setattr(first.oracle.ledger, "has_room", slow)
    assert first.gate.next().status == "STOPPED"
    assert states(second) == ["running"]
    second.oracle.give_back()
    second.search(verbose=0)
    assert states(make(tmp_path)) == ["completed"]


def test_a_promotion_and_a_new_trial_are_not_one_too_many(tmp_path, monkeypatch):
    first, second = make(tmp_path, max_trials=3), make(tmp_path, max_trials=3)
    first.search(verbose=0)
    first.oracle.ledger.take_up_again(0)  # as a promotion does
    room = first.oracle.ledger.has_room

    def slow(most):
        found = room(most)
        monkeypatch.undo()
        second.oracle.propose()
        return found

    monkeypatch.setattr(first.oracle.ledger, "has_room", slow)
    assert first.oracle.propose().status == "STOPPED"
    second.oracle.give_back()
    second.search(verbose=0)
    assert len(second.trials_table()) == 3


def test_a_refusal_that_was_not_told_is_told_as_the_sampler_takes_it(tmp_path, monkeypatch):
    budget = tuning.Budget(params=30)
    tuner = make(tmp_path, sampler="nsga2", budget=budget)

    def killed(number, record):
        if record["outcome"] == "refused":
            raise SystemExit

    monkeypatch.setattr(tuner.oracle.ledger, "end", killed)
    monkeypatch.setattr(tuner.oracle, "give_back", lambda: None)
    with pytest.raises(SystemExit):
        tuner.search(verbose=0)
    die(tuner)
    again = make(tmp_path, sampler="nsga2", budget=budget)
    again.search(verbose=0)
    refused = [
        t
        for t in again.oracle.study.trials
        if t.user_attrs.get("record", {}).get("outcome") == "refused"
    ]
    assert refused and {t.state for t in refused} == {TrialState.COMPLETE}


def test_half_written_files_are_removed(tmp_path):
    x, y = points()
    fit = {"validation_data": (x, y), "epochs": 2, "verbose": 0}
    tuner = make(tmp_path, build_dense, max_trials=2)

    class Torn(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):  # behind the library's, which have looked by now
            for folder in Path(tuner.project_dir).glob("trial_*/execution_0"):
                (folder / "part_1_state_00001.npz").write_bytes(b"half")

    tuner.search(x, y, callbacks=[Torn()], **fit)
    assert not list(Path(tuner.project_dir).rglob("part_*"))
    folder = tmp_path / "trial"
    folder.mkdir()
    (folder / "part_1_state_00001.npz").write_bytes(b"half")
    epochs.Training(folder, tuner.oracle.objective).begin(build_of(tuner))
    assert [path.name for path in folder.iterdir()] == ["epochs.jsonl"]


def build_of(tuner):
    return tuner.build(tuner.oracle.get_best_trials()[0])


def test_states_of_a_worker_that_died_behind_its_last_word_are_removed(tmp_path):
    x, y = points()
    tuner = make(tmp_path, build_dense, max_trials=1)
    fit = {"validation_data": (x, y), "epochs": 1, "verbose": 0}
    tuner.search(x, y, **fit)
    left = Path(tuner.project_dir, "trial_00000", "execution_0", "state_00001.npz")
    left.write_bytes(b"as killed before `forget`")
    make(tmp_path, build_dense, max_trials=1).search(x, y, **fit)
    assert not left.exists()


def test_what_isolated_trials_are_given_has_no_name(tmp_path, monkeypatch):
    pytest.importorskip("cloudpickle", reason="pip install 'keras-blocks[isolate]'")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Isolation().given(Formula(), (points(),), {}):
        assert not list(tmp_path.iterdir())


def test_a_store_that_is_gone_is_no_fault_of_the_trial(tmp_path, monkeypatch):
    class Gone(Formula):
        def fit(self, hp, model, *args, **kwargs):
            if len(self.fitted) == 1:
                monkeypatch.setattr(optuna.trial.Trial, "set_user_attr", gone)
                hp.Float("late", 0.0, 1.0)
                gone()
            return super().fit(hp, model)

    def gone(*args):
        raise optuna.exceptions.StorageInternalError("no disk")

    tuner = make(tmp_path, Gone())
    with pytest.raises(optuna.exceptions.StorageInternalError) as error:
        tuner.search(verbose=0)
    assert "Run the same script again" in error.value.__notes__[0]
    monkeypatch.undo()
    tuner.hypermodel.fitted.append(None)
    tuner.search(verbose=0)  # in the same process, which still lives
    assert states(tuner) == ["completed"] * 4
    assert len({str(x) for x in values(tuner)}) == 4
