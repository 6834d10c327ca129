"""Who runs a trial, and whether that process still lives."""

import contextlib
import functools
import os
import socket
import threading
import time
from pathlib import Path

STALE_AFTER = 120.0  # seconds without a new beat after which a worker elsewhere counts as dead
UNNAMED = 10.0  # seconds after which a trial counts as dead whose worker did not even say its name


def worker():
    """Return who this process is: host, process id and, where known, its start."""
    return {"host": host(), "pid": os.getpid(), "start": start_of(os.getpid())}


def is_own(trial):
    """Return whether this process runs a trial."""
    return trial.user_attrs.get("worker") == worker()


@functools.cache
def host():
    """Return what tells machines and containers apart that may have the same name."""
    words = [socket.gethostname()]
    with contextlib.suppress(OSError):
        words.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        words.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(words)


def start_of(pid):
    """Return when a process of this machine started, in ticks; `None` if it cannot be told."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])  # dead, but not waited for
    except (OSError, IndexError, ValueError):
        return None


class Heartbeat:
    """Marks a running trial as alive, from a thread of its own, until `stop()`."""

    def __init__(self, trial):
        self.trial, self.stopped = trial, threading.Event()
        trial.set_user_attr("beat", time.time())
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopped.wait(STALE_AFTER / 4):
            try:
                self.trial.set_user_attr("beat", time.time())
            except Exception:  # a locked or vanished store must not end the training
                continue

    def stop(self):
        """End the thread, so that nothing is written behind the trial's end."""
        self.stopped.set()
        self.thread.join()


class Watch:
    """Tells by the beats that this process sees whether the workers of running trials live.

    A worker of this machine lives as long as its process. One elsewhere is dead if its beat stays
    the same for `STALE_AFTER`: clocks of other machines, and jumps of this one's, mean nothing.
    """

    def __init__(self):
        self.seen = {}  # by the trial's number: a beat, and since when

    def is_dead(self, trial):
        """Return whether a running trial's worker is dead, as far as it is known."""
        known = self._process(trial)
        if known is not None:
            return not known
        since = self._since(trial)
        return time.monotonic() - since > (STALE_AFTER if "worker" in trial.user_attrs else UNNAMED)

    def _process(self, trial):
        owner = trial.user_attrs.get("worker")
        if owner and owner["host"] == host() and owner["start"] is not None:
            return start_of(owner["pid"]) == owner["start"]
        return None

    def _since(self, trial):
        beat = trial.user_attrs.get("beat")
        last = self.seen.get(trial.number)
        if last is None or last[0] != beat:
            self.seen[trial.number] = beat, time.monotonic()
        return self.seen[trial.number][1]
