"""A class for every position."""

import blocks
import heads
from tests.cases.case import Case

IMAGE = (2, 27, 24, 3)
MAPS = {"P2": (2, 7, 6, 4), "P3": (2, 4, 3, 5), "P4": (2, 2, 2, 6)}


def levels(*names, **others):
    return {"image": IMAGE, **{name: MAPS[name] for name in names}, **others}


COMMON_WRONG = [
    {"num_classes": 0},
    {"num_classes": 3, "loss": "nonsense"},
    {"num_classes": 3, "loss": {}},
    {"num_classes": 3, "loss": {"dice": -1.0}},
    {"num_classes": 3, "loss": {"dice": {"gamma": 2.0}}},
    {"num_classes": 3, "loss": {"cross_entropy": {"class_weights": [1.0, 2.0]}}},
    {"num_classes": 3, "ignore_label": 0.5},
    {"num_classes": 1, "ignore_label": 0},
    {"num_classes": 3, "filters": 0},
    {"num_classes": 3, "norm": "nonsense"},
]
CASES = [
    Case(
        heads.UNetHead,
        {"num_classes": 5, "levels": ["P2", "P3", "P4"], "filters": 4, "block": "residual"},
        levels("P2", "P3", "P4"),
        (2, 27, 24, 5),
        [
            *COMMON_WRONG,
            {"num_classes": 3, "levels": ["P2"]},
            {"num_classes": 3, "levels": "P2"},
            {"num_classes": 3, "levels": ["P2", "P2"]},
            {"num_classes": 3, "block": "nonsense"},
            {"num_classes": 3, "rank": 1},
            {"num_classes": 3, "upsample": "nonsense"},
        ],
        [levels("P2", "P3"), (2, 7, 6, 4)],
    ),
    Case(
        heads.UNetHead,
        {
            "num_classes": 3,
            "levels": ["P2", "P3", "P4"],
            "filters": 4,
            "attention": True,
            "nested": True,
            "norm": "group",
        },
        levels("P2", "P3", "P4"),
        (2, 27, 24, 3),
    ),
    Case(
        heads.UNetHead,
        {
            "num_classes": 3,
            "levels": ["P2", "P3", "P4"],
            "filters": 4,
            "upsample": "transposed",
            "deep_supervision": True,
        },
        levels("P2", "P3", "P4"),
        (2, 27, 24, 3),
    ),
    Case(
        heads.UNetHead,
        {
            "num_classes": 1,
            "levels": ["P1", "P2"],
            "filters": 4,
            "rank": 3,
            "block": "separable",
            "loss": {"cross_entropy": 1.0, "dice": 0.5},
            "ignore_label": None,
        },
        {"image": (2, 7, 6, 8, 1), "P1": (2, 4, 3, 4, 4), "P2": (2, 2, 2, 2, 5)},
        (2, 7, 6, 8, 1),
    ),
    Case(
        heads.DeepLabHead,
        {"num_classes": 5, "level": "P3", "filters": 6, "rates": [2, 3], "dropout": 0.3},
        levels("P2", "P3"),
        (2, 27, 24, 5),
        [
            *COMMON_WRONG,
            {"num_classes": 3, "rates": []},
            {"num_classes": 3, "dropout": 1.0},
            {"num_classes": 3, "low_level": "P5"},
        ],
        [levels("P2"), (2, 7, 6, 4)],
    ),
    Case(
        heads.DeepLabHead,
        {
            "num_classes": 1,
            "level": "P3",
            "low_level": None,
            "filters": 6,
            "rates": [2],
            "separable": False,
            "norm": "layer",
        },
        levels("P3"),
        (2, 27, 24, 1),
    ),
    Case(
        heads.LRASPPHead,
        {"num_classes": 5, "level": "P4", "low_level": "P2", "filters": 6, "loss": "lovasz"},
        levels("P2", "P4"),
        (2, 27, 24, 5),
        COMMON_WRONG,
        [levels("P2"), (2, 7, 6, 4)],
    ),
    Case(
        heads.PyramidSegmentationHead,
        {
            "num_classes": 5,
            "levels": ["P2", "P3", "P4"],
            "filters": 6,
            "pyramid_filters": 4,
            "norm": "batch",
        },
        levels("P2", "P3", "P4"),
        (2, 27, 24, 5),
        [*COMMON_WRONG, {"num_classes": 3, "pyramid_filters": 0}],
        [levels("P2", "P3", P4=(2, 4, 3, 6)), (2, 7, 6, 4)],
    ),
    Case(
        heads.SegFormerHead,
        {"num_classes": 5, "levels": ["P2", "P3", "P4"], "filters": 6, "dropout": 0.3},
        levels("P2", "P3", "P4"),
        (2, 27, 24, 5),
        [*COMMON_WRONG, {"num_classes": 3, "dropout": 1.0}],
        [levels("P2", "P3"), (2, 7, 6, 4)],
    ),
    Case(
        blocks.AttentionGate,
        {"filters": 6},
        [(2, 7, 6, 4), (2, 4, 3, 5)],
        (2, 7, 6, 4),
        [{"filters": 0}, {"filters": 4, "rank": 1}, {"filters": 4, "norm": "nonsense"}],
    ),
    Case(
        blocks.AttentionGate,
        {"filters": 6, "rank": 3, "norm": "layer"},
        [(2, 7, 6, 4, 4), (2, 4, 3, 2, 5)],
        (2, 7, 6, 4, 4),
    ),
]
