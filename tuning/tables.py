"""Choices as a table of plain values, and how many there are."""

import math

from tuning.checks import is_number


def choose(hp, space, prefix=""):
    """Return one value for each name of a table, as the tuner suggests.

    A list offers its values: numbers, strings, booleans, `None`, or lists; sorted numbers are
    searched as ordered. A tuple `(low, high)` offers all whole numbers or all real numbers from
    `low` to `high`, and `(low, high, "log")` the same with equal chances for equal ratios. A
    list of one value, and anything else, is that value.

    Args:
        hp: The hyperparameters of the trial.
        space: Dict from names to what is offered.
        prefix: Begins the name of each hyperparameter, so that a table can serve twice.

    Raises:
        ValueError: If `space` is no dict, a list is empty, or a range is not one.

    >>> import keras_tuner
    >>> space = {"norm": ["batch", None], "depth": (1, 3), "rate": (1e-4, 1e-2, "log")}
    >>> choose(keras_tuner.HyperParameters(), space, "stem_")
    {'norm': 'batch', 'depth': 1, 'rate': 0.0001}
    """
    if not isinstance(space, dict):
        raise ValueError(
            "A table is a dict from names to what is offered, such as {'depth': [1, 2]}. "
            f"Received: space={space!r}."
        )
    return {name: _choose(hp, prefix + name, offered) for name, offered in space.items()}


def size(space):
    """Return the number of configurations of a table, `None` if a range of it is continuous.

    >>> size({"depth": (1, 3), "norm": ["batch", "layer"]}), size({"rate": (0.0, 1.0)})
    (6, None)
    """
    counts = [_count(name, offered) for name, offered in space.items()]
    return None if None in counts else math.prod(counts)


def _choose(hp, name, offered):
    if isinstance(offered, tuple):
        low, high, sampling = _range(name, offered)
        kind = hp.Int if isinstance(low, int) else hp.Float
        return kind(name, low, high, sampling=sampling)
    if not isinstance(offered, list):
        return offered
    _check(name, offered)
    if len(offered) == 1:
        return offered[0]
    kinds = {type(value) for value in offered}
    if kinds == {bool} and len(offered) == 2:
        return hp.Boolean(name, default=offered[0])
    if kinds == {int, float}:
        offered = [float(value) for value in offered]
    if kinds <= {int, float}:
        return hp.Choice(name, offered, ordered=offered == sorted(offered))
    if kinds == {str}:
        return hp.Choice(name, offered)
    # KerasTuner takes values of one simple kind only: the others go by their text.
    texts = {str(value): value for value in offered}
    return texts.get(hp.Choice(name, list(texts)))  # under another condition KerasTuner has None


def _count(name, offered):
    if isinstance(offered, tuple):
        low, high, _ = _range(name, offered)
        return high - low + 1 if isinstance(low, int) else None
    if isinstance(offered, list):
        _check(name, offered)
        return len(offered)
    return 1


def _range(name, offered):
    low, high, *rest = [*offered, None, None] if len(offered) < 2 else offered
    numbers = all(isinstance(x, (int, float)) and is_number(x) for x in (low, high))
    if not numbers or rest not in ([], ["log"]) or not low < high or (rest and low <= 0):
        raise ValueError(
            "A tuple is a range: (low, high) or (low, high, 'log'), finite, low below high and, "
            f"with 'log', above 0. Received: {name}={offered!r}. Write a list to offer values."
        )
    if not (isinstance(low, int) and isinstance(high, int)):
        low, high = float(low), float(high)
    return low, high, "log" if rest else "linear"


def _check(name, offered):
    if not offered or len({str(value) for value in offered}) < len(offered):
        raise ValueError(
            f"A list offers at least one value, and each value once. Received: {name}={offered!r}."
        )
