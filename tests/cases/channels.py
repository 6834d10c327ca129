"""Blocks that weigh channels and positions."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.SqueezeExcite,
        {"ratio": 0.5},
        (2, 5, 6, 8),
        (2, 5, 6, 8),
        [{"ratio": 0.0}, {"ratio": "x"}, {"gate": "nonsense"}, {"divisor": 0}],
        [(2, 8)],
    ),
    Case(
        blocks.SqueezeExcite,
        {"ratio": 0.5, "activation": "silu", "gate": "hard_sigmoid", "divisor": 8},
        (2, 5, 40),
        (2, 5, 40),
    ),
]
