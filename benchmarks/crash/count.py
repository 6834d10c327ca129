"""What kills have cost a search: its store against the log that its workers kept on their own."""

import json
import math
from collections import Counter, defaultdict
from pathlib import Path

import optuna
from optuna.trial import TrialState

from benchmarks.crash.kill import lines
from benchmarks.crash.searches import EPOCHS, RATES, UNITS, digits, name_of, opened, params_of
from tuning.server import Server

# What is counted, and whether it must be zero.
COUNTS = {
    "finished trials": False,
    "finished trials lost": True,
    "configurations finished twice": True,
    "configurations trained by two at once": True,
    "searches that could not go on": True,
    "searches with another number of trials than asked": True,
    "workers that ended with an error": True,
    "trials in a wrong state": True,
    "values, scores or weights other than those trained": True,
    "epochs trained": False,
    "epochs trained twice": False,
    "of them though a later state had been kept": True,
    "trials given up after three kills": False,
    "files left half written": True,
}


def count(job, outcome):
    """Return the counts of one search that has ended, with what is wrong in words.

    Args:
        job: What the search is.
        outcome: What `kill.run` returned.
    """
    noted = lines(job["log"])
    counts, wrong = dict.fromkeys(COUNTS, 0), []
    counts["searches that could not go on"] = int(outcome["hung"])
    counts["workers that ended with an error"] = outcome["errors"]
    counts |= trainings(noted, wrong)
    counts |= endings(job, noted, stored(job), wrong)
    counts["files left half written"] = len(leftovers(job))
    wrong += [f"left: {path}" for path in leftovers(job)]
    if not outcome["hung"]:
        counts["values, scores or weights other than those trained"] += weights(job, wrong)
    return counts, wrong


def stored(job):
    """Return the Optuna trials of a search, read without the library."""
    if job["storage"] is None:
        path = Path(job["folder"], job["name"], "search.db")
        return optuna.load_study(study_name="search", storage=f"sqlite:///{path}").trials
    if job["storage"].endswith(".journal"):
        path = str(Path(job["folder"], job["name"], job["storage"]))
        backend = optuna.storages.journal.JournalFileBackend(path)
        storage = optuna.storages.JournalStorage(backend)
        return optuna.load_study(study_name=job["name"], storage=storage).trials
    return optuna.load_study(study_name=job["name"], storage=Server(job["storage"])).trials


def trainings(noted, wrong):
    """Count epochs by the log alone.

    An epoch is over, with its state if it was the best so far, as soon as the next has begun.
    """
    counts = Counter()
    for name in {x["name"] for x in noted if x["event"] == "begin"}:
        begun, scores, last = -1, {}, None  # the epoch begun last, scores by epoch, its process
        seen = set()
        for x in (x for x in noted if x.get("name") == name and x["event"] in ("begin", "epoch")):
            if x["event"] == "epoch":
                counts["epochs trained"] += 1
                counts["epochs trained twice"] += x["epoch"] in scores
                scores[x["epoch"]] = x["score"]
            elif x["pid"] != last:
                done = {e: s for e, s in scores.items() if e < begun}
                kept = max(done, key=lambda e: (done[e], -e)) + 1 if done else 0
                if x["epoch"] < kept:
                    counts["of them though a later state had been kept"] += kept - x["epoch"]
                    wrong.append(f"{name} began at epoch {x['epoch']}, where {kept} were kept")
                if x["pid"] in seen:
                    counts["configurations trained by two at once"] += 1
                    wrong.append(f"{name} was trained by {last} and {x['pid']} in turn")
            if x["event"] == "begin":
                begun = x["epoch"]
            last = x["pid"]
            seen.add(last)
    return counts


def best_of(noted, name):
    """Return the number of epochs of a configuration and its best score, by the log."""
    scores = {x["epoch"]: x["score"] for x in noted if x["event"] == "epoch" and x["name"] == name}
    return len(scores), max(scores.values(), default=math.nan)


def finishes(noted):
    """Return what was noted where a trial with all its epochs had ended, and not been paused."""
    found, epochs = [], defaultdict(set)
    for x in noted:
        if x["event"] == "epoch":
            epochs[x["name"]].add(x["epoch"])
        elif x["event"] == "end" and len(epochs[x["name"]]) == EPOCHS:
            found.append(x)
    return found


