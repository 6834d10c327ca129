"""What is asked: classes, numbers, masks, clicks, the next item; and how heads read it."""

import dataclasses
from typing import Any

import numpy as np

from heads.base import wrong_rows
from heads.tables.vocabulary import flat, missing, plain

FEW = 20  # different whole numbers that are classes in any case
IGNORED = 255
MOST_MASK_CLASSES = 255


@dataclasses.dataclass
class Targets:
    """How the targets of a task are written.

    Attributes:
        names: Names of the classes, in the order of their ids, or `None`.
        counts: How many rows, or pixels, each class has, or `None`.
        units: Numbers that are asked of a row, or classes that a head tells apart.
        mean, std: Of numbers, for each unit.
        dtype: Of the targets as a head takes them.
        said: Facts to print, by name.
    """

    names: list | None = None
    counts: Any = None
    units: int = 1
    mean: Any = 0.0
    std: Any = 1.0
    dtype: str = "int32"
    said: dict = dataclasses.field(default_factory=dict)

    @property
    def imbalance(self):
        """How many times as often the most frequent class is there as the rarest."""
        return 1.0 if self.counts is None else float(max(self.counts) / max(1, min(self.counts)))

    def encode(self, y):
        """Return targets as a head takes them; raise where there is a class not known."""
        y = np.asarray(y)
        if self.names is None:
            return y.astype(self.dtype)
        ids = {name: i for i, name in enumerate(self.names)}
        values = [plain(value) for value in flat(y)]
        if unknown := [value for value in values if value not in ids]:
            raise ValueError(
                f"Classes are {self.names[:10]}. Received: {unknown[0]!r}, which was not in the "
                "data of the proposal."
            )
        return np.array([ids[value] for value in values], "int32")


def targets_of(kind, x, y, task):
    """Return the `Targets`, the task, and a sentence why it is that."""
    if kind == "histories":
        if y is not None or task not in (None, "sequence"):
            raise ValueError(
                "Of histories the next item is asked, and y is None. "
                f"Received: task={task!r} and {'no y' if y is None else 'y'}. Of a table of "
                "whole numbers, give a dict of columns."
            )
        return Targets(units=int(x.max())), "sequence", "Without y, the next item is asked."
    if y is None:
        raise ValueError("Each row has a target. Received: y=None, which histories alone have.")
    _check_known(y)
    asked = task
    task, why = (task, "You said so.") if task else _infer(kind, y)
    allowed = {"images": ("classification", "regression", "segmentation")}
    allowed["table"] = ("classification", "regression", "ranking")
    if task not in allowed[kind]:
        raise ValueError(
            f"Of {kind} the task is one of {', '.join(allowed[kind])}. Received: task={asked!r}."
        )
    make = {
        "classification": _classes,
        "regression": _numbers,
        "segmentation": _masks,
        "ranking": _clicks,
    }[task]
    return make(x, y), task, why


def _check_known(y):
    if y.dtype.kind == "O":
        known = np.array([not any(map(missing, flat(row))) for row in y], bool)
    elif y.dtype.kind == "f":
        known = np.isfinite(y).reshape(len(y), -1).all(axis=1)
    else:
        return
    if not known.all():
        raise ValueError(
            f"Each row has a target. {wrong_rows(known, y)} Leave these rows out: they teach "
            "nothing, and a guess in their place teaches what is wrong."
        )


