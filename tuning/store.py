"""The one store of a search: an SQLite file of Optuna in the project's folder."""

import os
import socket
import sqlite3
import threading
import time

import optuna
import sqlalchemy

STALE_AFTER = 120.0  # seconds without a beat after which a worker elsewhere counts as dead
TRIES = 20

optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_study(path, directions):
    """Open the study in the SQLite file at `path`; create it if there is none.

    Args:
        path: Absolute path of the file.
        directions: `"min"` or `"max"` of each objective.
    """
    engine = {"creator": lambda: _connect(path), "poolclass": sqlalchemy.pool.QueuePool}
    for attempt in range(TRIES):
        try:
            return optuna.create_study(
                study_name="search",
                storage=optuna.storages.RDBStorage("sqlite://", engine_kwargs=engine),
                directions=[f"{direction}imize" for direction in directions],
                load_if_exists=True,
            )
        except (
            optuna.exceptions.DuplicatedStudyError,
            optuna.exceptions.StorageInternalError,
            sqlalchemy.exc.IntegrityError,
            sqlalchemy.exc.OperationalError,
            sqlite3.OperationalError,
        ):
            # Several workers that start together create the same tables.
            if attempt == TRIES - 1:
                raise
            time.sleep(0.05 * (attempt + 1))
    return None


def _connect(path):
    # By path, not by address: braces, percent and question marks of a folder stay what they are.
    connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
    # Appending to a log needs no wait for the disk at each of the many small writes of a trial;
    # a killed process loses nothing, a power cut at most the last moments.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def worker():
    """Return who this process is: host, process id and, where known, its start."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "start": _start(os.getpid())}


def is_alive(trial):
    """Return whether the worker of a running Optuna trial still lives."""
    owner = trial.user_attrs.get("worker")
    if owner and owner["host"] == socket.gethostname() and owner["start"] is not None:
        return _start(owner["pid"]) == owner["start"]
    beat = trial.user_attrs.get("beat", trial.datetime_start.timestamp())
    return time.time() - beat < STALE_AFTER


def _start(pid):
    """Return when a process of this machine started, in ticks; `None` if it cannot be told."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[19])
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
