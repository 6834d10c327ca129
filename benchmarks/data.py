"""The data sets under `KERAS_BLOCKS_DATA`, of which benchmarks bring none."""

import importlib.util
import os
from pathlib import Path


def load(name):
    """Return the arrays of a data set by name, or end the program saying what is missing."""
    folder = os.environ.get("KERAS_BLOCKS_DATA")
    if not folder or not Path(folder, "load.py").exists() or not Path(folder, name).is_dir():
        raise SystemExit(
            f"KERAS_BLOCKS_DATA must name a folder that holds load.py and {name} "
            "(benchmarks/README.md says how to make it): set KERAS_BLOCKS_DATA. "
            f"Received: {folder!r}."
        )
    spec = importlib.util.spec_from_file_location("load", Path(folder, "load.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load(name)
