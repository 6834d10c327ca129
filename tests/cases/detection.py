"""Heads that find boxes."""

import heads
from tests.cases.case import Case

MAPS = {"P3": (2, 4, 6, 4), "P4": (2, 2, 3, 6), "P5": (2, 1, 2, 8)}
TWO = {"P2": (2, 4, 4, 4), "P3": (2, 2, 2, 4)}

PROPOSED = dict.fromkeys(
    ("float16", "weight_only", "int8"),
    "an untrained first stage proposes other boxes where weights are rounded (`heads.deploy` of a "
    "trained one answers alike)",
)

CASES = [
    Case(
        heads.DetectionHead,
        {"num_classes": 3, "filters": 8, "depth": 1, "neck": "pyramid", "bins": 4},
        MAPS,
        (2, 32, 22),
        [
            {"num_classes": 0},
            {"num_classes": 2, "levels": ["P3", "P5"]},
            {"num_classes": 2, "levels": ["P3"]},
            {"num_classes": 2, "levels": "P3"},
            {"num_classes": 2, "neck": "fpn"},
            {"num_classes": 2, "bins": 0},
            {"num_classes": 2, "class_loss": "hinge"},
            {"num_classes": 2, "box_loss": "l1"},
            {"num_classes": 2, "loss_weights": {"boxes": 1.0}},
        ],
    ),
    Case(
        heads.DetectionHead,
        {
            "num_classes": 2,
            "levels": ["P2", "P3"],
            "filters": 4,
            "depth": 1,
            "neck": None,
            "bins": 1,
            "nms_free": True,
            "separable": True,
            "class_loss": "varifocal",
            "box_loss": "giou",
            "loss_weights": {"box": 2.0},
            "norm": "layer",
            "activation": "relu",
        },
        TWO,
        (2, 20, 15),
    ),
    Case(
        heads.SSDHead,
        {"num_classes": 3, "filters": 8, "depth": 1, "octaves": 1, "class_loss": "hard_negatives"},
        MAPS,
        (2, 96, 11),
        [
            {"num_classes": 0},
            {"num_classes": 2, "levels": ["P3"]},
            {"num_classes": 2, "neck": "fpn"},
            {"num_classes": 2, "ratios": []},
            {"num_classes": 2, "ratios": [0.0]},
            {"num_classes": 2, "octaves": 0},
            {"num_classes": 2, "anchor_size": 0.0},
            {"num_classes": 2, "class_loss": "varifocal"},
            {"num_classes": 2, "matching": 1.5},
        ],
    ),
    Case(
        heads.SSDHead,
        {
            "num_classes": 2,
            "levels": ["P2", "P3"],
            "filters": 4,
            "depth": 1,
            "neck": None,
            "anchor_size": 2.0,
            "octaves": 3,
            "ratios": [1.0],
            "separable": True,
            "matching": 0.4,
            "norm": "layer",
            "activation": "silu",
        },
        TWO,
        (2, 60, 10),
    ),
    Case(
        heads.RCNNHead,
        {
            "num_classes": 3,
            "filters": 8,
            "octaves": 2,
            "ratios": [1.0],
            "proposals": 6,
            "pool": 2,
            "hidden": 8,
            "class_loss": "focal",
        },
        MAPS,
        (2, 70, 11),
        [
            {"num_classes": 0},
            {"num_classes": 2, "levels": ["P3"]},
            {"num_classes": 2, "neck": "fpn"},
            {"num_classes": 2, "ratios": "1"},
            {"num_classes": 2, "proposals": 0},
            {"num_classes": 2, "pool": 0},
            {"num_classes": 2, "hidden": 0},
            {"num_classes": 2, "class_loss": "varifocal"},
            {"num_classes": 2, "matching": 1.5},
            {"num_classes": 2, "proposal_matching": 0.0},
        ],
        exceptions=PROPOSED,
    ),
    Case(
        heads.RCNNHead,
        {
            "num_classes": 2,
            "levels": ["P2", "P3"],
            "filters": 4,
            "depth": 2,
            "neck": None,
            "anchor_size": 2.0,
            "ratios": [1.0],
            "proposals": 5,
            "hidden": 8,
            "matching": 0.4,
            "proposal_matching": 0.3,
            "norm": "layer",
            "activation": "silu",
        },
        TWO,
        (2, 25, 10),
        exceptions=PROPOSED,
    ),
]
