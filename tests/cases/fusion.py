"""Several inputs."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.ConcatFusion,
        {"units": 6, "dropout": 0.3},
        [(2, 3), (2, 5)],
        (2, 6),
        [{"units": 0}, {"units": 6, "activation": "nonsense"}],
        [[(2, 3)], [(2, 3), (2, 4, 5)], [(2, 3, 4), (2, 4, 4)]],
    ),
    Case(blocks.ConcatFusion, {"units": 6}, [(2, 4, 5, 3)] * 3, (2, 4, 5, 6)),
    Case(
        blocks.GatedFusion,
        {"units": 6},
        [(2, 3), (2, 5), (2, 4)],
        (2, 6),
        [{"units": 0}, {"units": 6, "activation": "nonsense"}],
        [[(2, 3)], [(2, 3), (2, 4, 5)], [(2, 3, 3, 3, 2)] * 2],
    ),
    Case(
        blocks.CrossAttentionFusion,
        {"num_heads": 2, "dropout": 0.3},
        [(2, 7, 8), (2, 5, 6)],
        (2, 7, 8),
        [{"num_heads": 0}, {"dropout": 1.0}],
        [[(2, 7, 9), (2, 5, 6)], [(2, 7, 8)], [(2, 8), (2, 6)]],
    ),
    Case(
        blocks.BilinearFusion,
        {"units": 6, "rank": 5, "activation": "relu", "dropout": 0.3},
        [(2, 3), (2, 5)],
        (2, 6),
        [{"units": 0}, {"units": 6, "rank": 0}, {"units": 6, "activation": "nonsense"}],
        [[(2, 3)], [(2, 3), (2, 4, 5)]],
    ),
    Case(blocks.BilinearFusion, {"units": 6}, [(2, 4, 5, 3)] * 3, (2, 4, 5, 6)),
    Case(
        blocks.FiLM,
        {},
        [(2, 4, 5, 6), (2, 3)],
        (2, 4, 5, 6),
        [],
        [[(2, 4, 6)], [(2, 6), (2, 4, 3)], (2, 6)],
    ),
    Case(blocks.FiLM, {}, [(2, 6), (2, 3)], (2, 6)),
    Case(
        blocks.ModalityDropout,
        {"rate": 0.5, "seed": 5},
        [(2, 6), (2, 4, 5), (2, 3), (2, 3)],
        [(2, 6), (2, 4, 5), (2, 3)],
        [{"rate": 1.0}, {"rate": -0.1}],
        [[(2, 6), (2, 2)], [(2, 6), (2, 4), (2, 3)], [(2, 6), (2, 4), (2, 1, 2)]],
    ),
]
