"""Which rows a model is trained on and which it is tested on, fold by fold."""

import numpy as np

from heads.tables.vocabulary import flat, missing
from tuning.checks import check_seed

KINDS = ("stratified", "grouped", "time", "plain")
REPAIR = "pip install 'keras-blocks[examples]'"


def places_of(y, rows, folds, kind, groups=None, times=None, seed=0):
    """Return, for each fold, the places of its training and of its test rows.

    Args:
        y: Targets, or a dict of them.
        rows: Number of rows.
        folds: Number of folds.
        kind: One of `KINDS`; see `tuning.cross_validate`.
        groups: The group of each row, of `"grouped"`.
        times: The time of each row, of `"time"`.
        seed: Seed of what is shuffled.

    Raises:
        ValueError: If the rows cannot be divided so.
        ImportError: If there is no scikit-learn.
    """
    _check(rows, folds, kind, groups, times)
    if kind == "stratified":
        y = _classes(y, folds)
    if kind == "grouped":
        groups = _groups(groups, rows, folds)
    if seed is not None:
        check_seed(seed)
    if kind == "time":
        return _in_time(np.arange(rows) if times is None else np.asarray(times), rows, folds)
    select = model_selection()
    shuffled = {"shuffle": True, "random_state": seed}
    splitter = {
        "stratified": lambda: select.StratifiedKFold(folds, **shuffled),
        "grouped": lambda: select.GroupKFold(folds),  # of which sizes are alike, not by chance
        "plain": lambda: select.KFold(folds, **shuffled),
    }[kind]()
    of_classes = y if kind == "stratified" else None
    return list(splitter.split(np.zeros(rows), of_classes, groups))


def _in_time(times, rows, folds):
    """Return folds of which each is tested on later times than it was trained on."""
    _sorted(times, rows)
    values, place = np.unique(times, return_inverse=True)  # rows of one time stay together
    if len(values) <= folds:
        raise ValueError(
            f"{folds} folds of kind 'time' need {folds + 1} different times at least. Received: "
            f"{len(values)}. Give fewer folds."
        )
    parts = model_selection().TimeSeriesSplit(folds).split(values)
    return [tuple(np.flatnonzero(np.isin(place, part)) for part in both) for both in parts]


def model_selection():
    """Return scikit-learn's module of splitters, or raise where there is none."""
    try:
        import sklearn.model_selection
    except ImportError as error:
        raise ImportError(f"Folds are divided by scikit-learn: {REPAIR}.") from error
    return sklearn.model_selection


def _check(rows, folds, kind, groups, times):
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}.")
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise ValueError(f"`folds` must be a whole number from 2. Received: folds={folds!r}.")
    least = folds + (kind == "time")
    if rows < least:
        raise ValueError(
            f"{folds} folds of kind {kind!r} need {least} rows at least. Received: {rows} rows."
        )
    for name, given, own in (("groups", groups, "grouped"), ("times", times, "time")):
        if given is not None and kind != own:
            raise ValueError(
                f"`{name}` belongs to kind={own!r}, and says nothing to others. "
                f"Received: {name} and kind={kind!r}."
            )


def _classes(y, folds):
    """Return class ids as a line, of which each fold gets its share."""
    if isinstance(y, dict):
        raise ValueError(
            "Folds are stratified by one array of class ids. "
            f"Received: a dict of {sorted(y)}. Give kind='plain'."
        )
    line = y.reshape(-1) if y.size == len(y) else None
    amounts = line is not None and line.dtype.kind == "f" and bool((line != np.floor(line)).any())
    if line is None or amounts:
        what = f"shape {y.shape}" if line is None else f"amounts such as {line[0]:g}"
        raise ValueError(
            f"Folds are stratified by class ids, one a row. Received: {what}. Give kind='plain'."
        )
    values, counts = np.unique(line, return_counts=True)
    if counts.min() < folds:
        raise ValueError(
            f"Each class needs a row for each of {folds} folds. Received: {counts.min()} of class "
            f"{values[counts.argmin()]}. Give fewer folds, or kind='plain'."
        )
    return line


def _groups(groups, rows, folds):
    if groups is None:
        raise ValueError(
            "kind='grouped' keeps the rows of a group together. Received: groups=None. Give "
            "the group of each row, such as its person."
        )
    groups = np.asarray(groups)
    if groups.shape != (rows,):
        raise ValueError(f"Each of {rows} rows has a group. Received: shape {groups.shape}.")
    if unknown := [i for i, group in enumerate(flat(groups)) if missing(group)]:
        raise ValueError(
            f"Each row has a group. Received: {groups[unknown[0]]} in row {unknown[0]}."
        )
    count = len(np.unique(groups))
    if count < folds:
        raise ValueError(
            f"{folds} folds need {folds} groups at least. Received: {count}. Give fewer folds."
        )
    return groups


def _sorted(times, rows):
    if times.shape != (rows,):
        raise ValueError(f"Each of {rows} rows has a time. Received: shape {times.shape}.")
    late = np.flatnonzero(~(times[1:] >= times[:-1]))  # an unknown time is never in order
    if len(late):
        i = int(late[0])
        raise ValueError(
            f"Rows must be in the order of their times. Received: {times[i + 1]} in row {i + 1} "
            f"after {times[i]}. Sort all by numpy.argsort(times, kind='stable')."
        )
