"""What networks of tables share: their inputs."""

import keras
from keras import layers

from blocks import FeatureTokenizer, IdDropout, PeriodicEmbedding
from blocks.base import check_positive, check_rate
from blocks.piecewise import PiecewiseLinear


def table_inputs(columns, unknown=0.0):
    """Return the `keras.Input`s of a table's columns, and the columns as networks read them.

    Args:
        columns: `heads.Table.columns`, or a number of columns of numbers, which are then taken as
            they are.
        unknown: Share of categories made unknown in training.

    Returns:
        Two dicts: the inputs, and `"numeric"`, `(batch, columns)`, scaled, with what says that one
        is missing, and `"categorical"`, ids; and the number of categories of each of those.
    """
    check_rate(unknown=unknown)
    if isinstance(columns, int):
        check_positive(columns=columns)
        x = keras.Input((columns,), name="numeric")
        return {"numeric": x}, {"numeric": x}, []
    keys = {"points", "gaps", "categories"}
    if not isinstance(columns, dict) or set(columns) != keys:
        raise ValueError(
            "`columns` must be those of a heads.Table, `table.columns`, or a number of columns. "
            f"Received: columns={str(columns)[:80]}."
        )
    points, categories = columns["points"], columns["categories"]
    inputs, read = {}, {}
    if points:
        inputs["numeric"] = keras.Input((len(points),), name="numeric")
        scale = PiecewiseLinear(points, columns["gaps"], name="scale")
        read["numeric"] = scale(inputs["numeric"])
    if categories:
        x = keras.Input((len(categories),), dtype="int32", name="categorical")
        inputs["categorical"] = x
        read["categorical"] = IdDropout(unknown, name="unknown")(x) if unknown else x
    if not inputs:
        raise ValueError(f"A table has columns. Received: columns={columns}.")
    return inputs, read, categories


def embedded(read, categories, units, *, periodic=None, name="embed"):
    """Return a vector for every column, `(batch, columns, units)` each: numbers, then categories.

    Args:
        read: The columns, as `table_inputs` gives them.
        categories: Number of categories of each column.
        units: Length of a vector.
        periodic: `None`, or the standard deviation of the first frequencies of a
            `PeriodicEmbedding`, which then reads the numbers.
        name: Name of the layers.
    """
    if periodic is None or "numeric" not in read:
        return FeatureTokenizer(units, categories, name=name)(read)
    parts = [PeriodicEmbedding(units, scale=periodic, name=f"{name}_numbers")(read["numeric"])]
    if categories:
        tokens = FeatureTokenizer(units, categories, name=name)
        parts.append(tokens({"categorical": read["categorical"]}))
    return parts[0] if len(parts) == 1 else layers.Concatenate(axis=1, name=f"{name}_all")(parts)
