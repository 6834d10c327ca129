"""What data are: their kind, their task, and what a plan depends on."""

import collections
import dataclasses
from typing import Any

import numpy as np

import heads
from heads.tables.vocabulary import flat, missing
from tuning.columns import column
from tuning.proposing.scores import K
from tuning.proposing.targets import Targets, targets_of

TASKS = ("classification", "regression", "segmentation", "ranking", "sequence")
LEAST_ROWS = 10
FEW_CHANNELS = 4  # an image of so few rows that is wider has its channels first
COVERED = (
    "Covered are images (n, height, width, channels) with classes, numbers or masks; tables, dicts "
    "of columns or pandas frames, with classes, numbers or clicks; histories of item ids (users, "
    "length) with y=None."
)


@dataclasses.dataclass
class Facts:
    """What `look` found.

    Attributes:
        kind: `"images"`, `"table"` or `"histories"`.
        task: One of `TASKS`.
        why: Why it is that task, a sentence.
        x: The rows: an array, or a dict of arrays.
        y: What is asked: an array, or `None` of histories.
        targets: How a row's target is written for a head: a `Targets`.
        rows: Number of rows.
        said: Facts to print, by name.
        alike: Of images a number each, the same of copies; else `None`.
    """

    kind: str
    task: str
    why: str
    x: Any
    y: Any
    targets: Targets
    rows: int
    said: dict
    alike: Any = None


def look(data, task=None):
    """Return the facts of `(x, y)`; raise where they are not covered or cannot be learned."""
    if task is not None and task not in TASKS:
        raise ValueError(f"`task` must be one of {', '.join(TASKS)}. Received: task={task!r}.")
    x, y = _pair(data)
    kind = _kind(x, y, task)
    if kind == "table":
        x = columns_of(x)
    lengths = {len(column) for column in x.values()} if kind == "table" else {len(x)}
    lengths |= set() if y is None else {len(y)}
    if len(lengths) != 1:
        raise ValueError(
            "Each row has one target, and a value in each column. "
            f"Received: lengths {', '.join(map(str, sorted(lengths)))}."
        )
    rows = lengths.pop()
    if rows < LEAST_ROWS:
        raise ValueError(f"A proposal looks at {LEAST_ROWS} rows at least. Received: {rows} rows.")
    targets, task, why = targets_of(kind, x, y, task)
    said = {"data": kind, "task": task, "rows": rows}
    describe = {"images": _images, "table": _table, "histories": _histories}[kind]
    said |= describe(x) | targets.said
    alike = [hash(image.tobytes()) for image in x] if kind == "images" else None
    if alike is not None:
        said["images like another"] = sum(n for n in collections.Counter(alike).values() if n > 1)
    return Facts(kind, task, why, x, y, targets, rows, said, alike)


def columns_of(x):
    """Return a table as a dict of columns; those of a matrix are named by their places.

    >>> list(columns_of(np.zeros((3, 2))))
    ['column 0', 'column 1']
    """
    if hasattr(x, "keys"):
        return {str(name): column(x[name]) for name in x}
    return {f"column {i}": x[:, i] for i in range(x.shape[1])}


def _pair(data):
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        what = f"{len(data)} parts" if isinstance(data, (tuple, list)) else type(data).__name__
        raise ValueError(
            "`data` is (x, y), arrays or columns. "
            f"Received: {what}. Of a tf.data.Dataset, give some thousand rows as arrays."
        )
    x, y = data
    if not hasattr(x, "keys"):
        x = _array(x, "x")
    if y is not None:
        y = _array(y, "y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
    return x, y


def _array(values, name):
    try:
        found = np.asarray(values)
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(
            f"`{name}` is an array, all rows of one shape. Received: {error}."
        ) from error
    if found.ndim == 0:
        raise ValueError(
            f"`{name}` has a row for each sample. Received: {type(values).__name__}. {COVERED}"
        )
    return found


def _kind(x, y, task):
    if hasattr(x, "keys"):
        return "table"
    numbers = x.dtype.kind in "biuf"
    if x.ndim == 4 and numbers:
        return "images"
    if x.ndim == 2 and numbers and (y is None or task == "sequence"):
        return "histories"
    if x.ndim == 2 and numbers:
        return "table"
    repair = ""
    if x.ndim == 3 and numbers:
        repair = " Are these grey images, give x[..., None]; sequences of vectors are not covered."
    elif not numbers:
        repair = " Text is not covered; of a table of unlike columns, give a dict or a frame."
    elif x.ndim == 1:
        repair = " Of a table of one column, give {'name': x}."
    raise ValueError(f"{COVERED} Received: x of shape {x.shape}, {x.dtype}.{repair}")


def _images(x):
    first = x.shape[1] <= FEW_CHANNELS and x.shape[-1] > x.shape[1]
    if first or 0 in x.shape:
        raise ValueError(
            f"Images are (n, height, width, channels). Received: shape {x.shape}. Of channels "
            "first, give numpy.moveaxis(x, 1, -1)."
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError("Pixels must be finite numbers. Received: some that are not.")
    low, high = float(x.min()), float(x.max())
    if low == high:
        raise ValueError(f"Images must differ. Received: every pixel is {low:g}.")
    height, width, channels = x.shape[1:]
    return {"image": f"{height} x {width} x {channels}", "values": f"{low:g} to {high:g}"}


def _table(x):
    table = heads.Table.of(x)  # which raises where it is none
    for name in table.numeric:
        endless = [value for value in flat(x[name]) if isinstance(value, float) and np.isinf(value)]
        if endless:
            raise ValueError(
                "Numbers of a table are finite, or missing. Received: "
                f"{endless[0]} in column {name!r}. Leave the rows out, or make it None."
            )
    words = {name: len(found) - 1 for name, found in table.vocabularies.items()}
    said = {"numeric columns": len(table.numeric), "categorical columns": len(words)}
    said |= {"most categories": max(words.values())} if words else {}
    said["missing values"] = sum(sum(map(missing, flat(each))) for each in x.values())
    rows = collections.Counter(zip(*(map(str, flat(each)) for each in x.values())))
    said["rows like another"] = sum(count for count in rows.values() if count > 1)
    return said


def _histories(x):
    whole = (x == np.floor(x)).all() and x.min() >= 0
    newest = whole and not ((x[:, :-1] > 0) & (x[:, 1:] == 0)).any()
    if not newest or x.max() <= K:
        raise ValueError(
            "Histories are ids of items, whole numbers from 1, the newest last, filled up with 0 "
            f"in front; of more than {K} items, as {K} are answered. "
            f"Received: {x.min():g} to {x.max():g}{', or 0 behind an item' if whole else ''}. "
            "heads.histories makes them."
        )
    lengths = (x > 0).sum(axis=1)
    if (lengths > 2).sum() < LEAST_ROWS:
        raise ValueError(
            f"{LEAST_ROWS} users need three items at least: one to begin with, one to learn, one "
            f"to test. Received: {(lengths > 2).sum()}."
        )
    return {
        "items": int(x.max()),
        "events": int(lengths.sum()),
        "median length": int(np.median(lengths)),
        "longest": int(lengths.max()),
    }
