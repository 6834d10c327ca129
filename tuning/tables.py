"""Choices as a table of plain values, and how many there are."""

import contextlib
import math

from tuning.checks import is_number


def choose(hp, space, prefix=""):
    """Return one value for each name of a table, as the tuner suggests.

    A list offers its values: numbers, strings, booleans, `None`, or lists; sorted numbers are
    searched as ordered. A tuple `(low, high)` offers all whole numbers or all real numbers from
    `low` to `high`, and `(low, high, "log")` the same with equal chances for equal ratios. A
    dict of tables offers its names: the value is the chosen one beside what was chosen of its
    table, which no other name has. A list of one value, and anything else, is that value.

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
    >>> space = {"block": {"conv": {"kernel": [3, 5]}, "dense": {"growth": [12, 24]}}}
    >>> choose(keras_tuner.HyperParameters(), space)  # "block", "block_conv_kernel"
    {'block': ('conv', {'kernel': 3})}
    """
    if not isinstance(space, dict):
        raise ValueError(
            "A table is a dict from names to what is offered, such as {'depth': [1, 2]}. "
            f"Received: space={space!r}."
        )
    return {name: _choose(hp, prefix + name, offered) for name, offered in space.items()}


def under(hp, name, value, tables, prefix=""):
    """Return what is chosen of the table of one value of a hyperparameter.

    Each table is read under its condition, by which KerasTuner's own tuners see what belongs
    together, and under names of its own: they lose what has one name under two conditions.

    Args:
        hp: The hyperparameters of the trial.
        name: Name of the hyperparameter, which offers the names of the tables.
        value: Its value.
        tables: Dict of tables.
        prefix: Begins the name of each hyperparameter of them.
    """
    chosen = {}
    for key, table in tables.items():
        alone = len(tables) == 1
        with contextlib.nullcontext() if alone else hp.conditional_scope(name, [key]):
            own = choose(hp, table, f"{prefix}{key}_")
        if key == value:
            chosen = own
    return chosen


def size(space):
    """Return the number of configurations of a table, `None` if a range of it is continuous.

    >>> size({"depth": (1, 3), "norm": ["batch", "layer"]}), size({"rate": (0.0, 1.0)})
    (6, None)
    >>> size({"block": {"conv": {"kernel": [3, 5]}, "dense": {}}, "depth": (1, 3)})
    9
    """
    counts = [_count(name, offered) for name, offered in space.items()]
    return None if None in counts else math.prod(counts)


def replaced(known, given, takes=None, what="choices", further=()):
    """Return a table whose rows are those given, and else the known ones.

    Of a row of tables, those named are offered: a name, a list of names, or a dict of names with
    what replaces rows of their tables.

    Args:
        known: Table of what there is.
        given: Table of some of its names, or `None`.
        takes: Names that a table may have beyond the known ones, by the name of the table.
        what: What the caller calls it, for errors.
        further: Names that this table may have beyond the known ones.

    Raises:
        ValueError: If a name means nothing, or a row offers nothing.

    >>> known = {"depth": [1, 2], "block": {"conv": {"kernel": [3, 5]}, "dense": {}}}
    >>> replaced(known, {"block": {"conv": {"kernel": 7}}})
    {'depth': [1, 2], 'block': {'conv': {'kernel': 7}}}
    """
    given = {} if given is None else given
    check_names(what, given, {*known, *further})
    rows = {}
    for name, offered in given.items():
        place, tables = f"{what}[{name!r}]", known.get(name)
        if are_tables(tables):
            names = [offered] if isinstance(offered, str) else offered
            if isinstance(names, list) and all(isinstance(x, str) for x in names):
                offered = dict.fromkeys(names, {})
            check_names(place, offered, tables, empty=False)
            offered = {
                key: replaced(
                    tables[key], table, takes, f"{place}[{key!r}]", (takes or {}).get(key, ())
                )
                for key, table in offered.items()
            }
        rows[name] = offered
    table = {**known, **rows}
    size(table)  # what a row cannot offer is told now
    return table


def without(table, given):
    """Return a table without the rows whose values are given."""
    return {name: offered for name, offered in table.items() if name not in given}


def check_names(what, given, known, empty=True):
    """Raise where a table is none, or has a name that means nothing."""
    if not isinstance(given, dict):
        raise ValueError(f"`{what}` must be a dict from names. Received: {what}={given!r}.")
    unknown = sorted(map(str, set(given) - set(known)))
    if unknown or not (given or empty):
        raise ValueError(f"`{what}` may have {sorted(known)}. Received: {unknown or 'nothing'}.")


def are_tables(offered):
    """Return whether what is offered is names, each with a table."""
    return (
        isinstance(offered, dict)
        and all(isinstance(x, dict) for x in offered.values())
        and bool(offered)
    )


def _choose(hp, name, offered):
    if are_tables(offered):
        value = _choose(hp, name, list(offered))
        return value, under(hp, name, value, offered, f"{name}_")
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
    if are_tables(offered):
        counts = [size(table) for table in offered.values()]
        return None if None in counts else sum(counts)
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
