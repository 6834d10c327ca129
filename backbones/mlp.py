"""Dense layers over the columns of a table."""

import keras
from keras import layers

from backbones.columns import embedded, table_inputs
from blocks import GatedLinearUnit, ResidualMLP
from blocks.base import check_above_zero, check_positive, check_rate

KINDS = ("plain", "residual", "gated")


def mlp(
    columns,
    units=256,
    depth=3,
    *,
    kind="plain",
    embedding=16,
    periodic=0.1,
    dropout=0.1,
    activation="relu",
    unknown=0.0,
    name="mlp",
):
    """Return dense layers over the columns of a table as `{"features": …}`.

    Every column is made a vector first, of a number by sines and cosines.

    Args:
        columns: `heads.Table.columns`; or the number of columns of numbers, which are taken as
            they are.
        units: Width of every layer.
        depth: Number of layers.
        kind: `"plain"`; `"residual"`, each a `blocks.ResidualMLP`; or `"gated"`, each a
            `blocks.GatedLinearUnit`.
        embedding: Length of a column's vector.
        periodic: Standard deviation of the first frequencies of `blocks.PeriodicEmbedding`, or
            `None`: then a number's vector is linear.
        dropout: Share of a layer's outputs made zero in training.
        activation: Name of the Keras activation, of `"gated"` that of the gates.
        unknown: Share of categories made unknown in training, so that the vector of those that
            are not known is learned, and rare ones are not learned by heart.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from `"numeric"` and `"categorical"`, as far as there are such,
        to `{"features": (batch, units)}`.

    Raises:
        ValueError: If an argument is out of its range.

    Reference: [Gorishniy et al., 2022](https://arxiv.org/abs/2203.05556) (MLP-PLR);
    [Gorishniy et al., 2021](https://arxiv.org/abs/2106.11959) (residual)

    >>> mlp(7, units=32).output["features"].shape
    (None, 32)
    """
    check_positive(units=units, depth=depth, embedding=embedding)
    check_rate(dropout=dropout)
    if periodic is not None:
        check_above_zero(periodic=periodic)
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}.")
    inputs, read, categories = table_inputs(columns, unknown)
    x = layers.Flatten(name="line")(embedded(read, categories, embedding, periodic=periodic))
    if kind == "residual":
        x = layers.Dense(units, name="project")(x)
    for i in range(depth):
        if kind == "residual":
            x = ResidualMLP(activation=activation, dropout=dropout, name=f"layer{i}")(x)
        elif kind == "gated":
            x = GatedLinearUnit(units, activation=activation, dropout=dropout, name=f"layer{i}")(x)
        else:
            x = layers.Dense(units, activation, name=f"layer{i}")(x)
            x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    if kind == "residual":
        x = layers.Activation(activation, name="act")(layers.BatchNormalization(name="norm")(x))
    return keras.Model(inputs, {"features": x}, name=name)
