"""What `make test` leaves to `KERAS_BLOCKS_FULL=1 make test`, so that it stays short."""

import os

import pytest

FULL = bool(os.environ.get("KERAS_BLOCKS_FULL"))
slow = pytest.mark.skipif(not FULL, reason="takes long: run with KERAS_BLOCKS_FULL=1")


def some_slow(values, *of_them, name=str):
    """Return the values as parameters, those of some names marked."""
    return [pytest.param(x, marks=[slow] * (x in of_them), id=name(x)) for x in values]
