"""What a search answers: the front, the best under limits, the order of the finished trials."""

import numpy as np

from tuning.checks import is_number
from tuning.objectives import STATIC, front


def value(trial, name):
    """Return a metric, objective or fact of a finished trial, or `None`."""
    return trial.metrics.get_last_value(name) if trial.metrics.exists(name) else None


def pareto_front(trials, objectives):
    """Return the trials that no other dominates."""
    points = [[value(t, o.name) for o in objectives] for t in trials]
    return [trials[i] for i in front(points, [o.direction for o in objectives])]


def rank(trials, objectives, first):
    """Return the trials in order: the front, then the others, each by one objective.

    Equal ones are ordered by MACs, then by parameters, then by age.

    Args:
        trials: Completed trials.
        objectives: All objectives.
        first: The objective that orders.
    """
    sign = -1 if first.direction == "max" else 1
    best = {trial.trial_id for trial in pareto_front(trials, objectives)}

    def key(trial):
        costs = [value(trial, name) or 0 for name in reversed(STATIC)]
        return trial.trial_id not in best, sign * value(trial, first.name), *costs, trial.trial_id

    return sorted(trials, key=key)


def knee(trials, objectives):
    """Return the trial of a front that is nearest to the best of every objective; see `Found`."""
    if not trials:
        raise ValueError("A knee is one of the completed trials. Received: none.")
    points = np.array([[value(t, o.name) for o in objectives] for t in trials], "float64")
    points *= [-1 if o.direction == "max" else 1 for o in objectives]
    ideal = points.min(axis=0)
    span = points.max(axis=0) - ideal
    scaled = (points - ideal) / np.where(span > 0, span, 1)
    return trials[int(np.square(scaled).sum(axis=1).argmin())]


def best_within(trials, objectives, limits):
    """Return the best of the trials that keep the limits; see `ParetoSearch.best`."""
    broken = {name: limit for name, limit in limits.items() if not is_number(limit)}
    if broken:
        raise ValueError(f"A limit is a number. Received: {broken}.")
    names = {name for trial in trials for name in trial.metrics.metrics}
    unknown = sorted(set(limits) - names)
    if trials and unknown:
        raise ValueError(
            f"A limit is on an objective, a fact or a metric: {sorted(names)}. Received: {unknown}."
        )
    maximised = {o.name for o in objectives if o.direction == "max"}

    def keeps(trial, name, limit):
        found = value(trial, name)
        if found is None:
            return False
        return found >= limit if name in maximised else found <= limit

    kept = [t for t in trials if all(keeps(t, *limit) for limit in limits.items())]
    if not kept:
        nearest = {
            name: (max if name in maximised else min)(
                float(found) for t in trials if (found := value(t, name)) is not None
            )
            for name in limits
            if trials
        }
        raise ValueError(
            f"No completed trial keeps all limits. Received: {limits}, where the best of "
            f"{len(trials)} completed trials have, one by one, {nearest}."
        )
    free = [o for o in objectives if o.name not in limits] or objectives
    return rank(kept, objectives, free[0])[0]
