"""Blocks added to their input."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.ResidualBlock,
        {"filters": 4, "drop_path": 0.2},
        (2, 8, 9, 4),
        (2, 8, 9, 4),
        [
            {"filters": 4, "drop_path": 1.0},
            {"filters": 4, "activation": "nonsense"},
            {"filters": 4, "strides": (1, 1)},
        ],
        [(2, 8, 4)],
    ),
    Case(
        blocks.ResidualBlock,
        {"filters": 6, "strides": 2, "se_ratio": 0.5},
        (2, 7, 8, 4),
        (2, 4, 4, 6),
    ),
    Case(blocks.ResidualBlock, {"filters": 6, "rank": 1, "norm": "layer"}, (2, 7, 4), (2, 7, 6)),
    Case(
        blocks.BottleneckBlock,
        {"filters": 8, "strides": 2, "norm": "none"},
        (2, 7, 8, 4),
        (2, 4, 4, 8),
        [{"filters": 6}, {"filters": 8, "norm": "nonsense"}],
        [(2, 8, 4)],
    ),
    Case(blocks.BottleneckBlock, {"filters": 8, "groups": 2}, (2, 7, 8, 8), (2, 7, 8, 8)),
]
