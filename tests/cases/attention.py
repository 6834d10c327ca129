"""Attention and transformers."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.SelfAttention,
        {"num_heads": 2, "dropout": 0.3},
        (2, 7, 8),
        (2, 7, 8),
        [{"num_heads": 0}, {"num_heads": [2]}, {"dropout": 1.0}, {"dropout": "a"}],
        [(2, 7, 9), (2, 3, 7, 8)],
    ),
    Case(
        blocks.SelfAttention,
        {"num_heads": 2, "causal": True},
        (2, 7, 8),
        (2, 7, 8),
        exceptions={
            "int8": "a causal mask's lowest float takes the whole int8 range of the scores"
        },
    ),
    Case(
        blocks.TransformerEncoder,
        {"num_heads": 2, "dropout": 0.1, "drop_path": 0.1},
        (2, 7, 8),
        (2, 7, 8),
        [{"norm": "nonsense"}, {"expansion": 0}, {"drop_path": 1.5}],
        [(2, 7, 9)],
    ),
]