def _infer(kind, y):
    if kind == "images" and y.ndim > 2:
        return "segmentation", "y has a value for each pixel."
    if y.ndim > 1:
        return "regression", f"y has {y.shape[1]} numbers a row."
    if y.dtype.kind not in "iuf":
        return "classification", "y is names or booleans."
    (values, counts), most = np.unique(y, return_counts=True), max(FEW, len(y) // 20)
    if (values != np.floor(values)).any():
        return "regression", "y has numbers that are not whole."
    what = f"y has {len(values)} different whole numbers in {len(y)} rows"
    if len(values) <= most and counts.min() < 2 and len(values) > FEW:
        return "regression", f"{what}, and some only once, as amounts are."
    if len(values) <= most:
        return "classification", f"{what}, at most {most}; amounts need task='regression'."
    return "regression", f"{what}, more than {most}; classes need task='classification'."


def _classes(x, y):
    if y.ndim > 1:
        raise ValueError(
            "Classes are one name or id a row. "
            f"Received: y of shape {y.shape}. Of one-hot rows, give y.argmax(-1); several classes "
            "a row are not covered: heads.ClassificationHead(multi_label=True) trains them."
        )
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        raise ValueError(
            "Classes are names or whole numbers. "
            f"Received: numbers such as {y[y != np.floor(y)][0]:g}. Give task='regression'."
        )
    line = [plain(value) for value in flat(y)]
    counts = dict.fromkeys(sorted(set(line), key=lambda v: (isinstance(v, str), v)), 0)
    for value in line:
        counts[value] += 1
    names, numbers = list(counts), list(counts.values())
    if len(names) < 2:
        raise ValueError(f"There are two classes at least. Received: {names[0]!r} in every row.")
    if len(y) < 2 * len(names):
        raise ValueError(
            f"Each class has rows to learn and to test. Received: {len(y)} rows of {len(names)} "
            "classes. Are y amounts, give task='regression'."
        )
    if min(numbers) < 2:
        rare = [name for name in names if counts[name] < 2]
        raise ValueError(
            "Each class has a row to learn and one to test. "
            f"Received: one row of {', '.join(map(repr, rare[:5]))}. Leave it out or join classes; "
            "are y amounts, give task='regression'."
        )
    rarest = min(names, key=counts.get)
    said = {"classes": len(names), "rarest class": f"{rarest}, {counts[rarest]} rows"}
    return Targets(names, numbers, len(names), said=said)


def _numbers(x, y):
    if y.dtype.kind not in "iuf" or y.ndim > 2:
        raise ValueError(
            "A regression asks for numbers, (rows,) or (rows, units). "
            f"Received: y of shape {y.shape}, {y.dtype}."
        )
    values = y.reshape(len(y), -1).astype("float64")
    mean, std = values.mean(axis=0), values.std(axis=0)
    if not std.all():
        raise ValueError(f"Targets must differ. Received: {values[0, std.argmin()]:g} in each row.")
    said = {"numbers a row": values.shape[1], "least": values.min(), "largest": values.max()}
    return Targets(None, None, values.shape[1], mean.tolist(), std.tolist(), "float32", said)


def _masks(x, y):
    masks = y[..., 0] if y.ndim == 4 and y.shape[-1] == 1 else y
    if masks.shape[1:] != x.shape[1:3]:
        raise ValueError(
            "A mask has a class id for each pixel of its image. "
            f"Received: y of shape {y.shape} beside x of {x.shape}. Of one-hot masks, give "
            "y.argmax(-1)."
        )
    ids = np.unique(masks)
    whole = masks.dtype.kind in "biuf" and (ids == np.floor(ids)).all() and ids[0] >= 0
    ids = ids[ids != IGNORED] if whole else ids
    if not whole or (len(ids) and ids[-1] >= MOST_MASK_CLASSES):
        raise ValueError(
            f"Masks are class ids from 0, and {IGNORED} where nothing is known. "
            f"Received: {masks.dtype}, {ids[0]:g} to {ids[-1]:g}."
        )
    if len(ids) < 2:
        raise ValueError(
            f"There are two classes at least. Received: {', '.join(map(str, ids))}, "
            f"and {IGNORED}, which is not counted. Of masks of 0 and 255, give y > 0."
        )
    classes = int(ids[-1]) + 1
    counts = [int((masks == i).sum()) for i in range(classes)]
    rarest = min((i for i in range(classes) if counts[i]), key=counts.__getitem__)
    said = {"classes": classes}
    said["rarest class"] = f"{rarest}, {counts[rarest] / sum(counts):.1%} of the pixels"
    kept = [n for n in counts if n]
    return Targets(None, kept, 1 if classes == 2 else classes, said=said)


def _clicks(x, y):
    if y.ndim > 1 or y.dtype.kind not in "biuf" or not np.isin(y, (0, 1)).all():
        raise ValueError(
            "A ranking learns of zeros and ones, whether an item was taken. "
            f"Received: y of shape {y.shape}, {y.dtype}, such as {flat(y)[0]!r}. Ratings and lists "
            "are not covered: heads.RankingHead(loss='squared' or 'listwise') trains them."
        )
    if "item" not in x:
        raise ValueError(
            "A ranking has a column named 'item', whose popularity is the rival. "
            f"Received: {', '.join(x)}."
        )
    counts = [int((y == 0).sum()), int((y == 1).sum())]
    if min(counts) < 2:
        raise ValueError(f"Some items are taken and some are not. Received: {counts[1]} taken.")
    said = {"items": len(set(map(str, x["item"]))), "taken": f"{counts[1] / len(y):.1%}"}
    return Targets(None, counts, 1, said=said)
