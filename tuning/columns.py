"""Columns of a table as arrays, whatever holds them."""

import numpy as np

from heads.tables.vocabulary import flat, missing


def column(values):
    """Return a column as an array, of which a network reads the same as of the column."""
    kind = str(getattr(values, "dtype", ""))
    if kind == "category":  # pandas', also of numbers
        values = [None if missing(value) else str(value) for value in flat(values)]
    if kind.startswith("datetime64["):  # pandas', also of a time zone
        return np.asarray(values, dtype="datetime64[ns]")
    found = np.asarray(values)
    return found if found.dtype.kind in "biufmM" else np.asarray(values, dtype=object)
