"""Histories of events."""

import numpy as np

from blocks.base import check_positive
from heads.base import wrong_rows
from heads.recommendation.in_batch import LARGEST
from heads.tables.vocabulary import missing


def histories(users, items, times=None, *, length=50):
    """Return each user's items in order, filled up in front: ids `(users, length)`.

    Args:
        users: The user of every event, `(events,)`, of one kind.
        items: Ids of items, whole numbers from 1 on, `(events,)`.
        times: When an event was, `(events,)`; by default they are in order. Events at the same
            time stay in theirs.
        length: Number of items; of longer histories the last are kept.

    Returns:
        int32 `(users, length)`, 0 where there is no item, and the users in the order of the rows.

    >>> histories(["a", "b", "a"], [3, 1, 2], [5, 5, 1], length=2)[0].tolist()
    [[2, 3], [0, 1]]
    """
    users, items = np.asarray(users), np.asarray(items)
    times = np.arange(users.size) if times is None else np.asarray(times)
    if users.ndim != 1 or not users.shape == items.shape == times.shape:
        raise ValueError(
            "Events have a user, an item and a time each. "
            f"Received: shapes {users.shape}, {items.shape} and {times.shape}."
        )
    whole = items.dtype.kind in "iu" or not len(items)
    if not whole or (len(items) and not 1 <= items.min() <= items.max() <= LARGEST):
        found = f", {items.min()} to {items.max()}" if whole and len(items) else ""
        raise ValueError(
            f"Ids of items must be whole numbers from 1 to {LARGEST}. "
            f"Received: {items.dtype}{found}. heads.Vocabulary makes them."
        )
    if times.dtype.kind not in "iufM":
        raise ValueError(
            "Times are numbers, or datetime64 as numpy.array(times, 'datetime64[s]') makes them. "
            f"Received: {times.dtype}."
        )
    known = ~np.isnat(times) if times.dtype.kind == "M" else np.isfinite(times)
    if not known.all():
        raise ValueError(f"Each event has a time. {wrong_rows(known, times)}")
    if any(map(missing, users)) if users.dtype.kind == "O" else (users != users).any():
        raise ValueError("Each event has a user. Received: none of some.")
    check_positive(length=length)
    try:
        names, rows = np.unique(users, return_inverse=True)
    except TypeError:
        kinds = sorted({type(user).__name__ for user in users})
        raise ValueError(f"Users have an order. Received: {', '.join(kinds)}.") from None
    order = np.lexsort((np.arange(len(times)), times, rows))
    found = np.zeros((len(names), length), "int32")
    starts = np.searchsorted(rows[order], np.arange(len(names) + 1))
    for row, (start, stop) in enumerate(zip(starts, starts[1:])):
        kept = items[order[start:stop]][-length:]
        found[row, length - len(kept) :] = kept
    return found, names
