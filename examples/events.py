"""What users took, and when: a file of events, or a shop that is made up."""

import csv
from datetime import datetime

import numpy as np

from examples.tables import lines_of

COLOURS = ("red", "blue", "green", "white", "black", "yellow", "grey", "brown")
THINGS = ("lamp", "chair", "shelf", "rug", "mug", "plant", "clock", "frame", "basket", "blanket")
STYLES = ("plain", "small", "large", "old")


def read(path):
    """Return users, items and times of events, `(events,)` each, and titles of items.

    The file holds comma-separated values, with a line of names: `user`, `item` and `time`, a number
    or as in 2024-05-31 or 2024-05-31T18:30, and perhaps `title`.
    """
    lines = lines_of(path, csv.DictReader)
    columns = [x for x in (lines[0] if lines else {}) if x]
    if not {"user", "item", "time"} <= set(columns):
        raise SystemExit(
            f"{path} must have the columns user, item and time. Received: {', '.join(columns)}."
        )
    times = []
    for number, line in enumerate(lines, start=2):
        if not (line["user"] and line["item"]):
            raise SystemExit(
                "An event must have a user, an item and a time. Received: "
                f"{', '.join(x for x in line.values() if isinstance(x, str))} in line {number} of "
                f"{path}."
            )
        try:
            times.append(moment(line["time"]))
        except (TypeError, ValueError):
            raise SystemExit(
                f"A time must be a number or a date. Received: {line['time']!r} in line {number} "
                f"of {path}."
            ) from None
    titles = {line["item"]: line.get("title") or line["item"] for line in lines}
    users, items = (np.array([line[key] for line in lines]) for key in ("user", "item"))
    return users, items, np.array(times), titles


def moment(text):
    """Return a time in seconds."""
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()


def made(count, seed):
    """Return events of a made shop, whose users like a colour or two, and go from thing to thing.

    Three of four events follow from the user's colours and the thing before; the rest is chance,
    popular items more often.
    """
    rng = np.random.default_rng(seed)
    titles = [
        f"{style} {colour} {thing}" for style in STYLES for colour in COLOURS for thing in THINGS
    ]
    popular = rng.permutation(1 / np.arange(1, len(titles) + 1))
    popular /= popular.sum()
    users, items, times = [], [], []
    for user in range(count):
        colours, thing = rng.choice(len(COLOURS), 2, replace=False), rng.integers(len(THINGS))
        for step in range(rng.integers(5, 25)):
            item = rng.choice(len(titles), p=popular)
            if rng.random() < 0.75:
                thing = (thing + rng.integers(1, 3)) % len(THINGS)
                style = rng.integers(len(STYLES))
                item = (style * len(COLOURS) + rng.choice(colours)) * len(THINGS) + thing
            users.append(f"user {user}")
            items.append(f"item {item}")
            times.append(step + rng.random() / 2)
    names = {f"item {i}": title for i, title in enumerate(titles)}
    return np.array(users), np.array(items), np.array(times), names
