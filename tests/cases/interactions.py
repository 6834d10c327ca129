"""Features of one example that act together."""

import blocks
from tests.cases.case import Case

CASES = [
    Case(
        blocks.CrossNetwork,
        {"depth": 2, "rank": 3, "experts": 2, "activation": "tanh"},
        (2, 6),
        (2, 6),
        [{"depth": 0}, {"rank": 0}, {"experts": 0}, {"experts": 2}, {"activation": "nonsense"}],
    ),
    Case(blocks.CrossNetwork, {"depth": 2}, (2, 5, 4), (2, 5, 4)),
    Case(blocks.CrossNetwork, {"depth": 1, "rank": 2}, (2, 6), (2, 6)),
    Case(
        blocks.DotInteraction,
        {"self_interaction": True},
        [(2, 6)] * 4,
        (2, 10),
        [],
        [[(2, 6)], [(2, 6), (2, 5)], [(2, 3, 6)] * 2, (2, 6)],
    ),
    Case(blocks.DotInteraction, {}, [(2, 6)] * 3, (2, 3)),
    Case(blocks.FactorizationMachine, {"reduce": False}, (2, 5, 6), (2, 6), [], [(2, 6)]),
    Case(blocks.FactorizationMachine, {}, (2, 5, 6), (2, 1)),
]
