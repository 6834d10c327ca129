"""Scaling and dropping."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(blocks.LayerScale, {"start": 0.1}, (2, 7, 4), (2, 7, 4)),
    Case(
        blocks.DropPath,
        {"rate": 0.5, "seed": 7},
        (8, 7, 4),
        (8, 7, 4),
        [{"rate": 1.0}, {"rate": -0.1}],
    ),
]
