"""Columns of a table."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.FeatureTokenizer,
        {"units": 6, "categories": [3, 5], "class_token": True},
        {"numeric": (2, 4), "categorical": (2, 2)},
        (2, 7, 6),
        [{"units": 0}, {"units": 6, "categories": [0]}],
        [
            {"numeric": (2, 4)},
            {"numeric": (2, 4), "categorical": (2, 3)},
            {"numeric": (2, 4), "categorical": (2, 2), "other": (2, 2)},
            {"numeric": (2, 3, 4), "categorical": (2, 2)},
            (2, 4),
        ],
    ),
    Case(blocks.FeatureTokenizer, {"units": 6}, {"numeric": (2, 4)}, (2, 4, 6)),
    Case(
        blocks.PeriodicEmbedding,
        {"units": 6, "frequencies": 5, "scale": 0.5, "activation": None},
        (2, 4),
        (2, 4, 6),
        [{"units": 0}, {"frequencies": 0}, {"scale": 0.0}, {"activation": "nonsense"}],
        [(2, 3, 4)],
    ),
    Case(
        blocks.PiecewiseLinear,
        {
            "points": [[[-1.0, 0.0], [0.5, 2.0]], [[0.0, 1.0]], [[-1, 2], [0, 0], [1, 3]]],
            "gaps": [2],
        },
        (2, 3),
        (2, 4),
        [
            {"points": [[[1.0, 0.0], [1.0, 2.0]]]},
            {"points": [[]]},
            {"points": [[[0.0, 0.0]]], "gaps": [1]},
        ],
        [(2, 4), (2, 3, 3)],
    ),
    Case(
        blocks.GatedLinearUnit,
        {"units": 6, "activation": "silu", "dropout": 0.3},
        (2, 5, 4),
        (2, 5, 6),
        [{"units": 0}, {"units": 2, "activation": "nonsense"}, {"units": 2, "dropout": 1.0}],
    ),
    Case(
        blocks.ResidualMLP,
        {"expansion": 3, "norm": "layer", "activation": "gelu", "dropout": 0.3},
        (2, 6),
        (2, 6),
        [{"expansion": 0}, {"norm": "nonsense"}, {"activation": "nonsense"}, {"dropout": -0.1}],
    ),
    Case(blocks.Sparsemax, {}, (2, 5, 4), (2, 5, 4)),
    Case(
        blocks.TabNet,
        {
            "units": 4,
            "steps": 2,
            "gamma": 1.5,
            "shared": 1,
            "own": 1,
            "sparsity": 0.1,
            "momentum": 0.9,
        },
        (2, 5, 3),
        {"features": (2, 4), "masks": (2, 2, 5)},
        fixed=True,
        wrong_args=[
            {"units": 0},
            {"steps": 0},
            {"gamma": 0.0},
            {"shared": 0},
            {"own": 0},
            {"sparsity": -1},
        ],
        wrong_shapes=[(2, 5)],
    ),
]
