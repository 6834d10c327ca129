"""What a search is given, checked before anything is written."""

import dataclasses
import os

import keras
import keras_tuner

from tuning.budget import Budget
from tuning.halving import Halving

IN_ONE_PROCESS = ("optimizer", "loss", "metrics", "distribution_strategy")


def check_settings(seed, budget, further, answer=None, halving=None, isolate=False, **counts):
    """Raise where an argument of `ParetoSearch` is wrong.

    Args:
        seed: Its seed.
        budget: Its budget.
        further: Arguments for KerasTuner.
        answer: Its `answer`.
        halving: Its `halving`.
        isolate: Its `isolate`.
        **counts: Arguments that must be whole numbers above zero.
    """
    check_counts(**counts)
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise ValueError(f"`seed` must be None or a whole number from 0. Received: seed={seed!r}.")
    if budget is not None and not isinstance(budget, Budget):
        raise ValueError(f"`budget` must be a tuning.Budget or None. Received: budget={budget!r}.")
    if answer is not None and not callable(answer):
        raise ValueError(
            "`answer` must be a function from a model to the one that the device runs. "
            f"Received: answer={answer!r}."
        )
    if halving is not None and not isinstance(halving, Halving):
        raise ValueError(
            f"`halving` must be a tuning.Halving or None. Received: halving={halving!r}."
        )
    if halving is not None and further.get("executions_per_trial", 1) > 1:
        raise ValueError(
            "A trial that may be paused is trained once. Received: executions_per_trial="
            f"{further['executions_per_trial']} with halving={halving}. Leave one out."
        )
    given = [name for name in IN_ONE_PROCESS if further.get(name) is not None]
    if isolate and given:
        raise ValueError(
            "In processes of their own models are as the model-building function compiles them. "
            f"Received: isolate=True and {', '.join(given)}. Leave one out."
        )
    if further.get("max_model_size"):
        raise ValueError(
            "A limit on the size is a budget. Received: max_model_size="
            f"{further['max_model_size']!r}. Write budget=tuning.Budget(params=…)."
        )
    if "KERASTUNER_ORACLE_IP" in os.environ:
        raise ValueError(
            "ParetoSearch needs no chief. Received: the environment variable "
            "KERASTUNER_ORACLE_IP. Unset it."
        )


def check_counts(**counts):
    """Raise where one of these is no whole number above zero."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(
                f"`{name}` must be a whole number above zero. Received: {name}={count!r}."
            )


def check_search(verbose, callbacks):
    """Return how much `search` prints, a number; raise where one of its arguments is wrong."""
    levels = {"auto": 1, 0: 0, 1: 1, 2: 2}
    if not isinstance(verbose, (int, str)) or verbose not in levels:
        raise ValueError(f"`verbose` must be 0, 1, 2 or 'auto'. Received: verbose={verbose!r}.")
    several = callbacks is None or isinstance(callbacks, (list, tuple))
    if not several or not all(isinstance(x, keras.callbacks.Callback) for x in callbacks or ()):
        raise ValueError(
            "`callbacks` must be a list of keras.callbacks.Callback. "
            f"Received: callbacks={callbacks!r}."
        )
    return levels[verbose]


def check_compiled(hypermodel, model):
    """Raise where Keras's own `fit` is to train a model that was not compiled."""
    if type(hypermodel).fit is keras_tuner.HyperModel.fit and not model.compiled:
        raise keras_tuner.errors.FatalValueError(
            "The model-building function must return a compiled keras.Model. "
            f"Received: {model.name!r}, not compiled. Call model.compile(...) in it."
        )


def lasting(oracle, budget, device):
    """Return what may not change while a search goes on, as plain data.

    Args:
        oracle: Its oracle.
        budget: Its budget.
        device: Its `Device` if models are measured, else `None`.
    """
    objectives = [[o.name, o.direction] for o in oracle.objectives]
    settings = {"objectives": objectives, "budget": budget.limits}
    if device is not None:
        settings |= device.settings()
    if oracle.halving is not None:
        settings["halving"] = list(dataclasses.astuple(oracle.halving))
    return settings


def keep(study, settings):
    """Keep the settings of a search in its Optuna study; raise where it was begun under others."""
    before = study.user_attrs.get("settings")
    if before is None:
        study.set_user_attr("settings", settings)
    elif before != settings:
        names = [n for n in {**before, **settings} if before.get(n) != settings.get(n)]
        now, then = ({name: x.get(name) for name in names} for x in (settings, before))
        raise ValueError(
            "A search goes on under the settings it was begun with. "
            f"Received: {now}, where the store has {then}. Choose another "
            "`project_name`, or begin anew with overwrite=True."
        )
