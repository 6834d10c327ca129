"""The columns of a table as vectors, for heads that relate them."""

import keras

from backbones.columns import embedded, table_inputs
from blocks.base import check_positive


def column_tokens(columns, units=16, *, unknown=0.0, name="column_tokens"):
    """Return a vector for every column of a table as `{"tokens": …}`.

    Args:
        columns: `heads.Table.columns`; or the number of columns of numbers, which are taken as
            they are.
        units: Length of a vector.
        unknown: Share of categories made unknown in training, so that the vector of those that
            are not known is learned, and rare ones are not learned by heart.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from `"numeric"` and `"categorical"`, as far as there are such,
        to `{"tokens": (batch, columns, units)}`.

    Raises:
        ValueError: If an argument is out of its range.

    >>> column_tokens(7, 8).output["tokens"].shape
    (None, 7, 8)
    """
    check_positive(units=units)
    inputs, read, categories = table_inputs(columns, unknown)
    return keras.Model(inputs, {"tokens": embedded(read, categories, units)}, name=name)
