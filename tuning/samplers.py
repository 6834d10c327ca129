"""Who proposes the next values: Optuna's samplers by name, and one that never repeats."""

import warnings

import numpy as np
import optuna
from optuna import distributions, samplers

NAMES = ("tpe", "nsga2", "random", "grid")
ENDING = (samplers.GridSampler, samplers.BruteForceSampler)  # a search of Optuna's own


def make_sampler(sampler, seed, max_trials):
    """Return an Optuna sampler.

    Args:
        sampler: `"tpe"`, `"nsga2"`, `"random"`, `"grid"` (see `Untried`) or an Optuna sampler,
            which is taken as it is.
        seed: Seed of a sampler made by name.
        max_trials: Length of the search: a generation of NSGA-II is a fifth of it.
    """
    if isinstance(sampler, ENDING):
        raise ValueError(
            "A sampler must leave it to the search when to end. Received: "
            f"{type(sampler).__name__}. Write sampler='grid' to try every configuration once."
        )
    if isinstance(sampler, samplers.BaseSampler):
        return sampler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if sampler == "tpe":
            # `group`: parameters that only some branches of a space have are sampled jointly too.
            return samplers.TPESampler(multivariate=True, group=True, seed=seed)
        if sampler == "nsga2":
            size = min(50, max(8, max_trials // 5))
            return samplers.NSGAIISampler(population_size=size, seed=seed)
        if sampler in ("random", "grid"):
            return samplers.RandomSampler(seed=seed)
    raise ValueError(
        f"`sampler` must be one of {list(NAMES)} or an Optuna sampler. Received: {sampler!r}."
    )


def learns_from_pruned(sampler):
    """Return whether the sampler looks at refused candidates that are told as pruned.

    The others look at finished trials only; for them a refusal must be a finished trial with a
    violated constraint.
    """
    return not isinstance(
        sampler, (samplers.NSGAIISampler, samplers.NSGAIIISampler, samplers.GPSampler)
    )


def derived_seed(seed, index):
    """Return the seed of the candidate number `index`: resuming repeats no random numbers."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def execution_seed(seed, execution):
    """Return the seed of one of several trainings of a trial; the first has the trial's own."""
    return derived_seed(seed, execution) if execution else seed


class Untried(samplers.BaseSampler):
    """Draws at random among what leads to configurations that no trial has had.

    A value is closed if every configuration behind it was tried, as far as the trials show
    what there is behind it. Continuous ranges are never closed.

    Args:
        tried: Finished or running Optuna trials whose configuration must not come again.
        seed: Seed of the draws.
    """

    def __init__(self, tried, seed):
        self.tried = tried
        self.random = np.random.RandomState(seed)
        self.fallback = samplers.RandomSampler(seed=seed)

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        values = options(param_distribution)
        prefix = list(trial.params.items())
        here = [t for t in self.tried if list(t.params.items())[: len(prefix)] == prefix]
        behind = {v: [t for t in here if t.params.get(param_name) == v] for v in values}
        open_values = [v for v in values if not closed(behind[v], len(prefix) + 1)]
        if not open_values:  # a continuous range, or everything was tried
            return self.fallback.sample_independent(study, trial, param_name, param_distribution)
        return open_values[self.random.randint(len(open_values))]


def options(distribution):
    """Return every value of a finite distribution, and nothing for a continuous one."""
    if isinstance(distribution, distributions.CategoricalDistribution):
        return list(distribution.choices)
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is None:
        return []
    return [low + i * step for i in range(round((high - low) / step) + 1)]


def closed(trials, depth):
    """Return whether trials, equal in `depth` parameters, had all that may follow."""
    if not trials:
        return False
    if any(len(t.params) <= depth for t in trials):
        return True
    name = list(trials[0].params)[depth]
    values = options(trials[0].distributions[name])
    return bool(values) and all(
        closed([t for t in trials if t.params.get(name) == v], depth + 1) for v in values
    )
