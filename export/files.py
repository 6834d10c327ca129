"""Files that are whole or absent: written aside, then renamed."""

import contextlib
import errno
import json
import math
import os
import shutil
import uuid
from pathlib import Path


def target(path, suffix):
    """Return `path` as a `Path` that may be written: of the right suffix, and no directory."""
    path = Path(path).expanduser()
    if path.suffix != suffix:
        raise ValueError(f"The file's name must end in {suffix!r}. Received: path={str(path)!r}.")
    if path.is_dir():
        raise IsADirectoryError(
            errno.EISDIR, "A file's path is needed, this is a directory", str(path)
        )
    return path


def existing(path, purpose):
    """Return `path` as a `Path` of a file that is there; `purpose` is for the message."""
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(
            f"A file's path is needed to {purpose}. Received: path={str(path)!r}, a directory."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no file to {purpose}. Received: path={str(path)!r}.")
    return path


@contextlib.contextmanager
def aside(*paths):
    """Yield a path beside each of `paths`; they are renamed if the body ends well.

    The files, and folders that are missing, are made at once, so that a folder that takes none
    says so before any work is done. On any exception, Ctrl-C included, the files are removed
    and `paths` stay as they were.
    """
    parts = [path.with_name(f".{path.name}.{uuid.uuid4().hex}.part") for path in paths]
    try:
        for part, path in zip(parts, paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(part, path)
        yield parts
        for part in parts:
            _sync(part)
        for part, path in zip(parts, paths):
            os.replace(part, path)
    except BaseException:
        for part in parts:
            part.unlink(missing_ok=True)
        raise


def check_place(path, is_ours, folder=False):
    """Raise where something that is not ours is at a path, but for an empty folder."""
    if not path.exists() or path.is_dir() == folder and is_ours(path):
        return
    if not folder or not path.is_dir() or any(path.iterdir()):
        raise FileExistsError(
            errno.EEXIST, "A bundle replaces a bundle alone, and this is something else", str(path)
        )


@contextlib.contextmanager
def folder_aside(path, is_ours):
    """Yield a folder beside `path`, which takes its place if the body ends well.

    On any exception, Ctrl-C included, it is removed, and what was at `path` stays.

    Args:
        path: Where a folder is to be: nothing, an empty folder, or one of ours.
        is_ours: Function that says whether a folder may be replaced.

    Raises:
        FileExistsError: If there is something else.
    """
    check_place(path, is_ours, folder=True)
    name = f".{path.name}.{uuid.uuid4().hex}"
    part, old = path.with_name(f"{name}.part"), path.with_name(f"{name}.old")
    try:
        part.mkdir(parents=True)
        yield part
        for file in part.rglob("*"):
            if file.is_file():
                _sync(file)
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(part, path)
        except BaseException:
            if old.exists():
                os.replace(old, path)
            raise
    finally:
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)


def write_json(facts, path):
    """Write a dict as JSON; infinity, which JSON lacks, becomes `null`."""
    Path(path).write_text(as_json(facts), encoding="utf-8")


def as_json(facts):
    """Return a dict as the text of a JSON file."""
    return json.dumps(_plain(facts), indent=2) + "\n"


def _make(part, path):
    try:
        part.touch(exist_ok=False)
    except OSError as error:
        raise type(error)(
            error.errno, f"No file can be written to this folder ({error.strerror})", str(path)
        ) from error


def _sync(part):
    with open(part, "rb") as file:
        os.fsync(file.fileno())


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
