"""Maps of several resolutions."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.FeaturePyramid,
        {"filters": 6},
        [(2, 13, 12, 3), (2, 7, 6, 4), (2, 4, 3, 5)],
        [(2, 13, 12, 6), (2, 7, 6, 6), (2, 4, 3, 6)],
        [{"filters": 0}],
        [
            [(2, 7, 8, 4)],
            [(2, 4, 4, 5), (2, 8, 8, 4)],
            [(2, 8, 8, 4), (2, 2, 2, 4)],
            [(2, 8, 8, 4), (2, 8, 8, 4)],
            {"P3": (2, 8, 8, 4), "P5": (2, 4, 4, 4)},
        ],
    ),
    Case(
        blocks.FeaturePyramid,
        {"filters": 6},
        {"P3": (2, 7, 8, 4), "P4": (2, 4, 4, 5)},
        {"P3": (2, 7, 8, 6), "P4": (2, 4, 4, 6)},
    ),
]
