"""One row for every public layer: the modules of this folder, each a list of `CASES`."""

import importlib
import pkgutil

import keras

import blocks
import heads

PUBLIC = {
    value
    for package in (blocks, heads)
    for value in (getattr(package, name) for name in package.__all__)
    if isinstance(value, type)
    and issubclass(value, keras.Layer)
    and value not in (blocks.Block, heads.Head)
}

MODULES = sorted(module.name for module in pkgutil.iter_modules(__path__))
CASES = [
    case
    for name in MODULES
    for case in getattr(importlib.import_module(f"tests.cases.{name}"), "CASES", [])
]
