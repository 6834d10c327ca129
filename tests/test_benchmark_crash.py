"""The benchmark that kills workers: that it counts what is wrong, and that nothing is."""

import random
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import optuna
import pytest

from benchmarks.crash import __main__ as crash
from benchmarks.crash.count import COUNTS, count, trainings
from benchmarks.crash.kill import lines, run
from benchmarks.crash.searches import note, work
from tests.slow import slow

pytest.importorskip("sklearn", reason="pip install 'keras-blocks[examples]'")
ROOT = Path(__file__).parents[1]
FINE = {"kills": 0, "errors": 0, "hung": False}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    args = Namespace(kinds=None, storage="sqlite", seed=0)
    _, job = crash.job_of(0, args, tmp_path_factory.mktemp("crash"), "one worker")
    job["trials"] = 2
    work(job)
    return job


def missed(counts):
    return {name: n for name, n in counts.items() if n and COUNTS[name]}


def test_nothing_is_wrong_with_a_search_that_nobody_killed(searched):
    counts, wrong = count(searched, FINE)
    assert missed(counts) == {} and wrong == []
    assert counts["finished trials"] == 2 and counts["epochs trained"] == 14


def test_what_is_lost_is_counted(searched, tmp_path):
    log = Path(searched["log"])
    last = next(x for x in lines(log) if x["event"] == "end")
    copy = tmp_path / "log.jsonl"
    copy.write_text(log.read_text())
    for change in ({"number": 7}, {"score": 2.0}):
        told = {key: last[key] for key in ("number", "name", "score")} | change
        note(copy, "end", **told)
    counts, wrong = count({**searched, "log": str(copy)}, FINE)
    assert missed(counts) == {
        "finished trials lost": 1,
        "configurations finished twice": 1,
        "values, scores or weights other than those trained": 1,
    }
    assert len(wrong) == 3


def test_what_the_store_has_too_much_is_counted(searched):
    path = Path(searched["folder"], searched["name"], "search.db")
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{path}")
    (path.parent / "part_7_state.npz").write_bytes(b"half")
    study.enqueue_trial({})
    counts, _ = count(searched, FINE)
    assert missed(counts) == {
        "searches with another number of trials than asked": 1,
        "trials in a wrong state": 1,
        "files left half written": 1,
    }


def test_epochs_that_are_trained_again_are_counted():
    def story(*words):
        for pid, event, epoch, score in words:
            yield {"event": event, "name": "a", "epoch": epoch, "pid": pid, "score": score}

    kept = [(1, "begin", 0, 0), (1, "epoch", 0, 0.5), (1, "begin", 1, 0), (1, "epoch", 1, 0.4)]
    for second, wrong in ((1, 0), (0, 1)):
        again = [(2, "begin", second, 0), (2, "epoch", second, 0.5)]
        found = trainings(list(story(*kept, *again)), told := [])
        assert found["epochs trained"] == 3 and found["epochs trained twice"] == 1
        assert found["of them though a later state had been kept"] == wrong == len(told)
    both = [*kept, (2, "begin", 1, 0), (1, "begin", 2, 0)]
    assert trainings(list(story(*both)), [])["configurations trained by two at once"] == 1


def test_a_worker_that_fails_is_told(tmp_path):
    args = Namespace(kinds=None, storage="sqlite", seed=0)
    _, job = crash.job_of(0, args, tmp_path, "one worker")
    outcome = run({**job, "trials": 0}, 0, random.Random(1), print)
    assert outcome == {"kills": 0, "errors": 3, "hung": True}
    assert "max_trials" in Path(job["folder"], "said.txt").read_text()


DROPS = """
from optuna.trial import TrialState
from tuning.ledger import Ledger

end = Ledger.end

def drops(self, number, record):
    ended = [t.number for t in self.all() if "record" in t.user_attrs]
    state = TrialState.FAIL if ended == [number] else None  # the first that finishes
    self.study.tell(number, state=state) if state else end(self, number, record)

Ledger.end = drops
"""


def main(folder, *words, broken=""):
    """Run the benchmark in a process of its own, as it forks before TensorFlow has begun."""
    code = f"{broken}\nfrom benchmarks.crash.__main__ import main\nmain()"
    command = [sys.executable, "-c", code, *words, "--folder", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@slow
@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_three_kills_cost_nothing(tmp_path, storage):
    done = main(tmp_path, "--kills", "3", "--storage", storage, "--kinds", "two, halving")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nkill ") == 3
    assert "| finished trials lost | 0 | 0 | 0 |" in done.stdout
    assert not list(tmp_path.iterdir())


@slow
def test_a_library_that_drops_a_finished_trial_is_found(tmp_path):
    done = main(tmp_path, "--kills", "1", "--kinds", "one worker", broken=DROPS)
    assert done.returncode == 1 and "A GOAL WAS MISSED" in done.stdout, done.stderr
    assert "| finished trials lost | 1 | 1 | 0 |" in done.stdout
