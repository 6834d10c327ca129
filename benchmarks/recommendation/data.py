"""Histories of Amazon's video games, ratings of films, and clicks on apps, by their splits."""

import numpy as np

from benchmarks.data import load

NEGATIVES = 100


def games(length):
    """Return the histories of Amazon's video games, the last item left out, and the one before.

    Returns:
        The number of items; histories to train on, int32 `(users, length)`, without either; and
        by `"valid"` and `"test"` histories, the items that come next, and for each user 100 items
        drawn evenly from those that he never took.
    """
    found = load("amazon_video_games")
    items, offsets, count = found["items"], found["offsets"], int(found["num_items"])
    sequences = [items[a:b] for a, b in zip(offsets[:-1], offsets[1:])]
    judged = [row for row in sequences if len(row) >= 3]
    train = [row[:-2] if len(row) >= 3 else row for row in sequences]
    rng = np.random.default_rng(0)
    others = np.stack([unseen(row, count, rng) for row in judged])
    splits = {
        name: (
            padded([row[:cut] for row in judged], length),
            np.array([row[cut] for row in judged]),
        )
        for name, cut in (("valid", -2), ("test", -1))
    }
    parts = {name: (*split, others) for name, split in splits.items()}
    return count, padded([row for row in train if len(row) > 1], length), parts


def unseen(row, count, rng):
    """Return items that are not in a row, drawn evenly, each once."""
    taken, found = set(row.tolist()), []
    while len(found) < NEGATIVES:
        item = int(rng.integers(1, count + 1))
        if item not in taken:
            taken.add(item)
            found.append(item)
    return np.array(found, "int32")


def padded(rows, length, fill=0):
    """Return the last items of rows, filled up in front, int32 `(rows, length)`."""
    found = np.full((len(rows), length), fill, "int32")
    for i, row in enumerate(rows):
        kept = row[-length:]
        found[i, length - len(kept) :] = kept
    return found


def films():
    """Return the ratings of MovieTweetings as events in time, nine tenths before the rest.

    Returns:
        A dict of `"user"`, `"item"` and `"is_test"`, by event, and of `"genres"` and `"year"`, by
        film.
    """
    found = load("movietweetings_100k")
    order = np.argsort(found["timestamp"], kind="stable")
    is_test = np.arange(len(order)) >= 90_000
    events = {key: found[key][order].astype("int64") for key in ("user", "item")}
    return {
        **events,
        "is_test": is_test,
        "genres": found["item_genres"].astype(bool),
        "year": found["item_year"].astype("float64"),
    }


def counted(keys, clicks, train):
    """Return how often each row's key was clicked in training rows other than itself, log(1 + n).

    So a row's own click is not among what it is told by, in training as in a test.
    """
    _, places = np.unique(keys, return_inverse=True)
    own = np.zeros(len(keys))
    own[train] = clicks[train]
    return np.log1p(np.bincount(places, own)[places] - own)


def apps():
    """Return Frappe's rows as columns of strings, their clicks, and which are test rows."""
    found = load("frappe_subset")
    names = [str(x) for x in found["field_names"]]
    fields = found["fields"].astype("int32")
    rows = {name: fields[:, i].astype(str) for i, name in enumerate(names)}
    return rows, found["label"].astype("int32"), found["is_test"].astype(bool)
