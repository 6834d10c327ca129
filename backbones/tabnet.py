"""TabNet over the columns of a table."""

import keras

from backbones.columns import embedded, table_inputs
from blocks.base import check_positive
from blocks.tabnet import TabNet


def tabnet(
    columns, units=16, steps=3, *, gamma=1.3, sparsity=1e-3, embedding=4, unknown=0.0, name="tabnet"
):
    """Return TabNet over the columns of a table: what it found, and which columns it read.

    The masks are an explanation: their mean over the steps says how much an answer owes to each
    column, numbers first, as `heads.Table.names` has them.

    Args:
        columns: `heads.Table.columns`; or the number of columns of numbers, which are taken as
            they are.
        units: Width of what a step finds; 8 to 64 in the paper.
        steps: Number of steps; 3 to 10 in the paper.
        gamma: How often a column may be read; 1 is once.
        sparsity: Weight of the entropy of the masks in the loss.
        embedding: Length of a column's vector.
        unknown: Share of categories made unknown in training, so that the vector of those that
            are not known is learned, and rare ones are not learned by heart.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from `"numeric"` and `"categorical"`, as far as there are such,
        to a dict: `"features"`, `(batch, units)`, and `"masks"`, `(batch, steps, columns)`.

    Raises:
        ValueError: If an argument is out of its range.

    Reference: [Arik and Pfister, 2019](https://arxiv.org/abs/1908.07442)

    >>> tabnet(7).output["masks"].shape
    (None, 3, 7)
    """
    check_positive(embedding=embedding)
    inputs, read, categories = table_inputs(columns, unknown)
    tokens = embedded(read, categories, embedding)
    options = {"gamma": gamma, "sparsity": sparsity}
    outputs = TabNet(units, steps, **options, name="steps")(tokens)
    return keras.Model(inputs, outputs, name=name)
