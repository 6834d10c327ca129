"""What a user names on the command line: a model, samples, labels, modules."""

import importlib
import json
import re
import zipfile

import keras
import numpy as np

from export.convert import ROOT
from export.errors import ExportError
from export.files import existing

OURS = "keras_blocks>"  # before the names of what this distribution registers


def model_of(path, imports=()):
    """Return the model of a `.keras` file, after importing modules that register its layers."""
    path = existing(path, "load as the model")
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ValueError(f"The .keras file is damaged, or none. Received: path={str(path)!r}.")
    for name in (*_rooms_of(path), *imports):
        _import(name)
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever its layers raise
        said = str(error).rpartition("Exception encountered: ")[2]
        unknown = re.search(r"ould not locate (\w+ '.+?')", said)
        if unknown:
            raise ExportError(
                f"A model's own parts must be registered. Received: path={str(path)!r} with "
                f"{unknown[1]}. Name the module that registers it: --import MODULE."
            ) from error
        raise ExportError(
            f"The model must load. Received: path={str(path)!r}, "
            f"{' '.join(said.split())[:300] or type(error).__name__}"
        ) from error


def arrays_of(path, option):
    """Return the array of a `.npy` file, or those of a `.npz` file by name."""
    if path is None:
        return None
    path = existing(path, f"read as {option}")
    try:
        with open(path, "rb") as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return content
            found = dict(content)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"`{option}` must be a .npy or .npz file of arrays of numbers. Received: "
            f"path={str(path)!r}, {type(error).__name__}."
        ) from error
    # NumPy names arrays that were given none: one such is the only input's.
    return found["arr_0"] if list(found) == ["arr_0"] else found


def labels_of(path):
    """Return the lines of a file, or `None` where none is named."""
    if path is None:
        return None
    path = existing(path, "read as --labels")
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`--labels` must be a file of text in UTF-8. Received: path={str(path)!r}."
        ) from error


def _rooms_of(path):
    """Return the packages beside this one that register layers of a `.keras` file.

    A file names the modules of its layers; those of others are imported only if a person says so.
    """
    found = set()

    def note(value):
        if str(value.get("registered_name")).startswith(OURS):
            found.add(str(value.get("module")).partition(".")[0])
        return value

    try:
        with zipfile.ZipFile(path) as archive:
            json.loads(archive.read("config.json"), object_hook=note)
    except (KeyError, ValueError, zipfile.BadZipFile):
        return []  # Keras says what is wrong with it
    return sorted(name for name in found if (ROOT / name / "__init__.py").is_file())


def _import(name):
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever the module does
        raise ValueError(
            f"`--import` names modules that can be imported from here. Received: {name}, "
            f"{type(error).__name__}: {error}"
        ) from error
