"""Hyperparameters that are drawn the moment a model-building function asks for them."""

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


def drawn_before(hp, config):
    """Give hyperparameters what others have drawn, from their configuration."""
    known = keras_tuner.HyperParameters.from_config(config)
    hp._hps, hp._space, hp.values = known._hps, known._space, known.values


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
    return name + _form(hp)


def suggest(trial, hp):
    """Ask an Optuna trial for the value of one KerasTuner hyperparameter."""
    name, form = optuna_name(hp), _form(hp)
    if isinstance(hp, kinds.Fixed):
        return hp.value
    if isinstance(hp, kinds.Boolean):
        return trial.suggest_categorical(name, [False, True])
    if form == "#":
        values = _values(hp)
        return values[trial.suggest_int(name, 0, len(values) - 1)]
    if isinstance(hp, kinds.Choice):
        return trial.suggest_categorical(name, _values(hp))
    if form == "%":
        return hp.prob_to_value(trial.suggest_float(name, 0.0, 1.0 - 1e-9))
    low, high, log = hp.min_value, hp.max_value, hp.sampling == "log"
    if isinstance(hp, kinds.Float):
        return trial.suggest_float(name, low, high, log=log)
    step = 1 if log else hp.step
    return trial.suggest_int(name, low, low + (high - low) // step * step, step=step, log=log)


def _values(hp):
    """Return what a hyperparameter offers, each value once."""
    values = hp.values
    if isinstance(hp, kinds.Int):  # a grid of powers is float
        values = map(round, values)
    return list(dict.fromkeys(values))


def _form(hp):
    if isinstance(hp, kinds.Choice):  # an order is worth telling for more than two numbers
        values = _values(hp)
        return "#" if hp.ordered and len(values) > 2 and values == sorted(values) else ""
    if isinstance(hp, (kinds.Int, kinds.Float)) and hp.sampling != "linear":
        return "#" if hp.step is not None else "%" if hp.sampling == "reverse_log" else ""
    return "#" if isinstance(hp, kinds.Float) and hp.step is not None else ""
