"""Asynchronous successive halving: few epochs for most candidates, all for the best."""

import dataclasses
import math

from tuning import results
from tuning.objectives import ranks

RUNG = "rung {}"  # attribute of a trial: its objectives after that many epochs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Halving:
    """Pauses a trial after `min_epochs`, and `factor` times as many, and so on, unless it is
    among the best `1 / factor` of those that came so far.

    Of several objectives the trials that fewest others dominate are the best, and of equal ones
    those that stand most alone. A paused trial goes on from where it stands as soon as it is among
    them. The first trials go on as they come.

    Args:
        min_epochs: Number of epochs after which a trial is judged first.
        factor: Ratio of the epochs of one judgement to those before.

    Raises:
        ValueError: If one is no whole number, `min_epochs` below 1 or `factor` below 2.

    References: [Li et al., 2018](https://arxiv.org/abs/1810.05934) (ASHA);
        [Deb et al., 2002](https://doi.org/10.1109/4235.996017) (crowding distance)

    >>> Halving(min_epochs=2, factor=3).rungs(20)
    [2, 6, 18]
    """

    min_epochs: int = 1
    factor: int = 3

    def __post_init__(self):
        for name, least in {"min_epochs": 1, "factor": 2}.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(
                    f"`{name}` must be a whole number from {least}. Received: {name}={value!r}."
                )

    def rungs(self, epochs) -> list:
        """Return the numbers of epochs after which a training of `epochs` is judged."""
        rungs = []
        while (rung := self.min_epochs * self.factor ** len(rungs)) < epochs:
            rungs.append(rung)
        return rungs

    def passes(self, point, points, directions) -> bool:
        """Return whether a trial goes on.

        Args:
            point: Its values of the objectives.
            points: Those of all that came as far, its own among them.
            directions: `"min"` or `"max"` for each objective.
        """
        return self.passing([point], points, directions)[0]

    def passing(self, some, points, directions) -> list:
        """Return of some of the points whether they go on; see `passes`."""
        places = dict(zip(map(tuple, points), order(points, directions)))
        last = sorted(places[tuple(x)] for x in points)[math.ceil(len(points) / self.factor) - 1]
        return [places[tuple(x)] <= last for x in some]


def order(points, directions):
    """Return what points are ordered by: how many dominate each, how alone it stands, its values.

    >>> points = [(0.9, 9), (0.8, 8.9), (0.7, 2), (0.6, 1), (0.5, 1)]
    >>> [place[0] for place in order(points, ["max", "min"])]
    [0, 0, 0, 0, 1]
    >>> sorted(range(4), key=order(points, ["max", "min"]).__getitem__)
    [0, 3, 2, 1]
    """
    found = ranks(points, points, directions)
    if len(directions) == 1:
        return [(rank, 0.0) for rank in found]
    groups = {}
    for rank, point in zip(found, points):
        groups.setdefault(rank, {})[tuple(point)] = 0.0
    for group in groups.values():
        for i in range(len(directions)):
            line = sorted(group, key=lambda point: point[i])
            span = line[-1][i] - line[0][i] or 1.0
            for before, point, after in zip(line, line[1:], line[2:]):
                group[point] += (after[i] - before[i]) / span
            group[line[0]] = group[line[-1]] = math.inf
    signs = [1 if direction == "min" else -1 for direction in directions]
    return [
        (rank, -groups[rank][tuple(point)], *(sign * x for sign, x in zip(signs, point)))
        for rank, point in zip(found, points)
    ]


class Judge:
    """Says of the trials of a search whether they go on.

    Args:
        halving: A `Halving`.
        ledger: The ledger of the search.
    """

    def __init__(self, halving, ledger):
        self.halving, self.ledger = halving, ledger

    def passing(self, rung, some):
        """Return of trials with these objectives after `rung` epochs whether they go on."""
        points = list(self.ledger.points(rung).values())
        directions = [o.direction for o in self.ledger.objectives]
        return self.halving.passing(some, points, directions)

    def of(self, running):
        """Return the function that says after an epoch whether a trial goes on; see `Training`."""

        def goes_on(done, epochs, rows):
            if done not in self.halving.rungs(epochs):
                return True
            point = results.point(rows, running.facts, self.ledger.objectives)
            running.optuna.set_user_attr(RUNG.format(done), point)
            running.rung = done
            (passes,) = self.passing(done, [point])
            running.paused = not passes
            return not running.paused

        return goes_on
