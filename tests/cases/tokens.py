"""Tokens of images: patches, positions, windows, linear attention, and maps made of them."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.WindowAttention,
        {"num_heads": 2, "window_size": 4, "shift": True, "dropout": 0.3},
        (2, 8, 8, 8),
        (2, 8, 8, 8),
        [{"num_heads": 0}, {"window_size": 0}, {"dropout": 1.0}],
        [(2, 8, 8, 9), (2, 8, 8)],
    ),
    Case(
        blocks.WindowAttention,
        {"num_heads": 2, "window_size": 3, "shift": True},
        (2, 7, 5, 8),
        (2, 7, 5, 8),
    ),
    Case(blocks.WindowAttention, {"num_heads": 2, "window_size": 5}, (2, 4, 10, 8), (2, 4, 10, 8)),
    Case(
        blocks.LinearAttention,
        {"num_heads": 2, "dropout": 0.3},
        (2, 7, 8),
        (2, 7, 8),
        [{"num_heads": 0}, {"dropout": 1.0}, {"feature_map": "exp"}, {"feature_map": ["elu"]}],
        [(2, 7, 9), (2, 8)],
    ),
    Case(
        blocks.LinearAttention,
        {"num_heads": 2, "feature_map": "relu"},
        (2, 5, 6, 8),
        (2, 5, 6, 8),
    ),
    Case(
        blocks.PatchEmbedding,
        {"units": 6, "patch_size": 4},
        (2, 8, 12, 3),
        (2, 6, 6),
        [{"units": 0}, {"units": 6, "patch_size": 0}, {"units": 6, "rank": 4}],
        [(2, 8, 3)],
    ),
    Case(
        blocks.PatchEmbedding,
        {"units": 6, "patch_size": 4, "flatten": False},
        (2, 9, 3, 3),
        (2, 3, 1, 6),
    ),
    Case(
        blocks.PatchEmbedding,
        {"units": 6, "patch_size": 5, "rank": 1},
        (2, 20, 3),
        (2, 4, 6),
    ),
    Case(
        blocks.PositionEmbedding,
        {},
        (2, 7, 8),
        (2, 7, 8),
        [{"sides": 0}, {"sides": [4, 0]}, {"sides": "x"}],
        [(2, 8)],
    ),
    Case(
        blocks.PositionEmbedding,
        {"sides": (3, 5)},
        (2, 4, 6, 8),
        (2, 4, 6, 8),
        wrong_shapes=[(2, 7, 8)],
    ),
    Case(
        blocks.PositionEmbedding,
        {"sides": 2, "class_token": True},
        (2, 3, 3, 8),
        (2, 10, 8),
    ),
    Case(
        blocks.SimpleFeaturePyramid,
        {"filters": 24},  # of fewer channels, layer normalization makes much of int8's steps
        (2, 3, 4, 32),
        [(2, 12, 16, 24), (2, 6, 8, 24), (2, 3, 4, 24), (2, 2, 2, 24)],
        [{"filters": 0}],
        [(2, 3, 8)],
    ),
]
