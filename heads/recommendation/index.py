"""The items of a catalogue, and which of them are nearest."""

import numpy as np
from keras import layers, ops

from blocks.base import PlainArguments, check_positive, register

HIDDEN = -3e4  # below all scores; float16 holds twice as much
GROUP = 64  # items whose largest score is looked at first
TIE = 1e-4  # what rounding may do to a score, as a share of the largest


class Ranked(PlainArguments, layers.Layer):
    """A layer that answers with items and scores, and says how two such answers agree."""

    stays_float = True  # in int8 files: 256 steps put most items in the same place
    answers = ("items", "scores")

    def agreement(self, expected, actual):
        """Return the share of the items that two answers have in common."""
        pairs = zip(expected["items"], actual["items"])
        return float(np.mean([len(set(a) & set(b)) / len(set(a)) for a, b in pairs]))

    def aligned(self, expected, actual):
        """Return `actual` with near ties in the order of `expected`, for a file of floats."""
        made = {key: np.array(x) for key, x in actual.items()}
        for row, rows in enumerate(
            zip(*(x[key] for x in (expected, made) for key in self.answers))
        ):
            if is_near(*rows):
                made["items"][row] = rows[0]
        return made


@register
class BestItems(Ranked):
    """The best items by their scores, but for those that are left out.

    Shape: a list of scores, `(batch, items)`, and ids to leave out, `(batch, length)`, to a dict:
    `"items"`, int32 `(batch, k)`, the best first, and `"scores"`. Where there is none, items
    are -1.

    Args:
        k: How many are the answer.
        padding: Number of the first ids that are no items.
    """

    def __init__(self, k=10, *, padding=0, **kwargs):
        super().__init__(**kwargs)
        check_positive(k=k)
        self.k, self.padding = k, padding

    def call(self, inputs):
        scores, left_out = inputs
        rows = ops.arange(scores.shape[1], dtype="int32")
        return best(ops.where(rows < self.padding, HIDDEN, scores), self.k, left_out)

    def compute_output_shape(self, input_shape):
        return {"items": (input_shape[0][0], self.k), "scores": (input_shape[0][0], self.k)}


@register
class ItemIndex(Ranked):
    """The best items for a vector, by its product with each of theirs.

    Every item is looked at; there is no approximation.

    Shape: `(batch, units)`, or a list of that and ids of items to leave out, `(batch, length)`,
    those below 0 being none, to a dict: `"items"`, int32 `(batch, k)`, rows of the index, the best
    first, and `"scores"`. Where all are left out items are -1.

    Args:
        count: Number of items.
        k: How many are the answer.
    """

    def __init__(self, count, k=10, **kwargs):
        super().__init__(**kwargs)
        check_positive(count=count, k=k)
        if k > count:
            raise ValueError(f"`k` must be at most the number of items, {count}. Received: k={k}.")
        self.count, self.k = count, k

    def build(self, input_shape):
        vector = input_shape[0] if isinstance(input_shape[0], (list, tuple)) else input_shape
        self.vectors = self.add_weight(
            name="vectors", shape=(self.count, vector[-1]), trainable=False, initializer="zeros"
        )

    def call(self, inputs):
        several = isinstance(inputs, (list, tuple))
        x, left_out = inputs if several else (inputs, None)
        return best(ops.matmul(x, ops.transpose(self.vectors)), self.k, left_out)

    def compute_output_shape(self, input_shape):
        vector = input_shape[0] if isinstance(input_shape[0], (list, tuple)) else input_shape
        return {"items": (vector[0], self.k), "scores": (vector[0], self.k)}


def best(scores, k, left_out=None):
    """Return the `k` best of scores, `(batch, items)`, but for those that are left out."""
    more = 0 if left_out is None else left_out.shape[1]
    values, places = highest(scores, min(k + more, scores.shape[1]))
    if left_out is not None:
        known = ops.cast(left_out, "int32")
        seen = ops.any(places[:, :, None] == known[:, None, :], axis=-1)
        values, order = ops.top_k(ops.where(seen, HIDDEN, values), k)
        places = ops.take_along_axis(places, ops.cast(order, "int32"), axis=1)
    there = values > HIDDEN / 2
    return {"items": ops.where(there, places, -1), "scores": ops.where(there, values, 0.0)}


def highest(scores, k):
    """Return the `k` largest of many scores, `(batch, items)`, and their places.

    They lie in the `k` groups of items whose largest scores are the largest ones: only these are
    sorted.
    """
    count = scores.shape[1]
    groups = -(-count // GROUP)
    if groups < 2 * k:
        values, places = ops.top_k(scores, k)
        return values, ops.cast(places, "int32")
    if count % GROUP:
        scores = ops.pad(scores, [[0, 0], [0, groups * GROUP - count]], constant_values=2 * HIDDEN)
    scores = ops.reshape(scores, (-1, groups, GROUP))
    _, chosen = ops.top_k(ops.max(scores, axis=-1), k)
    chosen = ops.cast(chosen, "int32")
    few = ops.reshape(ops.take_along_axis(scores, chosen[..., None], axis=1), (-1, k * GROUP))
    values, places = ops.top_k(few, k)
    places = ops.cast(places, "int32")
    start = ops.take_along_axis(chosen, places // GROUP, axis=1) * GROUP
    return values, start + places % GROUP


def is_near(ours, scores, theirs, found):
    """Return whether two lists of items differ in nothing but the order of equal scores."""
    slack = TIE * np.abs(scores).max()
    if np.abs(scores - found).max() > slack:
        return False
    for item, score in zip(ours, scores):
        (places,) = np.nonzero(theirs == item)
        other = found[places[0]] if len(places) else scores[-1]  # perhaps the last to find room
        if abs(score - other) > slack:
            return False
    return True
