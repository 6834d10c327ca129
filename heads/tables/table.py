"""The columns of a table, and its rows as a network's inputs."""

import json
from pathlib import Path
from statistics import NormalDist

import numpy as np

from blocks.base import check_positive
from heads.tables.aside import aside
from heads.tables.vocabulary import Vocabulary, flat, missing

LARGEST = float(np.finfo("float32").max) / 4  # so that differences are numbers, too
POINTS = 64  # quantiles that a column of numbers is scaled by


class Table:
    """What the columns of a table hold, learned of its training rows.

    Called with rows, a dict of columns or a pandas frame, it returns what a network takes:
    `"numeric"`, float32 `(rows, columns)`, as the numbers are, missing ones NaN; and
    `"categorical"`, int32 `(rows, columns)`, ids of which 0 is a value that is not known. A column
    that is absent is missing in all rows; columns of other names are not looked at.
    The network scales numbers itself: `columns` says how.

    Make one by `Table.of(rows)`; keep it beside the model by `save`.

    Attributes:
        numeric: Names of the columns of numbers.
        vocabularies: A `Vocabulary` for the name of each column of categories.
        columns: Plain data that `backbones.mlp`, `backbones.tabnet` and
            `backbones.ft_transformer` take.

    >>> table = Table.of({"age": [20.0, 30.0, None], "job": ["cook", "cook", "smith"]})
    >>> {key: x.tolist() for key, x in table({"age": [40], "job": ["smith"]}).items()}
    {'numeric': [[40.0]], 'categorical': [[2]]}
    """

    def __init__(self, curves, gaps, vocabularies):
        self.curves, self.gaps, self.vocabularies = curves, gaps, vocabularies
        self.numeric = list(curves)

    @classmethod
    def of(cls, rows, *, numeric=None, categorical=None, points=POINTS, min_count=1, max_size=None):
        """Learn the columns of training rows.

        Args:
            rows: A dict of arrays or lists of one length, or a pandas frame.
            numeric: Names of the columns of numbers; by default all columns that hold numbers
                alone and are not among `categorical`.
            categorical: Names of the columns of categories; by default all others. If only one of
                both is given, the other is what is left.
            points: Number of quantiles by which a column of numbers is scaled.
            min_count: How often a category must be there to be known.
            max_size: Number of known categories of a column at most.

        Raises:
            ValueError: If columns are of unequal lengths, absent or named twice, or one of numbers
                holds other things or no number at all.
        """
        check_positive(points=points)
        rows = _columns(rows)
        numeric, categorical = (x and list(map(str, x)) for x in (numeric, categorical))
        given = [*(numeric or ()), *(categorical or ())]
        absent = sorted(set(given) - set(rows))
        if absent or len(set(given)) < len(given):
            raise ValueError(
                f"Columns are of the table's, {', '.join(rows)}, and each of one kind. "
                f"Received: {', '.join(absent) or ', '.join(given)}."
            )
        rest = [name for name in rows if name not in given]
        if numeric is None:
            numeric = rest if categorical is not None else list(filter(_holds_numbers(rows), rest))
        if categorical is None:
            categorical = [name for name in rest if name not in numeric]
        found = {name: _numbers(rows[name], name) for name in numeric}
        curves, gaps = {}, []
        for name, values in found.items():
            real = values[np.isfinite(values)]
            if not len(real):
                raise ValueError(f"A column of numbers has some. Received: none in {name!r}.")
            curves[name] = normal_scores(real, points)
            gaps += [name] if np.isnan(values).any() else []
        options = {"min_count": min_count, "max_size": max_size}
        words = {name: Vocabulary.of(rows[name], **options) for name in categorical}
        return cls(curves, gaps, words)

    @property
    def columns(self):
        """Plain data that a backbone is made of."""
        return {
            "points": list(self.curves.values()),
            "gaps": [self.numeric.index(name) for name in self.gaps],
            "categories": [len(words) for words in self.vocabularies.values()],
        }

    @property
    def names(self):
        """Names of what a network reads, in its order: numbers, gaps among them, categories."""
        return [*self.numeric, *(f"{x} is missing" for x in self.gaps), *self.vocabularies]

    def __call__(self, rows):
        """Return the inputs of a network for rows; see the class."""
        rows = _columns(rows)
        count = len(next(iter(rows.values())))
        missing = [None] * count
        inputs = {}
        if self.numeric:
            parts = [_numbers(rows.get(name, missing), name) for name in self.numeric]
            with np.errstate(over="ignore"):  # infinite ones count as the outermost
                inputs["numeric"] = np.stack(parts, axis=1).astype("float32")
        if self.vocabularies:
            parts = [words(rows.get(name, missing)) for name, words in self.vocabularies.items()]
            inputs["categorical"] = np.stack(parts, axis=1)
        return inputs

    def save(self, path):
        """Write all to a file of JSON, which `Table.load` reads."""
        words = {name: x.values for name, x in self.vocabularies.items()}
        content = {"curves": self.curves, "gaps": self.gaps, "vocabularies": words}
        with aside(path) as part:
            part.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path):
        """Read what `save` wrote."""
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        words = {name: Vocabulary(values) for name, values in content["vocabularies"].items()}
        return cls(content["curves"], content["gaps"], words)


