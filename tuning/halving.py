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

    Of several objectives the trials that fewest others dominate are the best. A paused trial goes
    on from where it stands as soon as it is among them. The first trials go on as they come.

    Args:
        min_epochs: Number of epochs after which a trial is judged first.
        factor: Ratio of the epochs of one judgement to those before.

    Raises:
        ValueError: If one is no whole number, `min_epochs` below 1 or `factor` below 2.

    Reference: [Li et al., 2018](https://arxiv.org/abs/1810.05934) (ASHA)

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
        last = sorted(ranks(points, points, directions))[math.ceil(len(points) / self.factor) - 1]
        return [rank <= last for rank in ranks(some, points, directions)]


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
