"""Limits that a candidate keeps before a training step is spent on it."""

import dataclasses
import math

import export


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """The most that a model may cost; `None` is no limit.

    Args:
        params: Number of parameters, trained or not.
        macs: Multiply-accumulates of one sample.

    Raises:
        ValueError: If a limit is not a number above zero.

    >>> Budget(params=100).violations({"params": 150, "macs": 7})
    {'params': 0.5}
    """

    params: float | None = None
    macs: float | None = None

    def __post_init__(self):
        for name, limit in self.limits.items():
            number = isinstance(limit, (int, float)) and not isinstance(limit, bool)
            if not number or not limit > 0 or math.isinf(limit):
                raise ValueError(
                    f"`{name}` must be a number above zero, or None. Received: {name}={limit!r}."
                )

    @property
    def limits(self) -> dict:
        """The limits that are set, by name."""
        return {name: limit for name, limit in vars(self).items() if limit is not None}

    def excess(self, facts: dict) -> dict:
        """Return the share by which each limit is exceeded; below zero where it is kept."""
        return {name: facts[name] / limit - 1 for name, limit in self.limits.items()}

    def violations(self, facts: dict) -> dict:
        """Return the share by which each exceeded limit is exceeded, and nothing for the others."""
        return {name: share for name, share in self.excess(facts).items() if share > 0}

    def check(self, model) -> tuple[dict, dict]:
        """Return the facts of a model and its violations.

        >>> import keras
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> Budget(params=4).check(model)
        ({'params': 8, 'macs': 6}, {'params': 1.0})
        """
        facts = measure(model, required=self.limits)
        return facts, self.violations(facts)


def measure(model, required=("params", "macs")) -> dict:
    """Return the static facts of a model: `{"params": …, "macs": …}`, `None` where unknown.

    Args:
        model: A `keras.Model`.
        required: Names of the facts that must be known.

    Raises:
        ValueError: If one of them is not.
    """
    facts = {"params": int(model.count_params()) if model.built else None, "macs": None}
    try:
        found = export.measure(model)
    except Exception:  # a foreign model may break the tracing anywhere
        if any(facts[name] is None for name in required):
            raise
        return facts
    if not found.uncounted:
        facts["macs"] = int(found.macs)
    elif "macs" in required:
        raise ValueError(
            "Where MACs are limited or an objective, those of every layer must be known. "
            f"Received: {model.name!r}, whose layers {found.uncounted} cannot be counted. "
            "Use others, or limit `params`."
        )
    return facts
