"""Attention over channels and positions of a map."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.EfficientChannelAttention,
        {"kernel_size": 5},
        (2, 5, 6, 8),
        (2, 5, 6, 8),
        [{"kernel_size": 0}, {"kernel_size": "x"}],
        [(2, 8)],
    ),
    Case(blocks.EfficientChannelAttention, {}, (2, 5, 16), (2, 5, 16)),
    Case(blocks.EfficientChannelAttention, {"kernel_size": 5}, (2, 3, 4, 5, 8), (2, 3, 4, 5, 8)),
    Case(
        blocks.ChannelSpatialAttention,
        {"ratio": 0.5, "kernel_size": 3},
        (2, 5, 6, 8),
        (2, 5, 6, 8),
        [{"ratio": 0.0}, {"kernel_size": 0}, {"activation": "nonsense"}],
        [(2, 8)],
    ),
    Case(
        blocks.ChannelSpatialAttention,
        {"ratio": 0.5, "activation": "silu"},
        (2, 9, 8),
        (2, 9, 8),
    ),
    Case(
        blocks.ChannelSpatialAttention,
        {"ratio": 0.5, "kernel_size": 3},
        (2, 3, 4, 5, 8),
        (2, 3, 4, 5, 8),
    ),
    Case(
        blocks.CoordinateAttention,
        {"ratio": 2.0, "activation": "relu"},
        (2, 5, 6, 8),
        (2, 5, 6, 8),
        [{"ratio": 0}, {"norm": "nonsense"}, {"activation": "nonsense"}],
        [(2, 5, 8)],
    ),
    Case(blocks.CoordinateAttention, {"norm": "layer"}, (2, 3, 4, 5, 8), (2, 3, 4, 5, 8)),
]
