"""The examples in docstrings of heads/segmentation run."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

from heads import segmentation
from tests.test_contract import ShapeChecker

MODULES = [
    importlib.import_module(f"heads.segmentation.{module.name}")
    for module in pkgutil.iter_modules(segmentation.__path__)
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
