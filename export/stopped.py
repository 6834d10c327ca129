"""Ctrl-C while the command imports its libraries, which takes seconds, is one line, too."""

import os
import sys
from pathlib import Path

STOPPED = "keras-blocks: stopped"
STATUS = 130  # of a shell's commands that Ctrl-C ended


def is_command():
    """Return whether Python was started for the command: by its name, or as `python -m export`."""
    started = sys.argv[0] if sys.argv else ""
    if started == "-m":  # while it imports the package that it is to run
        return "export" in sys.orig_argv
    return Path(started).stem == "keras-blocks"


def told(kind, error, trace, before=sys.excepthook):
    """Print a line and end the process where an exception is of Ctrl-C."""
    each = error
    while each is not None and not isinstance(each, KeyboardInterrupt):
        each = each.__cause__ or each.__context__  # modules in C make an ImportError of it
    if each is None:
        before(kind, error, trace)
        return
    print(STOPPED, file=sys.stderr, flush=True)
    os._exit(STATUS)


if is_command():
    sys.excepthook = told
