"""Convolutions."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.ConvNormAct,
        {"filters": 6},
        (2, 8, 9, 4),
        (2, 8, 9, 6),
        [
            {"filters": 6, "norm": "nonsense"},
            {"filters": 6, "activation": "nonsense"},
            {"filters": 6, "rank": 4},
            {"filters": 6, "groups": 4},
            {"filters": 0},
            {"filters": 6, "strides": 2, "dilation_rate": 2},
            {"filters": 6, "padding": "nonsense"},
            {"filters": [6]},
            {"filters": 6, "strides": (2, 2, 2)},
            {"filters": 6, "norm": ["batch"]},
            {"filters": 6, "data_format": "channels_first"},
        ],
        [(2, 8, 4), (2, 8, 9, 9, 4)],
    ),
    Case(
        blocks.ConvNormAct,
        {"filters": 6, "strides": 2, "groups": 2, "norm": "group", "activation": "silu"},
        (2, 7, 9, 4),
        (2, 4, 5, 6),
        wrong_shapes=[(2, 7, 9, 5)],
    ),
    Case(
        blocks.ConvNormAct,
        {"filters": 6, "rank": 1, "dilation_rate": 2, "padding": "causal", "norm": "layer"},
        (2, 9, 4),
        (2, 9, 6),
        wrong_shapes=[(2, 9, 9, 4)],
    ),
    Case(
        blocks.ConvNormAct,
        {"filters": 6, "kernel_size": 2, "strides": 2, "rank": 3, "norm": "rms"},
        (2, 4, 5, 6, 3),
        (2, 2, 3, 3, 6),
    ),
    Case(
        blocks.DepthwiseNormAct,
        {"kernel_size": 5, "strides": 2},
        (2, 7, 9, 4),
        (2, 4, 5, 4),
        [
            {"rank": 4},
            {"norm": "nonsense"},
            {"kernel_size": 0},
            {"strides": 2, "dilation_rate": 2},
            {"padding": "causal"},
        ],
        [(2, 7, 4)],
    ),
    Case(
        blocks.DepthwiseSeparableConv,
        {"filters": 6, "strides": 2},
        (2, 7, 9, 4),
        (2, 4, 5, 6),
        [{"filters": 6, "norm": "nonsense"}, {"filters": -1}],
        [(2, 7, 4)],
    ),
    Case(
        blocks.DepthwiseSeparableConv,
        {"filters": 6, "rank": 1, "dilation_rate": 2, "norm": "none", "activation": "gelu"},
        (2, 9, 4),
        (2, 9, 6),
    ),
    Case(
        blocks.DepthwiseSeparableConv,
        {"filters": 6, "padding": "valid"},
        (2, 7, 9, 4),
        (2, 5, 7, 6),
    ),
    Case(
        blocks.DepthwiseNormAct,
        {"kernel_size": [2, 3, 5], "strides": 2, "rank": 3},
        (2, 5, 4, 6, 3),
        (2, 3, 2, 3, 3),
        wrong_shapes=[(2, 5, 6, 3)],
    ),
    Case(
        blocks.DepthwiseSeparableConv,
        {"filters": 4, "rank": 3, "dilation_rate": 2, "activation": "silu"},
        (2, 5, 4, 6, 3),
        (2, 5, 4, 6, 4),
    ),
]
