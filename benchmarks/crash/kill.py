"""One search: its workers are killed and started again until it has ended."""

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from benchmarks.crash.searches import work

SILENCE = 240.0  # seconds without a line of any worker after which a search counts as hanging
ERRORS = 3  # in a row, after which it counts as one that cannot go on
PLAIN = 0.25  # share of the starts that import everything anew
IMPORT = 9.0  # seconds that those may take longer

# What the last line of a killed worker says that it was doing.
MOMENTS = {
    None: "import",
    "start": "opening the store",
    "ready": "proposal",
    "end": "proposal",
    "begin": "training",
    "epoch": "keeping states, end of a trial",
}


def lines(path):
    """Return what the workers of a search have noted."""
    path = Path(path)
    return [json.loads(x) for x in path.read_text().splitlines()] if path.exists() else []


def forked(action, said):
    """Start a process that does something with all that is imported here; return its id."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    status = 1
    try:
        file = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(file, 1)
        os.dup2(file, 2)
        action()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


class Workers:
    """The workers of a search.

    Args:
        job: What the search is, see `searches.opened`.
        random: A `random.Random`.
    """

    def __init__(self, job, random):
        self.job, self.random = job, random
        self.said = Path(job["folder"], "said.txt")
        self.live, self.errors, self.plain = {}, 0, set()

    def start(self):
        plain = self.random.random() < PLAIN
        pid = forked(self._script if plain else lambda: work(self.job), self.said)
        self.live[pid] = time.monotonic()
        if plain:
            self.plain.add(pid)

    def _script(self):
        path = Path(self.job["folder"], "job.json")
        path.write_text(json.dumps(self.job))
        command = [sys.executable, "-m", "benchmarks.crash.searches", str(path)]
        os.execv(sys.executable, command)

    def reap(self):
        """Take note of workers that have ended; those with an error are started again."""
        for pid in list(self.live):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self.live[pid]
                if status:
                    self.errors += 1
                    if self.errors < ERRORS:
                        self.start()

    def wait(self, seconds):
        """Wait so long, or until all workers have ended; return whether none has hung."""
        until = time.monotonic() + seconds
        while self.live and time.monotonic() < until:
            time.sleep(0.01)
            self.reap()
            if self.silence() > SILENCE:
                return False
        return True

    def silence(self):
        log = Path(self.job["log"])
        heard = time.time() - log.stat().st_mtime if log.exists() else SILENCE
        started = max(self.live.values(), default=0.0)
        return min(heard, time.monotonic() - started)

    def kill(self, pid):
        """Kill a worker; return how many seconds it lived, or `None` where it was faster."""
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            del self.live[pid]
            self.errors += status != 0
            return None
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return time.monotonic() - self.live.pop(pid)

    def end(self):
        for pid in list(self.live):
            self.kill(pid)


def run(job, kills, random, say):
    """Run a search and kill its workers up to `kills` times.

    Args:
        job: What the search is.
        kills: Number of kills; fewer where it ends before.
        random: A `random.Random`.
        say: Function of each kill's moment and of a line about it.

    Returns:
        A dict: `kills`, `errors` of workers, and whether the search `hung`.
    """
    workers, killed, lived = Workers(job, random), 0, True
    try:
        for _ in range(job["workers"]):
            workers.start()
        while workers.live and killed < kills and lived:
            victim = random.choice(sorted(workers.live))
            span = job["seconds"] + IMPORT * (victim in workers.plain)
            lived = workers.wait(random.uniform(0, span))
            if lived and victim in workers.live:
                age = workers.kill(victim)
                if age is None:
                    continue
                killed += 1
                say(*moment(job, victim, age))
                workers.start()
        while workers.live and lived:
            lived = workers.wait(SILENCE)
        gave_up = workers.errors >= ERRORS
        return {"kills": killed, "errors": workers.errors, "hung": not lived or gave_up}
    finally:
        workers.end()


def moment(job, pid, age):
    """Return what a killed worker was doing, and a line about it."""
    noted = lines(job["log"])
    own = [x for x in noted if x["worker"] == pid]
    last = own[-1] if own else {"event": None}
    doing = MOMENTS[last["event"]]
    where = f" {last['name']}, epoch {last['epoch'] + 1}" if "epoch" in last else ""
    ends = len({x["name"] for x in noted if x["event"] == "end"})
    return (
        doing,
        f"after {age:.1f} s in {doing}{where}; {ends} of {job['trials']} trials have ended",
    )
