"""Ids as vectors, whatever ids come."""

import keras
from keras import initializers, layers, ops

from blocks.base import PlainArguments, check_positive, check_rate, register

COMBINERS = ("mean", "sum", "sqrtn")


class Ids(PlainArguments, layers.Layer):
    """A vector for each id of a known number, and one, the first, for all that are not known."""

    def __init__(self, size, units, *, hashed=False, **kwargs):
        super().__init__(**kwargs)
        check_positive(size=size, units=units)
        self.size, self.units, self.hashed = size, units, hashed

    def build(self, input_shape):
        self.vectors = self.add_weight(
            name="vectors",
            shape=(self.size, self.units),
            initializer=initializers.RandomUniform(-0.05, 0.05),  # as keras.layers.Embedding's
        )

    def take(self, ids):
        """Return the vectors of ids."""
        ids = ops.cast(ids, "int32")
        if self.hashed:
            ids = ops.mod(ids, self.size)
        else:
            ids = ops.where(ops.logical_and(ids >= 0, ids < self.size), ids, 0)
        return ops.take(ops.cast(self.vectors, self.compute_dtype), ids, axis=0)


@register
class IdEmbedding(Ids):
    """A learned vector for every id; those that are not known have the first.

    Other than `keras.layers.Embedding` it takes every id: what lies outside of the known ones
    is read as 0, or hashed. Keras casts what it is given to int32 first, where ids beyond it
    become others: `heads.Vocabulary` makes ids of those.

    Shape: whole numbers `(batch, ...)` to `(batch, ..., units)`.

    Args:
        size: Number of ids, 0 to `size - 1`.
        units: Length of a vector.
        hashed: Whether ids are taken modulo `size`, so that many share a vector, and none is
            unknown.

    >>> embed = IdEmbedding(3, 2)
    >>> x = embed(np.array([[0, 2, 99, -5]]))
    >>> x.shape, bool(np.array(x[0, 2] == x[0, 0]).all())
    ((1, 4, 2), True)
    """

    def call(self, ids):
        return self.take(ids)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.units)


@register
class BagEmbedding(Ids):
    """The mean of the vectors of several ids: genres, tags, a history without order.

    Shape: whole numbers `(batch, length)`, those below 0 being none, or a list of them and of
    their weights, `(batch, length)`, to `(batch, units)`. An empty bag is zeros.

    Args:
        size: Number of ids, 0 to `size - 1`; larger ones are read as 0.
        units: Length of a vector.
        combiner: `"mean"`; `"sum"`; or `"sqrtn"`, the sum divided by the root of the summed squares
            of the weights.
        hashed: Whether ids are taken modulo `size`.

    >>> keras.ops.convert_to_numpy(BagEmbedding(5, 2)(np.array([[1, -1], [-1, -1]])))[1].tolist()
    [0.0, 0.0]
    """

    def __init__(self, size, units, *, combiner="mean", hashed=False, **kwargs):
        super().__init__(size, units, hashed=hashed, **kwargs)
        if combiner not in COMBINERS:
            raise ValueError(
                f"`combiner` must be one of {', '.join(COMBINERS)}. Received: {combiner!r}."
            )
        self.combiner = combiner

    def call(self, inputs):
        ids, weights = inputs if isinstance(inputs, (list, tuple)) else (inputs, None)
        real = ops.cast(ids >= 0, self.compute_dtype)
        weights = real if weights is None else real * ops.cast(weights, self.compute_dtype)
        total = ops.sum(self.take(ids) * weights[:, :, None], axis=1)
        if self.combiner == "sum":
            return total
        size = ops.sum(weights if self.combiner == "mean" else weights * weights, 1, keepdims=True)
        size = size if self.combiner == "mean" else ops.sqrt(size)
        return total / ops.where(ops.abs(size) > 0, size, 1.0)

    def compute_output_shape(self, input_shape):
        first = input_shape[0]
        shape = first if isinstance(first, (list, tuple)) else input_shape
        return (shape[0], self.units)


@register
class IdDropout(PlainArguments, layers.Layer):
    """Make a share of ids unknown, 0, in training.

    So the vector of what is not known is learned, and rare ids are not learned by heart. Ids below
    0 stay: they are none.

    Shape: whole numbers `(batch, ...)` to the same.

    Args:
        rate: Share of ids made 0.
        seed: Seed of the draws, a whole number; `None` draws one.

    Reference: [Volkovs et al., 2017](https://papers.nips.cc/paper/7081) (DropoutNet), of ids
    instead of whole inputs

    >>> x = IdDropout(0.5)(np.array([[3, 1, 4]]))  # as they are, but in training
    >>> keras.ops.convert_to_numpy(x).tolist()
    [[3, 1, 4]]
    """

    def __init__(self, rate, *, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_rate(rate=rate)
        self.rate = rate
        self.random = keras.random.SeedGenerator(seed)

    def call(self, ids, training=False):
        if not training or not self.rate:
            return ids
        kept = keras.random.uniform(ops.shape(ids), seed=self.random) >= self.rate
        return ops.where(ops.logical_or(kept, ids < 0), ids, ops.zeros_like(ids))

    def compute_output_shape(self, input_shape):
        return input_shape
