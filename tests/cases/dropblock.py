"""Dropping regions."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.DropBlock,
        {"rate": 0.5, "block_size": 3, "seed": 7},
        (2, 7, 8, 4),
        (2, 7, 8, 4),
        [{"rate": 1.0}, {"rate": -0.1}, {"block_size": 0}, {"block_size": 2.5}],
        [(2, 4)],
    ),
    Case(blocks.DropBlock, {"rate": 0.3, "seed": 7}, (2, 9, 4), (2, 9, 4)),
    Case(blocks.DropBlock, {"rate": 0.3, "block_size": 2}, (2, 5, 4, 6, 3), (2, 5, 4, 6, 3)),
]
