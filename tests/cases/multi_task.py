"""Several tasks on what they share."""

import keras

import blocks
import heads
from tests.cases.case import Case

TASKS = {
    "age": keras.saving.serialize_keras_object(heads.RegressionHead(name="age")),
    "kind": keras.saving.serialize_keras_object(heads.ClassificationHead(3, name="kind")),
}
PARTS = {
    name: keras.saving.serialize_keras_object(heads.ClassificationHead(3, name=f"{name}_kind"))
    for name in ("image", "table")
}

CASES = [
    Case(
        blocks.MixtureOfExperts,
        {"tasks": 2, "units": 6, "experts": 3, "activation": "tanh", "dropout": 0.3},
        (2, 4, 5),
        [(2, 4, 6)] * 2,
        [
            {"tasks": 0},
            {"tasks": 2, "units": 0},
            {"tasks": 2, "experts": 0},
            {"tasks": 2, "activation": "nonsense"},
            {"tasks": 2, "dropout": 1.0},
        ],
    ),
    Case(blocks.MixtureOfExperts, {"tasks": 3, "units": 6, "experts": 1}, (2, 5), [(2, 6)] * 3),
    Case(
        heads.MultiTaskHead,
        {"tasks": TASKS, "units": 6, "experts": 3, "dropout": 0.2},
        (2, 5),
        {"age": (2, 2), "kind": (2, 4)},
        [
            {"tasks": {"kind": TASKS["kind"]}},
            {"tasks": [TASKS["kind"], TASKS["age"]]},
            {"tasks": TASKS, "units": 0},
            {"tasks": TASKS, "experts": 0},
            {"tasks": TASKS, "dropout": 1.0},
            {"tasks": {**TASKS, "boxes": heads.DetectionHead(2)}},
        ],
    ),
    Case(
        heads.MultiTaskHead,
        {"tasks": TASKS, "units": 6, "experts": 1, "uncertainty": False},
        (2, 5),
        {"age": (2, 1), "kind": (2, 3)},
    ),
    Case(
        heads.LateFusionHead,
        {"parts": PARTS, "may_miss": True, "rate": 0.4, "seed": 3},
        {"image": (2, 5), "table": (2, 4), "there": (2, 2)},
        (2, 3),
        [
            {"parts": {"image": PARTS["image"]}},
            {"parts": [PARTS["image"], PARTS["table"]]},
            {"parts": {**PARTS, "there": PARTS["image"]}},
            {"parts": PARTS, "rate": 0.4},
            {"parts": PARTS, "rate": 1.0, "may_miss": True},
            {"parts": {**PARTS, "boxes": heads.DetectionHead(2)}},
        ],
        [{"image": (2, 5), "table": (2, 4), "there": (2, 3)}],
    ),
    Case(
        heads.LateFusionHead,
        {"parts": PARTS},
        {"image": (2, 5), "table": (2, 4)},
        (2, 3),
    ),
]