def normal_scores(values, count):
    """Return points of a curve that makes numbers normally distributed: `[number, score]` each."""
    ranks = np.linspace(0, 1, count)
    scores = [NormalDist().inv_cdf(x) for x in np.clip(ranks, 0.5 / count, 1 - 0.5 / count)]
    values = np.clip(values, -LARGEST, LARGEST)
    numbers = np.quantile(values, ranks, method="nearest").astype("float32")
    kept, places = np.unique(numbers, return_inverse=True)
    means = np.bincount(places, scores) / np.bincount(places)  # of numbers that are there often
    return [[float(x), round(float(y), 6)] for x, y in zip(kept, means)]


def _columns(rows):
    """Return rows as a dict of columns; raise where these are none, or of unequal lengths."""
    names = list(rows.keys()) if hasattr(rows, "keys") else []
    if len(set(map(str, names))) < len(names):
        said = ", ".join(map(str, names))
        raise ValueError(f"Each column has a name of its own. Received: {said}.")
    columns = {str(name): rows[name] for name in names}
    for name, column in columns.items():
        if getattr(getattr(column, "dtype", None), "kind", "") in ("m", "M"):
            raise ValueError(
                "Times are made numbers first, such as days: (times - times.min()) / "
                f'np.timedelta64(1, "D"). Received: {column.dtype} in {name!r}.'
            )
    lengths = {name: _length(column) for name, column in columns.items()}
    if not columns or len(set(lengths.values())) > 1 or None in lengths.values():
        raise ValueError(
            "Rows are a dict of columns, or a pandas frame, all of one length. "
            f"Received: {lengths or type(rows).__name__}."
        )
    return columns


def _length(column):
    """Return the number of a column's values; `None` of a single one, or where they are lists."""
    single = isinstance(column, (str, bytes)) or not np.iterable(column)
    return None if single or any(np.ndim(x) for x in column) else len(column)


def _holds_numbers(rows):
    def holds(name):
        kind = getattr(rows[name], "dtype", None)
        if str(kind) == "category":  # pandas', which says what it is
            return False
        if kind is not None and getattr(kind, "kind", "O") in "biuf":
            return kind.kind != "b"
        values = [x for x in flat(rows[name]) if not missing(x)]
        return bool(values) and all(
            isinstance(x, (int, float, np.number)) and not isinstance(x, bool) for x in values
        )

    return holds


def _numbers(column, name):
    """Return a column as float64, missing values NaN; raise where one is no number."""
    try:
        return np.array([np.nan if _missing(x) else float(x) for x in flat(column)], "float64")
    except (TypeError, ValueError):
        for row, value in enumerate(flat(column)):
            try:
                float(0 if _missing(value) else value)
            except (TypeError, ValueError):
                raise ValueError(
                    f"A column of numbers holds numbers, or None. Received: {value!r} in {name!r} "
                    f"at row {row}. Name the column in `categorical`."
                ) from None
        raise


def _missing(value):
    return missing(value) or value == ""
