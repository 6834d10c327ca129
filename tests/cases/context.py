"""Wide surroundings, and all positions as one vector."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.AtrousPyramidPooling,
        {"filters": 6, "rates": [2, 4], "dropout": 0.3},
        (2, 7, 8, 4),
        (2, 7, 8, 6),
        [
            {"filters": 0},
            {"rates": []},
            {"rates": 6},
            {"rates": [6, 0]},
            {"norm": "nonsense"},
            {"activation": "nonsense"},
            {"dropout": 1.0},
        ],
        [(2, 7, 4)],
    ),
    Case(
        blocks.AtrousPyramidPooling,
        {"filters": 6, "rates": [3], "separable": True, "norm": "none", "activation": "silu"},
        (2, 7, 8, 4),
        (2, 7, 8, 6),
    ),
    Case(
        blocks.PyramidPooling,
        {"filters": 3, "bins": [1, 3]},
        (2, 7, 8, 4),
        (2, 7, 8, 10),
        [
            {"filters": 0},
            {"bins": []},
            {"bins": [0]},
            {"norm": "nonsense"},
            {"activation": "nonsense"},
        ],
        [(2, 7, 4)],
    ),
    Case(
        blocks.PyramidPooling,
        {"norm": "layer", "activation": "silu"},
        (2, 4, 5, 8),
        (2, 4, 5, 16),
        wrong_shapes=[(2, 7, 8, 3)],
    ),
    Case(
        blocks.GeneralizedMeanPooling,
        {"power": 2.0, "epsilon": 1e-3},
        (2, 5, 6, 4),
        (2, 4),
        [{"power": 0.5}, {"power": "x"}, {"epsilon": 0}],
        [(2, 4)],
    ),
    Case(blocks.GeneralizedMeanPooling, {}, (2, 9, 4), (2, 4)),
    Case(
        blocks.AttentionPooling,
        {"num_heads": 2, "dropout": 0.3},
        (2, 5, 6, 8),
        (2, 8),
        [{"num_heads": 0}, {"num_queries": 0}, {"dropout": 1.0}],
        [(2, 5, 6, 9), (2, 8)],
    ),
    Case(blocks.AttentionPooling, {"num_heads": 4, "num_queries": 3}, (2, 7, 8), (2, 3, 8)),
]
