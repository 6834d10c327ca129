"""Embeddings behind margins, and the activation of MobileFaceNet."""

import blocks
import heads
from tests.cases.case import Case

CASES = [
    Case(
        heads.MarginHead,
        {"num_classes": 5, "embedding_size": 16, "margin": 0.3, "dropout": 0.2},
        (2, 4, 5, 6),
        (2, 5),
        [
            {"num_classes": 1},
            {"num_classes": 5, "embedding_size": 0},
            {"num_classes": 5, "loss": "nonsense"},
            {"num_classes": 5, "margin": -0.1},
            {"num_classes": 5, "margin": 1.6},
            {"num_classes": 5, "margin": "wide"},
            {"num_classes": 5, "loss": "cosface", "margin": 2.1},
            {"num_classes": 5, "scale": 0},
            {"num_classes": 5, "subcenters": 0},
            {"num_classes": 5, "pool": "nonsense"},
            {"num_classes": 5, "pool": ["average"]},
            {"num_classes": 5, "norm": "nonsense"},
            {"num_classes": 5, "dropout": 1.0},
        ],
        [(2,)],
    ),
    Case(
        heads.MarginHead,
        {"num_classes": 4, "loss": "cosface", "scale": 16.0, "subcenters": 3, "norm": "none"},
        (2, 7, 6),
        (2, 4),
    ),
    Case(
        heads.MarginHead,
        {"num_classes": 4, "pool": "depthwise", "norm": "layer"},
        (2, 4, 5, 6),
        (2, 4),
        [],
        [(2, 6), (2, 7, 6)],
    ),
    Case(
        blocks.ConvNormAct,
        {"filters": 6, "strides": 2, "activation": "prelu"},
        (2, 7, 8, 4),
        (2, 4, 4, 6),
    ),
    Case(
        blocks.InvertedResidual,
        {"filters": 4, "rank": 1, "activation": "prelu"},
        (2, 7, 4),
        (2, 7, 4),
    ),
]
