"""Stores that several workers share, and workers that die."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras_tuner
import pytest
from keras_tuner.engine.trial import Trial
from test_tuning_search import Formula, values

import tuning
from tests.slow import slow
from tuning import store, turns, workers

KINDS = [None, "shared.journal"]


def make(folder, storage=None, **kwargs):
    kwargs = {"max_trials": 8, "seed": 0, **kwargs}
    return tuning.ParetoSearch(
        Formula(), directory=folder, project_name="p", storage=storage, **kwargs
    )


@pytest.mark.parametrize("storage", KINDS)
def test_workers_share_a_search(tmp_path, storage):
    first, second = (make(tmp_path, storage) for _ in range(2))
    trial = first.gate.next()  # while the second works, the first has one, too
    second.search(verbose=0)
    assert len(values(second)) == 7 and dict(trial.hyperparameters.values) not in values(second)
    first.oracle.give_back()
    first.search(verbose=0)
    rows = make(tmp_path, storage).trials_table()
    assert [row["state"] for row in rows] == ["completed"] * 8
    assert len({str(row["values"]) for row in rows}) == 8


WORKER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import keras
from test_tuning_workers import make
from test_tuning_search import Formula

class Dies(Formula):
    def fit(self, hp, model, *args, **kwargs):
        if len(self.fitted) == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(hp, model, *args, **kwargs)

import test_tuning_workers as here
here.Formula = Dies
here.make(sys.argv[2], sys.argv[3] or None).search(verbose=0)
"""


def start(folder, storage, dies_at):
    here = Path(__file__).parent
    words = [str(here), str(folder), storage or "", str(dies_at)]
    path = os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, *words], env=environment, stderr=subprocess.PIPE
    )


@slow
@pytest.mark.parametrize("storage", KINDS)
def test_what_a_killed_worker_ran_is_taken_over(tmp_path, storage):
    processes = [start(tmp_path, storage, 2), start(tmp_path, storage, 99)]
    said = [process.communicate(timeout=300)[1].decode()[-800:] for process in processes]
    assert [p.returncode for p in processes] == [-signal.SIGKILL, 0], said
    tuner = make(tmp_path, storage)
    tuner.search(verbose=0)
    rows = tuner.trials_table()
    assert [row["state"] for row in rows] == ["completed"] * 8
    assert len({str(row["values"]) for row in rows}) == 8


def test_half_a_line_of_a_journal_is_cut_off(tmp_path):
    first = make(tmp_path, "a.journal", max_trials=3)
    first.search(verbose=0)
    path = Path(first.project_dir, "a.journal")
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 5, "work')
    again = make(tmp_path, "a.journal", max_trials=4)
    assert path.read_bytes().startswith(whole) and b'"work{' not in path.read_bytes()
    again.search(verbose=0)
    assert len(values(again)) == 4


def test_a_relative_path_stands_in_the_projects_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert store.location("a.journal", "folder") == str(tmp_path / "folder" / "a.journal")
    assert store.location(None, "/x") == "/x/search.db"
    assert store.location("postgresql://u:p@h/d", "/x") == "postgresql://u:p@h/d"
    for wrong in (3, "", "redis://host", "sqlite:///x.db"):
        with pytest.raises(ValueError, match="Received"):
            store.location(wrong, "/x")


def test_a_store_that_does_not_open_is_told(tmp_path):
    broken = tmp_path / "p" / "search.db"
    broken.parent.mkdir()
    broken.write_bytes(b"this is no database" * 100)
    with pytest.raises(ValueError, match="one that opens. Received: .*not a database"):
        make(tmp_path)
    tuner = make(tmp_path, overwrite=True, max_trials=1)
    tuner.search(verbose=0)
    assert len(values(tuner)) == 1
    journal = tmp_path / "p" / "other.journal"
    journal.write_text("no JSON\n")
    with pytest.raises(ValueError, match="one that opens. Received: "):
        make(tmp_path, "other.journal")


def locked(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return contextlib.closing(connection)


def test_a_file_that_is_locked_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "LOCKED", 0.2)
    (tmp_path / "p").mkdir()
    path = tmp_path / "p" / "search.db"
    with locked(path), pytest.raises(ValueError, match="database is locked. Is it free"):
        make(tmp_path)

    class Meets(Formula):
        def fit(self, hp, model, *args, **kwargs):
            if len(self.fitted) == 1:
                self.fitted.append(None)
                with locked(path):
                    hp.Float("late", 0.0, 1.0)
            return super().fit(hp, model)

    monkeypatch.setitem(globals(), "Formula", Meets)
    tuner = make(tmp_path, max_trials=3)
    with pytest.raises(store.Unreachable) as error:
        tuner.search(verbose=0)
    assert "its file locked" in error.value.__notes__[0]
    tuner.search(verbose=0)  # no trial is blamed for it
    assert [row["state"] for row in tuner.trials_table()] == ["completed"] * 3


def test_overwrite_begins_anew_in_a_shared_store(tmp_path):
    path = str(tmp_path / "both.journal")
    search = make(tmp_path, path, max_trials=2)
    search.search(verbose=0)
    other = tuning.ParetoSearch(
        Formula(), directory=tmp_path, project_name="q", storage=path, max_trials=1
    )
    other.search(verbose=0)
    again = make(tmp_path, path, overwrite=True)
    assert again.trials_table() == []
    assert len(values(other)) == 1  # another search of the same store stays


