"""Hyperparameters that are drawn the moment a model-building function asks for them."""

import math

import keras_tuner
from keras_tuner.engine import hyperparameters as kinds


class LiveHyperParameters(keras_tuner.HyperParameters):
    """Starts empty and draws each value when it is first asked for.

    So a space is plain Python: what an `if` does not reach is never drawn, and no model is
    built to find out what there is.

    Args:
        draw: Function from a KerasTuner hyperparameter to its value.
    """

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def _register(self, hyperparameter, overwrite=False):
        known = hyperparameter.name in self.values
        if self.is_active(hyperparameter) and not known:
            self.values[hyperparameter.name] = self.draw(hyperparameter)
        return super()._register(hyperparameter)


def plain(hp):
    """Return the hyperparameters with their values, free of any search."""
    return keras_tuner.HyperParameters.from_config(hp.get_config())


def check_same(before, now):
    """Raise if two definitions of one hyperparameter differ in more than their default."""
    before, now = _definition(before), _definition(now)
    if before != now:
        raise keras_tuner.errors.FatalValueError(
            "A hyperparameter has one set of values in all trials of a search. Received: "
            f"{now}, where it was {before}. Give it another name in each branch of the space; "
            "if the space has changed, choose another `project_name` or pass overwrite=True."
        )


def _definition(hp):
    config = {k: v for k, v in hp.get_config().items() if k not in ("default", "conditions")}
    return {"kind": type(hp).__name__, **config}


def optuna_name(hp):
    """Return Optuna's name: KerasTuner tells apart what stands under different conditions.

    The endings `#` and `%` mark an index into the values and a cumulative probability.
    """
    conditions = [f"{c.name}={'|'.join(map(str, c.values))}" for c in hp.conditions]
    name = f"{hp.name}@{','.join(conditions)}" if conditions else hp.name
    if isinstance(hp, kinds.Choice):
        return name + "#" if _is_ordinal(hp) else name
    if isinstance(hp, (kinds.Int, kinds.Float)):
        if hp.sampling in ("log", "reverse_log") and hp.step is not None:
            return name + "#"
        if hp.sampling == "reverse_log":
            return name + "%"
    return name


def suggest(trial, hp):
    """Ask an Optuna trial for the value of one KerasTuner hyperparameter."""
    name = optuna_name(hp)
    if isinstance(hp, kinds.Fixed):
        return hp.value
    if isinstance(hp, kinds.Boolean):
        return trial.suggest_categorical(name, [False, True])
    if isinstance(hp, kinds.Choice) and not name.endswith("#"):
        return trial.suggest_categorical(name, list(hp.values))
    if name.endswith("#"):
        values = list(hp.values)
        value = values[trial.suggest_int(name, 0, len(values) - 1)]
        return round(value) if isinstance(hp, kinds.Int) else value  # a grid of powers is float
    if name.endswith("%"):
        return hp.prob_to_value(trial.suggest_float(name, 0.0, 1.0 - 1e-9))
    low, high, step, log = hp.min_value, hp.max_value, hp.step, hp.sampling == "log"
    if isinstance(hp, kinds.Int):
        step = step or 1
        high = low + (high - low) // step * step
        return trial.suggest_int(name, low, high, step=1 if log else step, log=log)
    if step is not None:
        high = low + math.floor((high - low) / step + 1e-9) * step
    return trial.suggest_float(name, low, high, step=step, log=log)


def _is_ordinal(choice):
    """Whether the sampler should see an order: more than two numbers, sorted."""
    values = list(choice.values)
    return choice.ordered and len(values) > 2 and values == sorted(values)
