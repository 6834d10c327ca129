"""Inverted bottlenecks, and ConvNeXt's block."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.InvertedResidual,
        {"filters": 4, "se_ratio": 0.25, "drop_path": 0.2},
        (2, 7, 8, 4),
        (2, 7, 8, 4),
        [
            {"filters": 4, "expansion": 0.5},
            {"filters": 4, "drop_path": -0.1},
            {"filters": 4, "rank": 4},
            {"filters": 4, "divisor": 0},
            {"filters": 4, "se_ratio": {"ratio": 0.25, "rate": 1}},
        ],
        [(2, 8, 4)],
    ),
    Case(
        blocks.InvertedResidual,
        {"filters": 6, "strides": 2, "expansion": 1, "kernel_size": 5},
        (2, 7, 8, 4),
        (2, 4, 4, 6),
    ),
    Case(
        blocks.InvertedResidual,
        {
            "filters": 4,
            "rank": 1,
            "expansion": 2.5,
            "se_ratio": {"ratio": 0.25, "gate": "hard_sigmoid", "divisor": 8},
            "divisor": 8,
            "activation": "hard_swish",
        },
        (2, 9, 4),
        (2, 9, 4),
    ),
    Case(
        blocks.FusedInvertedResidual,
        {"filters": 4, "se_ratio": {"ratio": 0.5, "activation": "silu"}, "drop_path": 0.2},
        (2, 7, 8, 4),
        (2, 7, 8, 4),
        [
            {"filters": 4, "expansion": 0.5},
            {"filters": 4, "rank": 4},
            {"filters": 0},
            {"filters": 4, "activation": "nonsense"},
        ],
        [(2, 8, 4)],
    ),
    Case(
        blocks.FusedInvertedResidual,
        {"filters": 6, "strides": 2, "expansion": 1, "kernel_size": 5, "norm": "none"},
        (2, 7, 8, 4),
        (2, 4, 4, 6),
    ),
    Case(
        blocks.FusedInvertedResidual,
        {"filters": 4, "rank": 1, "expansion": 5, "divisor": 8, "activation": "relu6"},
        (2, 9, 4),
        (2, 9, 4),
    ),
    # Not with batch normalization: before another one, that of the start has an offset that
    # cannot learn, in the published network too.
    Case(
        blocks.UniversalInvertedBottleneck,  # ExtraDW
        {
            "filters": 6,
            "strides": 2,
            "kernel_size": 5,
            "start_kernel_size": 3,
            "divisor": 1,
            "norm": "layer",
        },
        (2, 7, 8, 5),
        (2, 4, 4, 6),
        [
            {"filters": 4, "strides": 2, "kernel_size": None},
            {"filters": 4, "expansion": 0.5},
            {"filters": 4, "kernel_size": 0},
            {"filters": 4, "kernel_size": None, "activation": "nonsense"},
            {"filters": 4, "rank": 4},
        ],
        [(2, 8, 4)],
    ),
    Case(
        blocks.UniversalInvertedBottleneck,  # ConvNeXt-like
        {
            "filters": 6,
            "strides": 2,
            "kernel_size": None,
            "start_kernel_size": 5,
            "rank": 1,
            "norm": "none",
        },
        (2, 9, 4),
        (2, 5, 6),
    ),
    Case(
        blocks.UniversalInvertedBottleneck,  # feed-forward network
        {"filters": 4, "kernel_size": None, "layer_scale": 0.5, "drop_path": 0.2, "expansion": 2},
        (2, 7, 8, 4),
        (2, 7, 8, 4),
    ),
    Case(
        blocks.GlobalResponseNorm,
        {},
        (2, 7, 8, 4),
        (2, 7, 8, 4),
        [{"epsilon": 0.0}],
        [(2, 4)],
    ),
    Case(blocks.GlobalResponseNorm, {}, (2, 9, 4), (2, 9, 4)),
    Case(
        blocks.ConvNeXtBlock,
        {"layer_scale": 0.1, "drop_path": 0.2, "kernel_size": 5},
        (2, 7, 8, 4),
        (2, 7, 8, 4),
        [
            {"rank": 4},
            {"activation": "nonsense"},
            {"layer_scale": -1.0},
            {"kernel_size": 0},
            {"expansion": 0},
        ],
        [(2, 8, 4)],
    ),
    Case(
        blocks.ConvNeXtBlock,
        {
            "rank": 1,
            "response_norm": True,
            "layer_scale": 0.1,
            "expansion": 2,
            "norm": {"type": "group", "groups": 1},
            "activation": "relu",
        },
        (2, 9, 4),
        (2, 9, 4),
        [{"norm": "nonsense"}],
    ),
    Case(
        blocks.InvertedResidual,
        {"filters": 4, "rank": 3, "expansion": 2, "activation": "silu"},
        (2, 4, 5, 4, 4),
        (2, 4, 5, 4, 4),
    ),
    Case(
        blocks.UniversalInvertedBottleneck,
        {"filters": 6, "rank": 3, "strides": 2, "expansion": 2},
        (2, 4, 5, 4, 4),
        (2, 2, 3, 2, 6),
    ),
    Case(blocks.ConvNeXtBlock, {"rank": 3, "kernel_size": 3}, (2, 4, 5, 4, 8), (2, 4, 5, 4, 8)),
]
