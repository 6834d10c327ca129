"""The examples in docstrings of the folders of heads run."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

from heads import multi_task, recommendation, segmentation, tables
from tests.test_contract import ShapeChecker

MODULES = [
    importlib.import_module(f"{folder.__name__}.{module.name}")
    for folder in (multi_task, recommendation, segmentation, tables)
    for module in pkgutil.iter_modules(folder.__path__)
]
EXAMPLES = [
    example
    for module in MODULES
    for name, value in vars(module).items()
    if getattr(value, "__module__", None) == module.__name__
    and (inspect.isfunction(value) or inspect.isclass(value))
    for example in doctest.DocTestFinder(recurse=False).find(
        value, name, globs={**vars(module), "np": np}
    )
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_run(example):
    runner = doctest.DocTestRunner(checker=ShapeChecker(), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(example).failed == 0
