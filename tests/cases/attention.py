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
    Case(blocks.SelfAttention, {"num_heads": 2, "causal": True}, (2, 7, 8), (2, 7, 8)),
    Case(
        blocks.SelfAttention,
        {"num_heads": 4, "num_kv_heads": 2, "causal": True, "rotary": True},
        (2, 7, 16),
        (2, 7, 16),
        [{"num_heads": 4, "num_kv_heads": 3}, {"num_heads": 4, "num_kv_heads": 0}],
        [(2, 7, 12)],  # three channels a head cannot be turned in pairs
    ),
    Case(
        blocks.CrossAttention,
        {"num_heads": 2, "dropout": 0.3},
        [(2, 7, 8), (2, 5, 6)],
        (2, 7, 8),
        [{"num_heads": 0}, {"dropout": 1.0}, {"num_heads": 4, "num_kv_heads": 8}],
        [[(2, 7, 9), (2, 5, 6)], [(2, 7, 8)], [(2, 8), (2, 6)], (2, 7, 8)],
    ),
    Case(
        blocks.CrossAttention,
        {"num_heads": 4, "num_kv_heads": 1},
        [(2, 7, 8), (2, 5, 6)],
        (2, 7, 8),
    ),
    Case(
        blocks.RotaryEmbedding,
        {"base": 100.0},
        (2, 7, 3, 8),
        (2, 7, 3, 8),
        [{"rank": 4}, {"rank": True}, {"base": 0.0}, {"base": "x"}],
        [(2, 7, 3, 5), (2, 7, 8)],
    ),
    Case(
        blocks.RotaryEmbedding,
        {"rank": 2},
        (2, 5, 7, 3, 8),
        (2, 5, 7, 3, 8),
        wrong_shapes=[(2, 5, 7, 3, 6), (2, 5, 3, 8)],
    ),
    Case(
        blocks.TransformerEncoder,
        {"num_heads": 2, "dropout": 0.1, "drop_path": 0.1},
        (2, 7, 8),
        (2, 7, 8),
        [{"norm": "nonsense"}, {"expansion": 0}, {"drop_path": 1.5}],
        [(2, 7, 9)],
    ),
    Case(blocks.TransformerEncoder, {"num_heads": 2, "causal": True}, (2, 7, 8), (2, 7, 8)),
]
