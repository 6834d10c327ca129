"""Runs a script of this folder in a process of its own, which a file may bring down."""

import json
import signal
import subprocess
import sys
from numbers import Integral
from pathlib import Path

from export import schema
from export.errors import ExportError

FOLDER = Path(__file__).parent


def ask(script, request, *files):
    """Return what a script answers to a request, a dict.

    Args:
        script: Name of the script: it takes a request as JSON and prints its answer as JSON.
        request: What it is asked.
        files: Paths of the files in question, for the message.

    Raises:
        ExportError: If the process fails; the message has the operations that may be why.
    """
    command = [
        sys.executable,
        "-P",
        str(FOLDER / script),
        json.dumps(request, default=int),
    ]  # of NumPy's numbers
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if not done.returncode:
        return json.loads(done.stdout.splitlines()[-1])
    raise not_run(_how(done), *files)


def not_run(how, *files):
    """Return the `ExportError` of files that do not run, with the operations that may be why."""
    names = {file: schema.read(file).custom for file in files}
    foreign = "; ".join(f"{file.name!r} with {', '.join(x)}" for file, x in names.items() if x)
    if foreign:
        return ExportError(
            f"A file runs on LiteRT with built-in operations only. Received: {foreign}. Convert "
            "without SELECT_TF_OPS and custom operations; export.to_tflite says what to use "
            "instead."
        )
    said = ", ".join(repr(file.name) for file in files)
    return ExportError(f"A file must run on LiteRT. Received: {said}, {how}.")


def check_counts(**counts):
    """Raise where one of the arguments is no whole number from 1."""
    for name, value in counts.items():
        if not is_count(value):
            raise ValueError(f"`{name}` must be a whole number from 1. Received: {name}={value!r}.")


def is_count(value):
    """Return whether a value is a whole number from 1."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 1


def _how(done):
    if done.returncode < 0:
        return f"which ended its process by {signal.Signals(-done.returncode).name}"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1][-500:].rstrip(".") if lines else f"exit status {done.returncode}"
