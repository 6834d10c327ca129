"""How probable it is that a user takes an item."""

import numpy as np
from keras import layers, ops

from blocks.base import check_positive, check_rate, register
from heads.base import Head, number_problems, wrong_rows
from heads.recommendation.interaction import KINDS
from heads.recommendation.ranking_loss import LISTS, LOSSES, RankingAUC, RankingLoss


@register
class RankingHead(Head):
    """A score from the vectors of a user's, an item's and a situation's features.

    `heads.deploy` answers with `"probabilities"`, or with `"scores"` where the loss is no
    cross-entropy. In pairwise and listwise training the candidates of a user are a list, an axis
    of their own; a target below 0 is no candidate.

    Shape: `(batch, features, units)` to `(batch, 1)`; or, with lists,
    `(batch, candidates, features, units)` to `(batch, candidates)`.

    Args:
        kind: How features act together: `"cross"`, DCN-V2's cross network before dense layers;
            `"fm"`, DeepFM's factorization machine beside them; `"dot"`, DLRM's dot products;
            `"ncf"`, the product of two features, user and item, beside them (NeuMF); `"deep"`,
            dense layers alone.
        units: Width of each dense layer.
        depth: Of `"cross"`, the number of its layers.
        rank: Of `"cross"`, the width of its bottlenecks, or `None`.
        experts: Of `"cross"`, the number of its low-rank experts.
        loss: `"binary"`, of zeros and ones; `"squared"`, of any numbers; `"pairwise"` or
            `"listwise"`, of lists of grades.
        dropout: Share of each dense layer's outputs made zero in training.

    Raises:
        ValueError: If an argument is out of its range, the number of features is open, or
            `"ncf"` is given others than two.

    Reference: [Wang et al., 2020](https://arxiv.org/abs/2008.13535) (DCN-V2);
    [Guo et al., 2017](https://arxiv.org/abs/1703.04247) (DeepFM);
    [Naumov et al., 2019](https://arxiv.org/abs/1906.00091) (DLRM);
    [He et al., 2017](https://arxiv.org/abs/1708.05031) (NeuMF)

    >>> RankingHead("fm", [16])(np.ones((2, 5, 8))).shape
    (2, 1)
    """

    def __init__(
        self,
        kind="cross",
        units=(256, 128),
        *,
        depth=3,
        rank=None,
        experts=1,
        loss="binary",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_rate(dropout=dropout)
        if not isinstance(units, (list, tuple)):
            raise ValueError(f"`units` must be a list of widths. Received: units={units!r}.")
        for width in units:
            check_positive(units=width)
        if kind not in KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}.")
        if loss not in LOSSES:
            raise ValueError(f"`loss` must be one of {', '.join(LOSSES)}. Received: loss={loss!r}.")
        options = {"depth": depth, "rank": rank, "experts": experts} if kind == "cross" else {}
        self.goal = loss
        self.answer_name = "probabilities" if loss == "binary" else "scores"
        self.interact = KINDS[kind](
            list(units), dropout, **options, dtype="float32", name="interact"
        )
        self.score = layers.Dense(1, dtype="float32", name="score")

    def build(self, input_shape):
        if len(input_shape) not in (3, 4) or None in input_shape[-2:]:
            raise ValueError(
                "Vectors of a known number of features, (batch, features, units), or of lists, "
                f"(batch, candidates, features, units), are needed. Received: {input_shape}."
            )
        if (len(input_shape) == 4) != (self.goal in LISTS):
            raise ValueError(
                f"Lists of candidates, an axis more, belong to the losses {', '.join(LISTS)}. "
                f"Received: input_shape={input_shape}, loss={self.goal!r}."
            )
        super().build(input_shape)

    def call(self, x):
        if len(x.shape) == 3:
            return self.score(self.interact(x))
        scores = self.score(self.interact(ops.reshape(x, (-1, *x.shape[-2:]))))
        return ops.reshape(scores, (-1, ops.shape(x)[1]))

    def loss(self):
        return RankingLoss(self.goal)

    def make_metrics(self):
        return [RankingAUC()] if self.goal == "binary" else []

    def decoder(self):
        activation = "sigmoid" if self.goal == "binary" else "linear"
        return layers.Activation(activation, dtype="float32", name=f"{self.name}_decoder")

    def check(self, targets):
        if found := number_problems(targets):
            return found
        rows = np.asarray(targets, "float64").reshape(len(targets), -1)
        right = np.isfinite(rows).all(-1)
        rule = "Targets must be finite numbers."
        if self.goal == "binary":
            right = ((rows == 0) | (rows == 1)).all(-1)
            rule = "Targets must be 0 or 1, one a row; ratings are learned by loss='squared'."
            right &= rows.shape[1] == 1
        return [] if right.all() else [f"{rule} {wrong_rows(right, targets)}"]

    def doubts(self, targets):
        if self.goal != "binary" or 0 < np.mean(targets) < 1:
            return []
        return [f"All targets are {float(np.ravel(targets)[0]):g}: nothing tells rows apart."]
