"""What `make test` leaves to `KERAS_BLOCKS_FULL=1 make test`, so that it stays short."""

import os

import pytest

FULL = bool(os.environ.get("KERAS_BLOCKS_FULL"))
slow = pytest.mark.skipif(not FULL, reason="takes long: run with KERAS_BLOCKS_FULL=1")


def some_slow(names, *of_them):
    """Return the names as parameters, some of them marked."""
    return [pytest.param(name, marks=[slow] * (name in of_them), id=str(name)) for name in names]
