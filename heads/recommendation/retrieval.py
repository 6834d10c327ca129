"""Two towers, and which items are nearest to a user."""

import keras
import numpy as np
from keras import layers

from blocks.base import Block, check_positive, register
from heads.base import Head, number_problems, wrong_rows
from heads.embedding import Renamed, UnitLength
from heads.graph import inputs_of
from heads.recommendation.in_batch import LARGEST, InBatchRecall, InBatchSoftmax
from heads.recommendation.index import ItemIndex


@register
class RetrievalHead(Head):
    """Vectors of users and of items, near where a user takes an item.

    It is trained on pairs, each user beside the item that was taken; the other items of the batch
    are the negatives. `heads.deploy(model, items=…, k=10)` answers a user with the nearest items
    of a catalogue: its model has the user's inputs alone, and the catalogue inside. Without
    `items` it answers with both vectors. Its score in training is `in_batch_recall_10`;
    `heads.CatalogueScores` tells what it finds among all items.

    Shape: a dict of `"user"`, `(batch, channels)`, and `"item"`, `(batch, other_channels)`, to
    `(batch, 2 * units)`, both vectors side by side.

    Args:
        units: Length of a vector.
        normalize: Whether vectors have length 1, so that a product is a cosine.
        temperature: Number by which products are divided in the loss; 0.05 suits cosines.
        hard_negatives: How many negatives of the batch count, those nearest to the user;
            `None` is all.
        bias: Whether the projections to the vectors have one.

    Raises:
        ValueError: If an argument is out of its range, or a feature has sides.

    Reference: [Yi et al., 2019](https://doi.org/10.1145/3298689.3346996)

    >>> RetrievalHead(8)({"user": np.ones((1, 5)), "item": np.ones((1, 3))}).shape
    (1, 16)
    """

    levels = ("user", "item")

    def __init__(
        self,
        units=64,
        *,
        normalize=True,
        temperature=0.05,
        hard_negatives=None,
        bias=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(units=units)
        self.loss_options = {"temperature": temperature, "hard_negatives": hard_negatives}
        self.loss()  # wrong options are told now
        options = {"units": units, "normalize": normalize, "bias": bias, "dtype": "float32"}
        self.user, self.item = (Side(**options, name=name) for name in self.levels)

    def build(self, input_shape):
        wrong = not isinstance(input_shape, dict) or any(
            len(input_shape.get(level, ())) != 2 for level in self.levels
        )
        if wrong:
            raise ValueError(
                "A dict of 'user' and 'item', (batch, channels) each, is needed. "
                f"Received: {input_shape}."
            )
        super().build(input_shape)

    def call(self, features):
        return keras.ops.concatenate(
            [self.user(features["user"]), self.item(features["item"])], axis=-1
        )

    def loss(self):
        return InBatchSoftmax(**self.loss_options)

    def make_metrics(self):
        return [InBatchRecall()]

    def answer(self, features, *, items=None, k=10, seen=0, batch_size=1024):
        """Return the symbolic answer: the nearest items, or both vectors.

        Args:
            features: The symbolic features that the head takes.
            items: Inputs of the catalogue's items, an array or a dict by the names of inputs, as
                the model was trained on them; `None` answers with vectors.
            k: Number of items.
            seen: How many items a user may leave out: the length of a further input,
                `"seen"`, of places in `items`, filled up with -1.
            batch_size: Number of items whose vectors are computed at a time.
        """
        if isinstance(seen, bool) or not isinstance(seen, int) or seen < 0:
            raise ValueError(
                "`seen` must be a number of items to leave out, from 0 on: the ids themselves are "
                f"an input of the model. Received: seen={seen!r}."
            )
        user = Renamed(self.user, dtype="float32", name=f"{self.name}_user")(features["user"])
        if items is None:
            item = Renamed(self.item, dtype="float32", name=f"{self.name}_item")(features["item"])
            return {"user": user, "item": item}
        names = [x._keras_history.operation.name for x in inputs_of(features["user"])]
        if seen and "seen" in names:
            raise ValueError(
                "`seen` adds an input of that name, so no other may have it. "
                f"Received: inputs {', '.join(names)}. Rename that input."
            )
        vectors = self.vectors(features["item"], items, batch_size)
        index = ItemIndex(len(vectors), k, dtype="float32", name=f"{self.name}_index")
        inputs = [user, keras.Input((seen,), dtype="int32", name="seen")] if seen else user
        answer = index(inputs)
        index.vectors.assign(vectors)
        return answer

    def vectors(self, item, items, batch_size):
        """Return the vectors of a catalogue's items."""
        inputs = inputs_of(item)
        names = [x._keras_history.operation.name for x in inputs]
        given = items if isinstance(items, dict) else {names[0]: items}
        missing = [name for name in names if name not in given]
        if missing or (len(names) > 1 and not isinstance(items, dict)):
            raise ValueError(
                f"`items` must hold the item's inputs, {', '.join(names)}. "
                f"Received: {', '.join(given) if isinstance(items, dict) else 'one array'}."
            )
        side = Renamed(self.item, dtype="float32", name=f"{self.name}_item")
        tower = keras.Model(dict(zip(names, inputs)), side(item))
        given = {name: np.asarray(given[name]) for name in names}
        counts = {name: len(x) if x.ndim else 0 for name, x in given.items()}
        if len(set(counts.values())) > 1 or not min(counts.values()):
            raise ValueError(
                "A catalogue has items, as many in each of its inputs. "
                f"Received: {', '.join(f'{count} of {name}' for name, count in counts.items())}."
            )
        found = tower.predict(given, batch_size=batch_size, verbose=0)
        finite = np.isfinite(found).all(axis=-1)
        if not finite.all():
            raise ValueError(
                "The vectors of a catalogue's items must be finite. "
                f"Received: other numbers of item {int(np.argmin(finite))}."
            )
        return found

    def check(self, targets):
        return problems(targets)


@register
class Side(Block):
    """One side of retrieval: a projection, and its length made 1."""

    def __init__(self, units, normalize=True, bias=False, **kwargs):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.project = layers.Dense(units, use_bias=bias, dtype=policy, name="project")
        unit = UnitLength if normalize else layers.Identity
        self.unit = unit(dtype=policy, name="unit_length")

    def call(self, x):
        return self.unit(self.project(x))


def item_targets(ids, counts=None):
    """Return targets of retrieval: indices of items, and how probable these are in a batch.

    Args:
        ids: Indices of the items taken, `(pairs,)`, whole numbers from 0 on.
        counts: How often every item of the catalogue is taken, `(items,)`; by default counted
            in `ids`.

    Returns:
        float32 `(pairs, 2)`: indices, and logarithms of probabilities.

    >>> item_targets([0, 0, 2, 0], [4, 2, 2]).tolist()[2] == [2.0, float(np.float32(np.log(0.25)))]
    True
    """
    ids = np.asarray(ids)
    if found := problems(ids.reshape(-1)):
        raise ValueError(found[0])
    ids = ids.reshape(-1).astype("int64")
    counts = np.bincount(ids) if counts is None else np.asarray(counts, "float64")
    if counts.ndim != 1 or not (np.isfinite(counts) & (counts >= 0)).all():
        raise ValueError(
            "`counts` must be a number from 0 on for each item. "
            f"Received: shape {counts.shape}, with {counts.min()}."
        )
    if ids.max() >= len(counts) or (counts[ids] <= 0).any():
        raise ValueError(
            f"`counts` must be above 0 for all items taken. Received: {len(counts)} of them."
        )
    return np.stack([ids, np.log(counts[ids] / counts.sum())], axis=-1).astype("float32")


def problems(targets):
    """Return, in words, what is wrong with targets of retrieval."""
    if found := number_problems(targets):
        return found
    if targets.ndim > 2 or (targets.ndim == 2 and targets.shape[1] not in (1, 2)):
        return [
            "Targets must be indices of items, (batch,), or as heads.item_targets makes them, "
            f"(batch, 2). Received: shape {targets.shape}."
        ]
    rows = np.asarray(targets, "float64").reshape(len(targets), -1)
    ids, log_q = rows[:, 0], rows[:, 1:]
    right = (ids >= 0) & (ids <= LARGEST) & (ids == np.floor(ids))
    found = []
    if not right.all():
        found.append(
            f"Indices of items must be whole numbers from 0 to {LARGEST}, dense ones. "
            f"{wrong_rows(right, ids)} heads.Vocabulary makes them."
        )
    real = (log_q <= 0).all(-1) & np.isfinite(log_q).all(-1)
    if not real.all():
        found.append(
            "Logarithms of probabilities must be finite and not above 0. "
            f"{wrong_rows(real, log_q)} heads.item_targets makes them."
        )
    return found