def test_half_a_line_is_cut_off_while_others_write(tmp_path):
    first = make(tmp_path, "a.journal", max_trials=2)
    first.search(verbose=0)
    path = Path(first.project_dir, "a.journal")
    with path.open("ab") as file:
        file.write(b'{"op_code": 5')
    first.oracle.max_trials = 4
    first.search(verbose=0)
    assert len(values(make(tmp_path, "a.journal"))) == 4


def test_two_workers_that_take_up_one_trial_leave_one(tmp_path):
    first = make(tmp_path, max_trials=3)
    first.gate.next()
    first.oracle.give_back()
    first.oracle.ledger.take_up_again(0)  # as another worker at the same moment
    second = make(tmp_path, max_trials=3)
    trials = first.oracle.propose(), second.oracle.propose()
    for tuner, trial in zip((first, second), trials):
        tuner.gate._build(trial)
    repeats = [t.oracle.is_repeat(x) for t, x in zip((first, second), trials)]
    assert repeats == [False, True]
    for tuner in (first, second):
        tuner.oracle.give_back()


def test_a_worker_waits_for_what_one_before_it_is_drawing(tmp_path):
    first = make(tmp_path, max_trials=3)
    first.gate.next()
    first.oracle.give_back()
    first.oracle.ledger.take_up_again(0)
    second = make(tmp_path, max_trials=3)
    tuners = first, second
    trials = [t.oracle.propose() for t in tuners]
    assert [int(t.trial_id) for t in trials] == [1, 2]
    second.gate._build(trials[1])  # the later one is faster
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(second.oracle.is_repeat, trials[1])
        with pytest.raises(TimeoutError):
            asked.result(0.5)
        first.gate._build(trials[0])
        assert not first.oracle.is_repeat(trials[0])
        assert asked.result(30)
    for tuner in tuners:
        tuner.oracle.give_back()


def test_passwords_are_not_shown():
    for rest in ("me:secr@t@db/x", "db/x?user=me&password=secr@t", "me:secr@t@db:a"):
        url = f"mysql://{rest}"
        assert "secr" not in store.shown(url) and "@t" not in store.shown(url)


def test_a_process_that_is_dead_but_not_waited_for_is_dead():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    while workers.start_of(process.pid) is not None:
        pass
    process.wait()


class Stub:
    number = 7

    def __init__(self, beat, host="elsewhere"):
        self.user_attrs = {"worker": {"host": host, "pid": 1, "start": 1}, "beat": beat}


def test_a_clock_that_jumps_kills_nobody(monkeypatch):
    watch, now = workers.Watch(), [100.0]
    monkeypatch.setattr(workers.time, "monotonic", lambda: now[0])
    assert not watch.is_dead(Stub(5.0))
    now[0] += workers.STALE_AFTER - 1
    assert not watch.is_dead(Stub(5.0))
    assert not watch.is_dead(Stub(-(10**9)))  # a beat of another time is a beat
    now[0] += workers.STALE_AFTER + 1
    assert watch.is_dead(Stub(-(10**9)))


def test_the_last_worker_waits_until_it_knows_who_lives(tmp_path, monkeypatch):
    first = make(tmp_path, max_trials=1)
    first.gate.next()
    (running,) = first.oracle.running.values()
    running.beat.stop()
    running.optuna.set_user_attr("worker", {"host": "elsewhere", "pid": 1, "start": 1})
    monkeypatch.setattr(workers, "STALE_AFTER", 0.3)
    second = make(tmp_path, max_trials=1)
    second.search(verbose=0)
    assert [row["state"] for row in second.trials_table()] == ["completed"]
    # The one that was taken for dead comes back: what it found is left out.
    (trial_id,) = first.oracle.running
    trial = Trial(keras_tuner.HyperParameters(), trial_id, "COMPLETED")
    first.oracle.trials[trial_id] = trial
    first.oracle.end(trial, "completed")
    assert not first.oracle.running and trial_id not in first.oracle.trials
    assert [row["state"] for row in first.trials_table()] == ["completed"]


def test_a_search_ends_when_others_have_ended(tmp_path, monkeypatch, capsys):
    """And what they leave behind is trained."""
    first = make(tmp_path, max_trials=2)
    trial = first.gate.next()
    first.oracle.accept(trial)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    running = first.oracle.running[trial.trial_id]
    owner = {"host": workers.host(), "pid": process.pid, "start": workers.start_of(process.pid)}
    running.optuna.set_user_attr("worker", owner)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            process.communicate(b"\n")

    monkeypatch.setattr(turns.time, "sleep", sleep)
    second = make(tmp_path, max_trials=2)
    second.search()
    running.beat.stop()
    assert (
        len(waits) >= 3 and "waiting for the last trial of other workers" in capsys.readouterr().out
    )
    rows = second.trials_table()
    assert [row["state"] for row in rows] == ["completed"] * 2
    assert dict(trial.hyperparameters.values) in [row["values"] for row in rows]
