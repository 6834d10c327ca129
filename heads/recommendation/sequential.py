"""What comes next in a history: SASRec, and a recurrent one."""

import math

import numpy as np
from keras import layers, ops

from blocks.base import check_positive, check_rate, register
from heads.base import Head, number_problems, wrong_rows
from heads.recommendation.history import History, Negatives, NextScores
from heads.recommendation.index import HIDDEN, BestItems
from heads.recommendation.sequential_loss import NextItem, NextItemRecall

KINDS = ("attention", "gru")


@register
class SequentialHead(Head):
    """The item that comes next, of a history of items.

    Histories are ids from 1 on, the newest last, filled up with 0 in front. Each step is trained
    to find the next one, among all items or among `negatives` drawn evenly; the inputs are the
    targets. One table of vectors reads items and scores them. `heads.deploy(model, k=10)` answers
    with the best items to come, of those that the history does not hold.

    Shape: ids, whole numbers `(batch, length)`, to `(batch, length - 1, 1 + negatives)`: for each
    step but the last the logit of the item that came next, and those of the negatives; without
    negatives to `(batch, length - 1, 1 + num_items)`.

    Args:
        num_items: Number of items, whose ids are 1 to `num_items`; others are read as 0.
        units: Length of an item's vector; 50 in the paper.
        depth: Number of blocks, or of recurrent layers; 2 in the paper.
        num_heads: Number of attention heads; 1 in the paper.
        kind: `"attention"`, SASRec, or `"gru"`, GRU4Rec, whose loops int8 files do not hold: take
            `"dynamic"` for those.
        length: Steps that are looked at, the last ones; 50 to 200 in the paper.
        negatives: Number of items that each step's own is compared with, or `None` for all.
        dropout: Share of vectors' and branches' numbers made zero in training; 0.2 to 0.5 in the
            paper.

    Raises:
        ValueError: If an argument is out of its range.

    Reference: [Kang and McAuley, 2018](https://arxiv.org/abs/1808.09781) (SASRec);
    [Hidasi et al., 2015](https://arxiv.org/abs/1511.06939) (GRU4Rec). Both with the softmax over
    sampled items in place of their losses, as
    [Klenitskiy and Vasilev, 2023](https://arxiv.org/abs/2309.07602) advise.

    >>> SequentialHead(20, 8, negatives=5)(np.array([[0, 3, 7, 1]])).shape
    (1, 3, 6)
    """

    def __init__(
        self,
        num_items,
        units=64,
        depth=2,
        num_heads=1,
        *,
        kind="attention",
        length=50,
        negatives=256,
        dropout=0.2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_items=num_items, units=units, depth=depth, length=length)
        check_positive(negatives=1 if negatives is None else negatives)
        check_rate(dropout=dropout)
        if length < 2:
            raise ValueError(
                f"`length` must be at least 2, a step and its next. Received: length={length}."
            )
        if kind not in KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}.")
        if negatives is not None and negatives > num_items:
            raise ValueError(
                f"There are {num_items} items to compare with. Received: negatives={negatives}. "
                "Give negatives=None, all of them."
            )
        self.num_items, self.negatives, self.length = num_items, negatives, length
        options = {"kind": kind, "length": length, "dropout": dropout, "dtype": "float32"}
        self.history = History(num_items, units, depth, num_heads, **options, name="history")
        self.draw = Negatives(num_items, negatives or 1, dtype="float32", name="negatives")
        self.input_spec = layers.InputSpec(ndim=2)

    def build(self, input_shape):
        if (input_shape[1] or 0) < 2:
            raise ValueError(
                "Histories of a known number of steps, two at least, are needed. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        super().build(input_shape)

    def call(self, ids):
        ids = ops.cast(ids, "int32")[:, -self.length :]
        x, table = self.history(ids)[:, :-1], self.history.table
        if self.negatives is None:
            return table.scores(x)
        own, others = ids[:, 1:], self.draw(ids)
        right = ops.sum(x * table(own), axis=-1, keepdims=True)
        wrong = ops.matmul(x, ops.transpose(table(others)))
        # Of negatives drawn evenly each stands for as many items.
        wrong = wrong + math.log(self.num_items / self.negatives)
        wrong = ops.where(own[..., None] == others, HIDDEN, wrong)
        return ops.concatenate([right, wrong], axis=-1)

    def loss(self):
        return NextItem(self.negatives is not None, self.num_items)

    def make_metrics(self):
        return [NextItemRecall(10, self.negatives is not None, self.num_items)]

    def answer(self, features, *, k=10, again=False):
        """Return the symbolic answer: the best items to come.

        Args:
            features: The symbolic histories.
            k: Number of items.
            again: Whether items of the history may be among them.
        """
        check_positive(k=k)
        if k > self.num_items:
            raise ValueError(
                f"`k` must be at most the number of items, {self.num_items}. Received: k={k}."
            )
        scores = NextScores(self.history, dtype="float32", name=f"{self.name}_scores")(features)
        left_out = ops.zeros_like(features) if again else features
        return BestItems(k, padding=1, dtype="float32", name=f"{self.name}_best")(
            [scores, left_out]
        )

    def check(self, targets):
        if found := number_problems(targets):
            return found
        if targets.ndim != 2 or targets.shape[1] < 2:
            return [
                "Histories must have the shape (batch, length), two steps at least. "
                f"Received: shape {targets.shape}."
            ]
        right = ((targets >= 0) & (targets <= self.num_items)).all(-1)
        right &= (targets == np.floor(targets)).all(-1)
        found = []
        if not right.all():
            found.append(
                f"Ids of items must be whole numbers from 1 to {self.num_items}, or 0 for none. "
                f"{wrong_rows(right, targets)}"
            )
        newest = ~((targets[:, :-1] > 0) & (targets[:, 1:] == 0)).any(-1)
        if not newest.all():
            found.append(
                "Histories must be filled up with 0 in front, the newest item last. "
                f"{wrong_rows(newest, targets)} heads.histories makes them."
            )
        return found

    def doubts(self, targets):
        short = (targets > 0).sum(-1) < 2
        if not short.any():
            return []
        return [f"{short.sum()} of {len(targets)} histories have no step that another follows."]
