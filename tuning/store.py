"""The one store of a search: a file or a database of Optuna's that all its workers share."""

import contextlib
import os
import re
import sqlite3
import time
from pathlib import Path

import optuna
import sqlalchemy

from tuning.server import Server, package, was_lost

TRIES = 20
LOCKED = 60.0  # seconds for which a locked file is waited for
SERVERS = ("postgresql", "mysql", "mariadb")
JOURNAL = ".journal"

optuna.logging.set_verbosity(optuna.logging.WARNING)

Unreachable = optuna.exceptions.StorageInternalError
RACES = (  # several workers that start together create the same tables
    optuna.exceptions.DuplicatedStudyError,
    sqlalchemy.exc.IntegrityError,
    sqlalchemy.exc.ProgrammingError,
)


def open_study(storage, directions, name="search", overwrite=False):
    """Open the study of a search in its store; create what there is not.

    Args:
        storage: Path of an SQLite file; of a journal, ending in `.journal`, for workers on
            machines that share a disk; or the URL of a database, such as
            `postgresql://user:password@host/database`.
        directions: `"min"` or `"max"` of each objective.
        name: Name of the study; several searches may share a database.
        overwrite: Whether to remove what there is of that name first.

    Raises:
        ValueError: If the store cannot be opened, is no such, or its directions are others.
    """
    for attempt in range(TRIES):
        try:
            opened = _storage(storage)
            if overwrite:
                with contextlib.suppress(KeyError):
                    optuna.delete_study(study_name=name, storage=opened)
            study = optuna.create_study(
                study_name=name,
                storage=opened,
                directions=[f"{direction}imize" for direction in directions],
                load_if_exists=True,
            )
            break
        except RACES:
            if attempt == TRIES - 1:
                raise
        except (Unreachable, sqlalchemy.exc.OperationalError) as error:
            passes = "already exists" in _cause(error) or was_lost(error)
            if not passes or attempt == TRIES - 1:
                raise _unusable(storage, error) from error
        except (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError, ValueError) as error:
            raise _unusable(storage, error) from error
        except ImportError as error:
            raise ImportError(
                f"A database of this kind needs a package. Received: {shown(storage)}. "
                f"Install it: pip install '{package(error)}'."
            ) from error
        time.sleep(0.05 * (attempt + 1))
    wanted = [f"{direction}imize".upper() for direction in directions]
    if [direction.name for direction in study.directions] != wanted:
        raise ValueError(
            "A store keeps the objectives it was begun with. Received: directions "
            f"{directions}, where {shown(storage)} has {len(study.directions)} of others. Choose "
            "another `project_name`, or begin anew with overwrite=True."
        )
    return study


def location(storage, folder):
    """Return where a search keeps everything; a relative path stands in the search's folder.

    Args:
        storage: `None`, a path or a URL.
        folder: Folder of the search.
    """
    if storage is None:
        return os.path.join(folder, "search.db")
    if not isinstance(storage, (str, os.PathLike)) or not str(storage):
        raise ValueError(
            "`storage` must be None, the path of a file, or the URL of a database. "
            f"Received: storage={storage!r}."
        )
    storage = str(storage)
    if "://" in storage:
        kind = storage.partition("://")[0].partition("+")[0]
        if kind in SERVERS:
            return storage
        raise ValueError(
            f"A database is one of {', '.join(SERVERS)}. Received: {shown(storage)}. SQLite is "
            "given by the path of its file."
        )
    # Optuna's journal waits for ever behind a dead worker where its path is relative.
    return os.path.abspath(os.path.join(folder, os.path.expanduser(storage)))


def shown(storage):
    """Return a path or URL without a password.

    >>> shown("postgresql://me:secret@db/x")
    'postgresql://me:***@db/x'
    """
    hidden = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", storage)
    return re.sub(r"(password=)[^&]*", r"\1***", hidden)


def _storage(storage):
    if "://" in storage:
        return Server(storage)
    Path(storage).parent.mkdir(parents=True, exist_ok=True)
    if storage.endswith(JOURNAL):
        journal = optuna.storages.journal
        lock = journal.JournalFileOpenLock(storage)
        mend(storage, lock)
        return optuna.storages.JournalStorage(Journal(storage, lock_obj=lock))
    engine = {"creator": lambda: _connect(storage), "poolclass": sqlalchemy.pool.QueuePool}
    return optuna.storages.RDBStorage("sqlite://", engine_kwargs=engine)


class Journal(optuna.storages.journal.JournalFileBackend):
    """A journal that cuts off what a worker had half written when it died or the disk was full.

    Nothing that is written behind half a line could be read.
    """

    def append_logs(self, logs):
        mend(self._file_path, self._lock)
        super().append_logs(logs)


def mend(path, lock):
    """Cut off half a line at the end of a journal."""
    if not _torn(path):  # without the lock, as at every write
        return
    lock.acquire()
    try:
        if _torn(path):
            with open(path, "rb+") as file:
                file.truncate(file.read().rfind(b"\n") + 1)
    finally:
        lock.release()


def _torn(path):
    """Return whether a journal ends within a line, or another worker writes one right now."""
    if not os.path.exists(path) or not os.path.getsize(path):
        return False
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _connect(path):
    # By path, not by address: braces, percent and question marks of a folder stay what they are.
    connection = sqlite3.connect(path, timeout=LOCKED, check_same_thread=False)
    # Appending to a log needs no wait for the disk at each of the many small writes of a trial;
    # a killed process loses nothing, a power cut at most the last moments.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def _cause(error):
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def _unusable(storage, error):
    repair = (
        "Do its server, user, password and database exist, and does this machine reach it?"
        if "://" in storage
        else "Is it free, and made by a search? Where the file is broken, put back a copy, or "
        "begin anew with overwrite=True."
    )
    return ValueError(
        f"The store of a search must be one that opens. Received: {shown(storage)}, "
        f"{' '.join(_cause(error).split())[:300].rstrip('.')}. {repair}"
    )
