"""Blocks of the networks before mobile ones: pre-activation, dense, Inception."""

import blocks
from tests.cases.case import Case

BRANCHES = [[[3, 1]], [[2, 1], [[[2, [1, 3]]], [[3, [3, 1]]]]], ["avg", [2, 1]], ["max"]]

CASES = [
    Case(
        blocks.PreActivationBlock,
        {"filters": 4, "drop_path": 0.2, "se_ratio": 0.5, "kernel_size": 5},
        (2, 8, 9, 4),
        (2, 8, 9, 4),
        [
            {"filters": 6, "reduction": 4},
            {"filters": 4, "reduction": 0},
            {"filters": 4, "kernel_size": (3, 3)},
            {"filters": 4, "strides": 0},
            {"filters": 4, "rank": 4},
            {"filters": 4, "strides": 2, "rank": 4},
            {"filters": 4, "norm": "nonsense"},
            {"filters": 4, "activation": "nonsense"},
            {"filters": 4, "drop_path": 1.0},
        ],
        [(2, 8, 4)],
    ),
    Case(
        blocks.PreActivationBlock,
        {"filters": 8, "reduction": 4, "use_bias": False},
        (2, 7, 8, 4),
        (2, 7, 8, 8),
    ),
    Case(
        blocks.PreActivationBlock,
        {"filters": 4, "reduction": 2, "strides": 2, "norm": "group", "activation": "silu"},
        (2, 7, 8, 4),
        (2, 4, 4, 4),
    ),
    Case(
        blocks.PreActivationBlock,
        {"filters": 6, "strides": 3, "rank": 1, "kernel_size": 4, "norm": "layer"},
        (2, 9, 4),
        (2, 3, 6),
    ),
    Case(
        blocks.PreActivationBlock,
        {"filters": 4, "strides": 2, "rank": 3, "norm": "none"},
        (2, 3, 4, 4, 4),
        (2, 2, 2, 2, 4),
    ),
    Case(
        blocks.DenseBlock,
        {"depth": 2, "growth_rate": 3, "kernel_size": 5},
        (2, 7, 8, 4),
        (2, 7, 8, 10),
        [
            {"depth": 0},
            {"depth": 2, "growth_rate": 0},
            {"depth": 2, "expansion": 0},
            {"depth": 2, "rank": 4},
            {"depth": 2, "norm": "nonsense"},
            {"depth": 2, "expansion": None, "norm": "nonsense"},
            {"depth": 2, "activation": "nonsense"},
        ],
        [(2, 8, 4)],
    ),
    Case(
        blocks.DenseBlock,
        {"depth": 2, "growth_rate": 3, "expansion": None, "rank": 1, "norm": "layer"},
        (2, 7, 4),
        (2, 7, 10),
    ),
    Case(
        blocks.DenseBlock,
        {"depth": 1, "growth_rate": 4, "expansion": 2, "rank": 3, "norm": "none"},
        (2, 3, 4, 4, 4),
        (2, 3, 4, 4, 8),
    ),
    Case(
        blocks.TransitionBlock,
        {"compression": 0.7},
        (2, 7, 8, 5),
        (2, 3, 4, 3),
        [
            {"compression": 0.0},
            {"compression": 1.5},
            {"rank": 4},
            {"norm": "nonsense"},
            {"activation": "nonsense"},
        ],
        [(2, 8, 4), (2, 8, 8, 1), (2, 1, 8, 4)],
    ),
    Case(
        blocks.TransitionBlock,
        {"rank": 1, "norm": "none", "activation": "gelu"},
        (2, 7, 4),
        (2, 3, 2),
    ),
    Case(
        blocks.TransitionBlock, {"rank": 3, "activation": "silu"}, (2, 4, 5, 6, 4), (2, 2, 2, 3, 2)
    ),
    Case(
        blocks.InceptionBlock,
        {"branches": BRANCHES},
        (2, 7, 8, 4),
        (2, 7, 8, 14),
        [
            {"branches": []},
            {"branches": [[]]},
            {"branches": [[[]]]},
            {"branches": [[4, 1]]},
            {"branches": [["mean"]]},
            {"branches": [[(4, 1, 2)]]},
            {"branches": [[(0, 1)]]},
            {"branches": [[(4, (1, 3, 3))]]},
            {"branches": "avg"},
            {"branches": [[(4, 1)], ["max"]], "strides": 2},
            {"branches": [["max"]], "strides": 0},
            {"branches": [["max"]], "rank": 4},
            {"branches": [[(4, 1)]], "norm": "nonsense"},
            {"branches": [[(4, 1)]], "activation": "nonsense"},
        ],
        [(2, 7, 4)],
    ),
    Case(
        blocks.InceptionBlock,
        {
            "branches": [[[2, 1], [[[3, 3]], [[2, [3, 3]]]]], ["max"], [[2, 1], [2, 3]]],
            "strides": 2,
            "norm": {"type": "batch", "scale": False},
            "activation": "silu",
        },
        (2, 7, 8, 4),
        (2, 3, 3, 11),
        wrong_shapes=[(2, 2, 8, 4)],
    ),
    Case(
        blocks.InceptionBlock,
        {"branches": [[[8, 1], [8, 3]], ["avg", [8, 1]]], "rank": 1, "norm": "layer"},
        (2, 7, 4),
        (2, 7, 16),
    ),
    Case(
        blocks.InceptionBlock,
        {"branches": [[[2, [1, 3, 3]]], ["avg", [2, 1]], ["max"]], "rank": 3, "norm": "none"},
        (2, 3, 4, 5, 4),
        (2, 3, 4, 5, 8),
    ),
]
