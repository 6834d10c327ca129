"""What is known after each step of a history."""

import math

import keras
import numpy as np
from keras import layers, ops

from blocks import IdEmbedding, PositionEmbedding, TransformerEncoder
from blocks.base import Block, PlainArguments, register


@register
class History(Block):
    """What is known after each step of histories: `(batch, length)` to `(…, units)`."""

    def __init__(self, num_items, units, depth, num_heads, *, kind, length, dropout, **kwargs):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.num_items, self.length = num_items, length
        self.table = ItemTable(num_items, units, dtype=policy, name="table")
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")
        self.place = layers.Identity(dtype=policy, name="place")
        self.after = layers.Identity(dtype=policy, name="after")
        self.norm = layers.LayerNormalization(dtype=policy, name="norm")
        if kind == "attention":
            self.place = PositionEmbedding(length, interpolate=False, dtype=policy, name="place")
            options = {"causal": True, "expansion": 1, "activation": "relu", "dropout": dropout}
            self.layers = [
                TransformerEncoder(num_heads, **options, dtype=policy, name=f"block{i}")
                for i in range(depth)
            ]
        else:
            options = {"return_sequences": True, "dtype": policy}
            self.layers = [layers.GRU(units, **options, name=f"gru{i}") for i in range(depth)]
            # Not GRU's own dropout, which draws at inference, too.
            self.after = layers.Dropout(dropout, dtype=policy, name="after")

    def call(self, ids):
        ids = ops.cast(ids, "int32")[:, -self.length :]
        there = (ids > 0) & (ids <= self.num_items)
        x = self.table(ids) * ops.cast(there, self.compute_dtype)[..., None]
        x = self.dropout(self.place(x * math.sqrt(x.shape[-1])))
        for layer in self.layers:
            x = self.after(layer(x, mask=there))
        return self.norm(x)


@register
class ItemTable(IdEmbedding):
    """A vector for each item, which reads it and scores it; 0 is no item."""

    def __init__(self, num_items, units, **kwargs):
        super().__init__(num_items + 1, units, **kwargs)

    def scores(self, x):
        """Return the product of vectors with those of all ids."""
        return ops.matmul(x, ops.transpose(ops.cast(self.vectors, self.compute_dtype)))


@register
class NextScores(layers.Wrapper):
    """The scores of all items after a `History`: `(batch, length)` to `(batch, 1 + num_items)`."""

    def call(self, ids):
        return self.layer.table.scores(self.layer(ids)[:, -1])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.layer.table.size)


@register
class Negatives(PlainArguments, layers.Layer):
    """Ids of items, drawn evenly in training, else evenly spaced: `(batch, …)` to `(count,)`."""

    def __init__(self, num_items, count, *, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.num_items, self.count = num_items, count
        self.random = keras.random.SeedGenerator(seed)

    def call(self, ids, training=False):
        if not training:
            spaced = np.linspace(1, self.num_items, self.count).round().astype("int32")
            return ops.convert_to_tensor(spaced) + 0 * ops.cast(ids[0, 0], "int32")
        return keras.random.randint((self.count,), 1, self.num_items + 1, seed=self.random)

    def compute_output_shape(self, input_shape):
        return (self.count,)