def endings(job, noted, trials, wrong):
    """Compare how trials ended by the log and in the store."""
    counts = Counter()
    followed = {t.user_attrs.get("retry_of") for t in trials}
    records = {t.number: t.user_attrs.get("record", {}) for t in trials}
    current = [t for t in trials if t.number not in followed]
    current = [t for t in current if records[t.number].get("outcome") != "repeated"]
    if len(current) != job["trials"]:
        counts["searches with another number of trials than asked"] += 1
        wrong.append(f"{len(current)} trials, asked for {job['trials']}")

    ends = finishes(noted)
    counts["finished trials"] = len({x["number"] for x in ends})
    for x in ends:
        found = trials[x["number"]] if x["number"] < len(trials) else None
        kept = found is not None and x["number"] not in followed
        kept = kept and found.state == TrialState.COMPLETE and name_of_trial(found) == x["name"]
        if not kept:
            counts["finished trials lost"] += 1
            wrong.append(f"lost: {x}")
        elif records[x["number"]]["trial"]["score"] != x["score"]:
            counts["values, scores or weights other than those trained"] += 1
            wrong.append(f"score of {x}: {records[x['number']]['trial']['score']}")

    complete = [t for t in trials if records[t.number].get("outcome") == "completed"]
    for named in (Counter(x["name"] for x in ends), Counter(map(name_of_trial, complete))):
        twice = [name for name, times in named.items() if times > 1]
        counts["configurations finished twice"] += len(twice)
        wrong += [f"finished twice: {name}" for name in twice]

    for trial in current:
        judge(trial, trials, records[trial.number], noted, job, counts, wrong)
    return counts


def judge(trial, trials, record, noted, job, counts, wrong):
    """Compare one trial that stands with what was trained."""
    epochs, best = best_of(noted, name_of_trial(trial))
    if "outcome" not in record:
        if trial.state == TrialState.FAIL and deaths(trial, trials) >= 3:
            counts["trials given up after three kills"] += 1
        else:
            counts["trials in a wrong state"] += 1
            wrong.append(f"trial {trial.number}: {trial.state} without a record")
        return
    full = record["outcome"] == "completed" and epochs == EPOCHS
    paused = record["outcome"] == "paused" and job.get("halving") and epochs < EPOCHS
    if trial.state != TrialState.COMPLETE or not (full or paused) or record["epochs"] != epochs:
        counts["trials in a wrong state"] += 1
        told = {key: record[key] for key in ("outcome", "epochs", "reason")}
        wrong.append(f"trial {trial.number}: {trial.state}, {told}; {epochs} epochs were trained")
    elif trial.values != [best, params_of(drawn(trial))]:
        counts["values, scores or weights other than those trained"] += 1
        known = [best, params_of(drawn(trial))]
        wrong.append(f"trial {trial.number}: values {trial.values}, trained {known}")


def drawn(trial):
    """Return the values of a trial; Optuna has places in lists where they have an order."""
    drawn = trial.params
    if len(drawn) < 3:
        return None
    return {
        "units": UNITS[drawn["units#"]],
        "rate": RATES[drawn["rate#"]],
        "deep": drawn["deep"],
    }


def name_of_trial(trial):
    values = drawn(trial)
    return f"trial {trial.number}" if values is None else name_of(values)


def deaths(trial, trials):
    """Return how many trials without a record lie behind one, itself included."""
    found = 0
    while trial is not None:
        found += trial.state == TrialState.FAIL and "record" not in trial.user_attrs
        before = trial.user_attrs.get("retry_of")
        trial = None if before is None else trials[before]
    return found


def leftovers(job):
    """Return files that a kill has left where nobody will look for them."""
    every = [path for path in Path(job["folder"]).rglob("*") if path.is_file()]
    temporary = Path(job["temporary"])
    return [p for p in every if p.name.startswith("part_") or temporary in p.parents]


def weights(job, wrong):
    """Count completed trials whose kept weights do not reach their value."""
    import numpy as np

    search, (x, y) = opened(job), digits()[2]
    found = 0
    for trial in search.oracle.completed():
        reached = np.mean(np.argmax(search.load_model(trial)(x), -1) == y)
        value = trial.metrics.get_last_value("val_accuracy")
        if abs(reached - value) > 1.5 / len(y):
            found += 1
            wrong.append(f"trial {trial.trial_id}: weights reach {reached}, told {value}")
    return found


def write(job, outcome, path):
    """Count into a file, so that another process may."""
    Path(path).write_text(json.dumps(count(job, outcome)))
