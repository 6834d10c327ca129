"""What a process knows of a candidate that it runs."""

import dataclasses
import re
import time

import keras_tuner
import optuna
from keras_tuner.engine.trial import Trial

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


def stopped():
    """Return the trial that tells KerasTuner to end the search."""
    return Trial(keras_tuner.HyperParameters(), "none", "STOPPED")


def make_record(trial, became, reason, running, objectives):
    """Return the record of an ended KerasTuner trial, as plain data.

    Args:
        trial: The trial.
        became: `"completed"`, `"failed"`, `"refused"` or `"repeated"`.
        reason: Why it did not complete, or `None`.
        running: What the oracle knows of it.
        objectives: List of `keras_tuner.Objective`.
    """
    state = trial.get_state()
    state["score"] = None if trial.score is None else float(trial.score)
    values = {name: history.get_last_value() for name, history in trial.metrics.metrics.items()}
    return {
        "outcome": became,
        "reason": reason,
        "facts": running.facts,
        "foretold": running.foretold,
        "architecture": running.architecture,
        "features": running.features,
        "values": {o.name: float(values[o.name]) for o in objectives if o.name in values},
        "epochs": running.epochs,
        "rung": running.rung,
        "seconds": round(time.perf_counter() - running.began, 3),
        "gate_seconds": round(running.gate_seconds, 3),
        "trial": state,
    }
