"""Convolutions of several branches: RepVGG, GhostNet."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.RepConv,
        {"filters": 4, "groups": 2, "kernel_size": 5},
        (2, 7, 8, 4),
        (2, 7, 8, 4),
        [
            {"filters": 4, "kernel_size": 2},
            {"filters": 4, "kernel_size": [3, 3]},
            {"filters": 4, "groups": 3},
            {"filters": 4, "rank": 4},
            {"filters": 0},
            {"filters": 4, "activation": "nonsense"},
        ],
        [(2, 7, 8, 5), (2, 7, 4)],
    ),
    Case(
        blocks.RepConv,
        {"filters": 6, "strides": 2, "activation": None},
        (2, 7, 8, 4),
        (2, 4, 4, 6),
    ),
    Case(blocks.RepConv, {"filters": 4, "rank": 1}, (2, 9, 4), (2, 9, 4)),
    Case(blocks.RepConv, {"filters": 4, "rank": 3, "strides": 2}, (2, 5, 4, 6, 4), (2, 3, 2, 3, 4)),
    Case(
        blocks.GhostModule,
        {"filters": 7, "kernel_size": 3, "strides": 2, "ratio": 3},
        (2, 7, 8, 4),
        (2, 4, 4, 7),
        [
            {"filters": 0},
            {"filters": 4, "ratio": 1},
            {"filters": 4, "ratio": 5},
            {"filters": 4, "rank": 4},
            {"filters": 4, "norm": "nonsense"},
            {"filters": 4, "activation": "nonsense"},
        ],
        [(2, 7, 4)],
    ),
    Case(
        blocks.GhostModule,
        {"filters": 6, "rank": 1, "norm": "none", "activation": "silu"},
        (2, 9, 4),
        (2, 9, 6),
    ),
    Case(
        blocks.GhostBlock,
        {
            "filters": 6,
            "strides": 2,
            "expansion": 2,
            "kernel_size": 5,
            "se_ratio": 0.25,
            "drop_path": 0.2,
        },
        (2, 7, 8, 4),
        (2, 4, 4, 6),
        [
            {"filters": 4, "strides": 0},
            {"filters": 4, "expansion": 0},
            {"filters": 4, "norm": "nonsense"},
            {"filters": 4, "activation": "nonsense"},
            {"filters": 4, "kernel_size": 0},
            {"filters": 4, "se_ratio": -1.0},
            {"filters": 4, "drop_path": 1.0},
        ],
        [(2, 7, 4)],
    ),
    Case(blocks.GhostBlock, {"filters": 4, "norm": "group"}, (2, 7, 8, 4), (2, 7, 8, 4)),
    Case(blocks.GhostBlock, {"filters": 4, "rank": 1, "activation": "silu"}, (2, 9, 4), (2, 9, 4)),
]
