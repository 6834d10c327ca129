"""Pyramids mixed both ways."""

import blocks
from tests.cases.case import Case

WRONG = [
    [(2, 7, 8, 4)],
    [(2, 4, 4, 5), (2, 8, 8, 4)],
    [(2, 8, 8, 4), (2, 2, 2, 4)],
    {"P3": (2, 8, 8, 4), "P5": (2, 4, 4, 4)},
]
CASES = [
    Case(
        blocks.PathAggregation,
        {"filters": 6},
        [(2, 13, 12, 3), (2, 7, 6, 4), (2, 4, 3, 5)],
        [(2, 13, 12, 6), (2, 7, 6, 6), (2, 4, 3, 6)],
        [{"filters": 0}, {"norm": "nonsense"}, {"activation": "nonsense"}],
        WRONG,
    ),
    Case(
        blocks.PathAggregation,
        {"filters": 6, "norm": "batch", "activation": "silu"},
        {"P3": (2, 7, 8, 4), "P4": (2, 4, 4, 5)},
        {"P3": (2, 7, 8, 6), "P4": (2, 4, 4, 6)},
    ),
    Case(
        blocks.BiFPN,
        {"filters": 6, "repeats": 2},
        [(2, 13, 12, 3), (2, 7, 6, 4), (2, 4, 3, 5)],
        [(2, 13, 12, 6), (2, 7, 6, 6), (2, 4, 3, 6)],
        [{"filters": 0}, {"repeats": 0}, {"norm": "nonsense"}, {"activation": "nonsense"}],
        WRONG,
    ),
    Case(
        blocks.BiFPN,
        {"filters": 6, "repeats": 1, "norm": "group", "activation": "relu"},
        {"P3": (2, 8, 7, 4), "P4": (2, 4, 4, 5)},
        {"P3": (2, 8, 7, 6), "P4": (2, 4, 4, 6)},
    ),
]
