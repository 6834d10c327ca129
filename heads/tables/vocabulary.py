"""Whole numbers for the values of a column, the same ones on a phone as in training."""

import collections
import json
from pathlib import Path

import numpy as np

from blocks.base import check_positive
from heads.tables.aside import aside

UNKNOWN = 0


class Vocabulary:
    """A number for each value: 1 and up for what is known, 0 for all else.

    A value that is missing (`None`, NaN) is a value like others. Numbers and strings are told
    apart, but for whole numbers: 3 and 3.0 are one value.

    Args:
        values: The known values, in the order of their ids, each once: strings, numbers, booleans
            or `None`.

    Raises:
        ValueError: If a value is there twice, or of another kind.

    >>> words = Vocabulary.of(["pear", "fig", "fig", None])
    >>> words(["fig", "plum", None]).tolist(), len(words)
    ([1, 0, 2], 4)
    """

    def __init__(self, values):
        self.values = [plain(value) for value in values]
        self.ids = {value: i for i, value in enumerate(self.values, start=1)}
        if len(self.ids) < len(self.values):
            twice, _ = collections.Counter(self.values).most_common(1)[0]
            raise ValueError(f"Each value has one id. Received: {twice!r} twice.")

    @classmethod
    def of(cls, values, *, min_count=1, max_size=None):
        """Return the vocabulary of an array's values, the most frequent first.

        Args:
            values: Array or list of any shape, or a pandas series.
            min_count: How often a value must be there to be known. Rare ones that are not make
                the network learn what to do with unknown ones.
            max_size: Number of known values at most.
        """
        check_positive(min_count=min_count, max_size=1 if max_size is None else max_size)
        counts = collections.Counter(map(plain, flat(values)))
        order = sorted(counts, key=lambda x: (-counts[x], str(type(x)), str(x)))
        return cls([x for x in order if counts[x] >= min_count][:max_size])

    def __len__(self):
        """Return the number of ids, that of unknown values included."""
        return len(self.values) + 1

    def __call__(self, values):
        """Return the ids of values, int32, of the same shape."""
        ids = [self.ids.get(plain(value), UNKNOWN) for value in flat(values)]
        return np.array(ids, "int32").reshape(np.shape(values))

    def value(self, number):
        """Return the value of an id; `None` of those that there are not."""
        return self.values[number - 1] if 0 < number <= len(self.values) else None

    def bags(self, lists, length=None):
        """Return ids of lists of unequal lengths, int32 `(lists, length)`, filled up with -1.

        Args:
            lists: A list of lists of values. What is not known is 0.
            length: Number of columns; by default that of the longest. Of longer lists the last
                values are kept.

        Raises:
            ValueError: If a list is a single value, such as a text, whose letters would be the
                values, or `length` is out of its range.
        """
        rows = list(lists)
        for row in rows:
            if isinstance(row, (str, bytes)):
                raise ValueError(
                    f"A list of lists of values is needed. Received: a list that is {row!r}, a "
                    "text. Split it first."
                )
            if not np.iterable(row):
                raise ValueError(
                    f"A list of lists of values is needed. Received: {row!r} as a list. "
                    "An empty one is []."
                )
        rows = [list(row) for row in rows]
        length = max(map(len, rows), default=0) or 1 if length is None else length
        check_positive(length=length)
        found = np.full((len(rows), length), -1, "int32")
        for i, row in enumerate(rows):
            kept = row[-length:]
            found[i, : len(kept)] = self(kept) if kept else []
        return found

    def save(self, path):
        """Write the values to a file of JSON, one a line, in the order of their ids from 1 on."""
        lines = ",\n".join(json.dumps(value, ensure_ascii=False) for value in self.values)
        with aside(path) as part:
            part.write_text(f"[\n{lines}\n]\n", encoding="utf-8")

    @classmethod
    def load(cls, path):
        """Read what `save` wrote."""
        return cls(json.loads(Path(path).read_text(encoding="utf-8")))


def flat(values):
    """Return the values of an array, a list or a pandas series, one after the other."""
    found = np.asarray(values, dtype=object).reshape(-1)
    return found.tolist()


def missing(value):
    """Return whether a value says that there is none: `None`, NaN, or pandas' own."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(value != value)


def plain(value):
    """Return a value as JSON holds it; missing ones are `None`."""
    value = value.item() if isinstance(value, np.generic) else value
    if missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, (str, int, float)):
        raise ValueError(
            f"Values are strings, numbers or None. Received: {value!r} of {type(value).__name__}."
        )
    return value
