"""What a process knows of a candidate that it runs."""

import dataclasses
import re
import time

import optuna

from tuning.workers import Heartbeat


@dataclasses.dataclass
class Running:
    """A candidate from its proposal to its end.

    Attributes:
        optuna: Its Optuna trial.
        beat: What says that it is alive.
        seed: Seed of its weights and training.
        began: When it was proposed.
        facts: What its model costs.
        foretold: Costs by prediction, by which it is refused.
        architecture: What models that cost the same have in common.
        features: What tells costs, see `tuning.predictor`.
        limits: Share by which each limit of the budget is exceeded.
        gate_seconds: Time before its training.
        epochs: Number of epochs trained.
        paused: Whether its training was paused.
        rung: Number of epochs after which it was judged last.
    """

    optuna: optuna.trial.Trial
    beat: Heartbeat
    seed: int
    began: float = dataclasses.field(default_factory=time.perf_counter)
    facts: dict = dataclasses.field(default_factory=dict)
    foretold: dict = dataclasses.field(default_factory=dict)  # costs by prediction
    architecture: str | None = None
    features: list = dataclasses.field(default_factory=list)
    gate_seconds: float = 0.0
    epochs: int = 0
    paused: bool = False
    rung: int = 0
    limits: dict = dataclasses.field(default_factory=dict)  # share by which each is exceeded


def last_line(message):
    """Return what a traceback says in the end, before the arguments that Keras lists, if any."""
    text = re.sub(r"\x1b\[\d*m", "", message or "unknown")
    text = re.sub(r"(?s)\n\nArguments received by (?!.*\nTraceback ).*", "", text)
    return text.strip().splitlines()[-1]
