"""Heads of whole inputs."""

import heads
from tests.cases.case import Case

CASES = [
    Case(
        heads.ClassificationHead,
        {"num_classes": 5, "label_smoothing": 0.1, "class_weights": [1.0, 2.0, 1.0, 1.0, 0.5]},
        (2, 4, 5, 6),
        (2, 5),
        [
            {"num_classes": 0},
            {"num_classes": 1},
            {"num_classes": 3, "class_weights": [1.0, 1.0]},
            {"num_classes": 3, "label_smoothing": 1.0},
            {"num_classes": 3, "focal_gamma": -1.0},
            {"num_classes": 3, "multi_label": True, "one_hot": True},
        ],
    ),
    Case(
        heads.ClassificationHead,
        {"num_classes": 3, "multi_label": True, "dropout": 0.2},
        (2, 7, 6),
        (2, 3),
    ),
    Case(
        heads.RegressionHead,
        {"units": 2, "loss": "huber", "mean": [1.0, 2.0], "std": 3.0},
        (2, 4, 5, 6),
        (2, 2),
        [{"units": 0}, {"loss": "nonsense"}, {"std": 0.0}, {"units": 2, "mean": [1.0]}],
    ),
    Case(
        heads.ClassificationHead,
        {"num_classes": 2, "one_hot": True, "focal_gamma": 2.0},
        (2, 6),
        (2, 2),
        [
            {"num_classes": 3, "class_weights": "balanced"},
            {"num_classes": 3, "focal_gamma": "high"},
            {"num_classes": 3, "dropout": 1.0},
        ],
        [(2,)],
    ),
    Case(
        heads.RegressionHead,
        {"dropout": 0.2},
        (2, 7, 6),
        (2, 1),
        [{"std": [1.0, 1.0]}, {"mean": float("nan")}, {"std": "one"}, {"dropout": -0.1}],
        [(2,)],
    ),
]
