"""Users, items, histories."""

import blocks
import heads
from tests.cases.case import Case

CASES = [
    Case(
        blocks.IdEmbedding,
        {"size": 4, "units": 5, "hashed": True},
        (2, 3),
        (2, 3, 5),
        [{"size": 0, "units": 2}, {"size": 2, "units": 0}],
        ids=9,
    ),
    Case(
        blocks.BagEmbedding,
        {"size": 3, "units": 5, "combiner": "sqrtn", "hashed": True},
        [(2, 3), (2, 3)],
        (2, 5),
        [{"size": 0, "units": 2}, {"size": 2, "units": 2, "combiner": "max"}],
        ids=9,
    ),
    Case(blocks.BagEmbedding, {"size": 4, "units": 5, "combiner": "sum"}, (2, 3), (2, 5), ids=4),
    Case(
        heads.RetrievalHead,
        {
            "units": 4,
            "normalize": False,
            "temperature": 0.5,
            "hard_negatives": 3,
            "bias": True,
        },
        {"user": (2, 5), "item": (2, 3)},
        (2, 8),
        [{"units": 0}, {"temperature": 0.0}, {"hard_negatives": 0}],
        [{"user": (2, 5)}, {"user": (2, 5), "item": (2, 3, 3)}, (2, 5)],
    ),
    Case(
        heads.RankingHead,
        {"units": [6], "depth": 1, "rank": 3, "experts": 2, "dropout": 0.2},
        (2, 5, 4),
        (2, 1),
        [{"kind": "wide"}, {"units": [0]}, {"loss": "hinge"}, {"dropout": 1.0}, {"depth": 0}],
        [(2, 5), (2, 3, 5, 4)],
        fixed=True,
    ),
    Case(
        heads.RankingHead,
        {"kind": "fm", "units": [6], "loss": "pairwise"},
        (2, 3, 5, 4),
        (2, 3),
        [],
        [(2, 5, 4)],
        fixed=True,
    ),
    Case(
        heads.RankingHead,
        {"kind": "dot", "units": [6], "loss": "squared"},
        (2, 5, 4),
        (2, 1),
        fixed=True,
    ),
    Case(
        heads.RankingHead,
        {"kind": "ncf", "units": [6]},
        (2, 2, 4),
        (2, 1),
        [],
        [(2, 3, 4)],
        fixed=True,
    ),
    Case(heads.RankingHead, {"kind": "deep", "units": [6, 4]}, (2, 5, 4), (2, 1), fixed=True),
    Case(
        heads.SequentialHead,
        {
            "num_items": 9,
            "units": 4,
            "depth": 1,
            "num_heads": 2,
            "length": 5,
            "negatives": 3,
            "dropout": 0.3,
        },
        (2, 6),
        (2, 4, 4),
        [
            {"num_items": 0},
            {"num_items": 5, "kind": "lstm"},
            {"num_items": 5, "negatives": 6},
            {"num_items": 5, "length": 0},
            {"num_items": 5, "dropout": 1.0},
        ],
        [(2, 6, 3)],
        ids=10,
    ),
    Case(
        heads.SequentialHead,
        {"num_items": 9, "units": 4, "depth": 1, "kind": "gru", "negatives": None},
        (2, 6),
        (2, 5, 10),
        ids=10,
    ),
]
