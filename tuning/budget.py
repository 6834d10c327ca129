"""Limits that a candidate keeps before a training step is spent on it."""

import dataclasses

import export
from tuning.checks import is_number
from tuning.device import Device
from tuning.objectives import MEASURED, STATIC


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Budget:
    """The most that a model may cost; `None` is no limit.

    Size, latency and memory are those of the untrained model's file on LiteRT, on this machine.

    Args:
        params: Number of parameters, trained or not.
        macs: Multiply-accumulates of one sample.
        size_kb: Size of the `.tflite` file, in thousands of bytes.
        latency_ms: Time of a run in ms: the fastest of 50, since what other processes take away
            is not the model's.
        memory_mb: What the file adds to the memory of its process, in millions of bytes: weights,
            tensors, and some 12 of LiteRT itself.
        precision: Precision of that file, as in `export.to_tflite`.
        threads: Number of threads that it runs on.

    Raises:
        ValueError: If a limit is not a number above zero, or precision or threads are not such.

    >>> Budget(params=100).violations({"params": 150, "macs": 7})
    {'params': 0.5}
    """

    params: float | None = None
    macs: float | None = None
    size_kb: float | None = None
    latency_ms: float | None = None
    memory_mb: float | None = None
    precision: str = "float32"
    threads: int = 1

    def __post_init__(self):
        for name, limit in self.limits.items():
            if not is_number(limit) or limit <= 0:
                raise ValueError(
                    f"`{name}` must be a number above zero, or None. Received: {name}={limit!r}."
                )
        self.device()

    def __repr__(self):
        default = {field.name: field.default for field in dataclasses.fields(self)}
        told = {name: x for name, x in vars(self).items() if x != default[name]}
        return f"Budget({', '.join(f'{name}={x!r}' for name, x in told.items())})"

    @property
    def limits(self) -> dict:
        """The limits that are set, by name."""
        found = {name: getattr(self, name) for name in (*STATIC, *MEASURED)}
        return {name: limit for name, limit in found.items() if limit is not None}

    def device(self, answer=None) -> Device:
        """Return what measures models as this budget says; `answer` as in `ParetoSearch`."""
        return Device(self.precision, self.threads, answer)

    def excess(self, facts: dict) -> dict:
        """Return the share by which each limit is exceeded, below zero where it is kept.

        Limits of facts that are not known are left out.
        """
        known = {name: facts.get(name) for name in self.limits}
        return {n: x / self.limits[n] - 1 for n, x in known.items() if x is not None}

    def violations(self, facts: dict) -> dict:
        """Return the share by which each exceeded limit is exceeded, and nothing for the others."""
        return {name: share for name, share in self.excess(facts).items() if share > 0}

    def check(self, model) -> tuple[dict, dict]:
        """Return the facts of a model and its violations; it is run if the limits need it.

        >>> import keras
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> Budget(params=4).check(model)
        ({'params': 8, 'macs': 6}, {'params': 1.0})
        """
        facts, _ = static_facts(model, required=self.limits)
        if set(self.limits) & set(MEASURED):
            facts |= self.device().measure(model)
        return facts, self.violations(facts)


def static_facts(model, required=STATIC) -> tuple[dict, list]:
    """Return what a model costs that need not run, and the facts of its layers.

    The first is `{"params": …, "macs": …}`, `None` where unknown, the second what
    `export.measure(model).layers` is, empty where unknown.

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
        if any(facts[name] is None for name in required if name in facts):
            raise
        return facts, []
    if not found.uncounted:
        facts["macs"] = int(found.macs)
    elif "macs" in required:
        raise ValueError(
            "Where MACs are limited or an objective, those of every layer must be known. "
            f"Received: {model.name!r}, whose layers {found.uncounted} cannot be counted. "
            "Use others, or limit `params`."
        )
    return facts, found.layers
