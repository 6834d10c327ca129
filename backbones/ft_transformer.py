"""FT-Transformer: a transformer over the columns of a table."""

import keras
from keras import layers

from backbones.columns import table_inputs
from blocks import FeatureTokenizer, TransformerEncoder
from blocks.base import check_positive, check_rate


def ft_transformer(
    columns,
    units=192,
    depth=3,
    num_heads=8,
    *,
    expansion=4 / 3,
    activation="gelu",
    dropout=0.1,
    unknown=0.0,
    name="ft_transformer",
):
    """Return a transformer over the columns of a table, as its class token and all tokens.

    Args:
        columns: `heads.Table.columns`; or the number of columns of numbers, which are taken as
            they are.
        units: Length of a token; 192 in the paper's default.
        depth: Number of blocks; 3 there.
        num_heads: Number of attention heads; 8 there.
        expansion: Units of the first dense layer of a block, as a multiple of `units`; 4/3 there.
        activation: Name of its Keras activation. The paper has `"reglu"`, which costs a second
            layer.
        dropout: Share of each branch's outputs made zero in training.
        unknown: Share of categories made unknown in training, so that the vector of those that
            are not known is learned, and rare ones are not learned by heart.
        name: Name of the model.

    Returns:
        A functional `keras.Model` from `"numeric"` and `"categorical"`, as far as there are such,
        to a dict: `"tokens"`, `(batch, 1 + columns, units)`, the class token first, and
        `"features"`, that token alone.

    Raises:
        ValueError: If an argument is out of its range.

    Reference: [Gorishniy et al., 2021](https://arxiv.org/abs/2106.11959)

    >>> ft_transformer(7, units=32).output["tokens"].shape
    (None, 8, 32)
    """
    check_positive(units=units, depth=depth, num_heads=num_heads)
    check_rate(dropout=dropout)
    inputs, read, categories = table_inputs(columns, unknown)
    x = FeatureTokenizer(units, categories, class_token=True, name="tokens")(read)
    options = {"expansion": expansion, "activation": activation, "dropout": dropout}
    for i in range(depth):
        x = TransformerEncoder(num_heads, **options, name=f"block{i}")(x)
    tokens = layers.LayerNormalization(name="norm")(x)
    return keras.Model(inputs, {"tokens": tokens, "features": tokens[:, 0]}, name=name)
