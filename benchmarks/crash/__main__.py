"""Workers killed with SIGKILL at random moments: `python -m benchmarks.crash` prints what it cost.

Searches run one after another, each with one or two workers, until so many kills are done and the
last search has ended. A worker that was killed is started again by the same script. What is in the
store then is compared with a log that the workers write on their own. Exit status 1: a goal was
missed.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import metadata
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import optuna

from benchmarks.crash.count import COUNTS, write
from benchmarks.crash.kill import MOMENTS, forked, run
from benchmarks.crash.searches import KINDS
from benchmarks.kept import table
from benchmarks.timing import made
from tuning.server import Server

IDLE, SLOWEST = 4.0, 5.0  # seconds of a search of two trials on two idle cores
RESTART = 8  # kills between two restarts of the server


def job_of(number, args, folder, title=None):
    """Return what the search of a number is, as plain data, and what it is called."""
    kinds = args.kinds or list(KINDS)
    title = title or kinds[number % len(kinds)]
    name, folder = f"crash_{folder.name}_{number}", folder / str(number)
    temporary = folder / "temporary"
    temporary.mkdir(parents=True)
    seed = random.Random(f"{args.seed} {number}").randrange(2**31)
    storage = {"sqlite": None, "journal": "search.journal"}.get(args.storage, args.storage)
    paths = {"folder": str(folder), "log": str(folder / "log.jsonl"), "temporary": str(temporary)}
    return title, {**KINDS[title], **paths, "name": name, "storage": storage, "seed": seed}


def searches(args, folder):
    """Run searches until all kills are done; yield the title, outcome and counts of each."""
    chance, done, number = random.Random(args.seed), 0, 0
    moments = Counter()
    pace = paced(args, folder)
    print(f"kills are up to {pace:.1f} times as far apart as on an idle machine", flush=True)
    while done < args.kills:
        title, job = job_of(number, args, folder)
        job["seconds"] *= pace

        def say(doing, line, title=title):
            nonlocal done
            done += 1
            moments[doing] += 1
            print(f"kill {done} of {args.kills}: {title}: {line}", flush=True)
            if args.restart and done % RESTART == 0:
                print("server:", restarted(args.restart), flush=True)

        os.environ["TMPDIR"] = tempfile.tempdir = job["temporary"]
        outcome = run(job, min(job["kills"], args.kills - done), chance, say)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        counts, wrong = counted(job, outcome)
        print(f"search {number + 1}, {title}, has ended: {told(counts)}", flush=True)
        for line in wrong:
            print(f"  WRONG {line}", flush=True)
        yield title, outcome["kills"], counts, moments
        number += 1


def paced(args, folder):
    """Return how many times longer than on an idle machine a search of two trials takes."""
    _, job = job_of("first", args, folder, "one worker")
    began = time.monotonic()
    outcome = run({**job, "trials": 2}, 0, random.Random(1), print)
    if outcome["hung"] or outcome["errors"]:
        print(Path(job["folder"], "said.txt").read_text()[-3000:])
        sys.exit("a search that nobody kills does not end")
    return min(SLOWEST, max(1.0, (time.monotonic() - began) / IDLE))


def restarted(command):
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    return (done.stdout + done.stderr).strip().splitlines()[-1:]


def counted(job, outcome):
    """Return the counts of a search, made in a process of its own."""
    path, said = Path(job["folder"], "counts.json"), Path(job["folder"], "said.txt")
    _, status = os.waitpid(forked(lambda: write(job, outcome, path), said), 0)
    if status or outcome["hung"] or outcome["errors"]:
        print(said.read_text()[-3000:], flush=True)
    if status:
        return {**dict.fromkeys(COUNTS, 0), "searches that could not go on": 1}, ["no count"]
    return json.loads(path.read_text())


def told(counts):
    missed = [f"{name}: {n}" for name, n in counts.items() if n and COUNTS[name]]
    return f"{counts['finished trials']} trials finished, " + (", ".join(missed) or "nothing wrong")


def show(found, minutes, storage):
    """Print the tables; return whether every goal was met."""
    every, kills, searches_of = {}, Counter(), Counter()
    moments = found[-1][3] if found else Counter()
    for title, number, counts, _ in found:
        every.setdefault(title, Counter()).update(counts)
        kills[title] += number
        searches_of[title] += 1
    total = sum(every.values(), Counter())
    titles = [title for title in KINDS if title in every]
    print(f"\n{sum(kills.values())} kills in {minutes:.0f} minutes on {storage}. {where()}\n")
    rows = [["searches", *(str(searches_of[t]) for t in titles), str(len(found)), ""]]
    rows += [["kills", *(str(kills[t]) for t in titles), str(sum(kills.values())), ""]]
    for name, goal in COUNTS.items():
        cells = [f"{every[t][name]:,}" for t in titles] + [f"{total[name]:,}"]
        rows.append([name, *cells, "0" if goal else ""])
    table(["what kills have cost", *titles, "all", "goal"], rows)
    print("\nkilled in: " + ", ".join(f"{m} {moments[m]}" for m in dict.fromkeys(MOMENTS.values())))
    return not any(total[name] for name, goal in COUNTS.items() if goal)


def forget(storage, folder, searches):
    """Remove the searches that went well."""
    if "://" in storage:
        opened = Server(storage)
        for number in ["first", *range(searches)]:
            optuna.delete_study(study_name=f"crash_{folder.name}_{number}", storage=opened)
        opened.engine.dispose()
    shutil.rmtree(folder)


def where():
    facts = made()
    packages = {name: metadata.version(name) for name in ("keras-tuner", "optuna", "sqlalchemy")}
    facts = {"Python": facts.pop("python"), **facts, **packages}
    facts = {k: v for k, v in facts.items() if k not in ("ai-edge-litert", "numpy")}
    head = f"{facts.pop('date')}, {facts.pop('machine')}"
    return ", ".join([head, *(f"{k} {v}" for k, v in facts.items())])


def main():
    parser = argparse.ArgumentParser(prog="benchmarks.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--storage", default="sqlite", help="sqlite, journal, or a database's URL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), help="by default all")
    parser.add_argument("--restart", help="command that restarts the server, at every eighth kill")
    parser.add_argument("--folder", help="where the searches are kept if a goal was missed")
    args = parser.parse_args()
    if args.storage not in ("sqlite", "journal") and "://" not in args.storage:
        parser.error(f"--storage is sqlite, journal or a URL. Received: {args.storage}")
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell's job ignores the first
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="crash_", dir=args.folder))
    found, began, stopped = [], time.monotonic(), False
    try:
        for each in searches(args, folder):
            found.append(each)
    except KeyboardInterrupt:
        stopped = True
    kind = args.storage.partition("://")[0]
    good = show(found, (time.monotonic() - began) / 60, kind)
    if stopped or not good:
        print("\ninterrupted" if stopped else "\nA GOAL WAS MISSED", f"- see {folder}")
        sys.exit(130 if stopped else 1)
    forget(args.storage, folder, len(found))


if __name__ == "__main__":
    main()
