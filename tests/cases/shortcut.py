"""Shortcuts that change the shape."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.Subsample,
        {"strides": 2, "filters": 6},
        (2, 7, 8, 4),
        (2, 4, 4, 6),
        [{"strides": 0}, {"strides": (2, 2)}, {"filters": 0}],
        [(2, 7, 8, 7)],
    ),
    Case(blocks.Subsample, {"strides": 3}, (2, 7, 4), (2, 3, 4)),
    Case(blocks.Subsample, {"strides": 2, "filters": 5}, (2, 3, 4, 5, 4), (2, 2, 2, 3, 5)),
    Case(
        blocks.ResidualBlock,
        {"filters": 6, "strides": 2, "shortcut": "conv", "use_bias": True},
        (2, 7, 8, 4),
        (2, 4, 4, 6),
        [{"filters": 6, "shortcut": "nonsense"}, {"filters": 6, "shortcut": None}],
    ),
    Case(
        blocks.ResidualBlock,
        {"filters": 6, "strides": 2, "shortcut": "pad"},
        (2, 7, 8, 4),
        (2, 4, 4, 6),
        wrong_shapes=[(2, 7, 8, 7)],
    ),
]
