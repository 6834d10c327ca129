"""What is wrong with training data, said before `fit` meets it."""

import itertools
import warnings

import keras
import numpy as np
from keras import tree

from heads.base import Head
from heads.graph import answers_by_name, heads_of


def check_targets(data, head, *, batches=1000):
    """Raise if targets do not fit a head, with the rule, what was found where, and the repair.

    What is allowed but odd, such as a class without any row, is a warning.

    Args:
        data: `(inputs, targets)` or `(inputs, targets, weights)`, targets alone as an array
            or a dict of arrays, or a `tf.data.Dataset` or another iterable of such batches.
            What is read of a generator is used up.
        head: A `heads.Head`, or a model with heads.
        batches: Number of batches to read at most.

    Raises:
        ValueError: If there is anything wrong.

    >>> from heads import ClassificationHead
    >>> check_targets(np.array([0, 1, 2]), ClassificationHead(3))
    """
    targets, problems, complete = _read(data, batches, head)
    doubts = []
    for name, each, y in _pair(targets, head):
        say = f"{name}: " if name else ""
        found = [] if each.by_batch else each.check(y)
        problems += [say + text for text in found]
        if complete and not problems:
            doubts += [say + text for text in each.doubts(y)]
    if problems:
        raise ValueError("\n".join(problems))
    for text in doubts:
        warnings.warn(text, stacklevel=2)


def _pair(targets, head):
    """Return (name, head, array of targets) for every head."""
    heads = {"": head} if isinstance(head, Head) else heads_of(head)
    if not isinstance(head, Head) and answers_by_name(head):
        if not isinstance(targets, dict) or set(targets) != set(heads):
            raise ValueError(
                f"Targets must be a dict with the names of the heads, {sorted(heads)}. Received: "
                f"{sorted(targets) if isinstance(targets, dict) else type(targets).__name__}."
            )
        return [(name, each, targets[name]) for name, each in heads.items()]
    if isinstance(targets, dict):
        raise ValueError(
            f"One head takes one array of targets. Received: a dict of {sorted(targets)}."
        )
    return [("", each, targets) for each in heads.values()]


def _read(data, batches, head):
    """Return the targets, problems with single batches, and whether that is all data."""
    if isinstance(data, dict) or hasattr(data, "shape") or _is_list_of_numbers(data):
        targets, problems = _by_batch([], as_arrays(data), head, "")
        return targets, problems, True
    iterator = batches_of(data)
    parts = [_split(batch, i, head) for i, batch in enumerate(itertools.islice(iterator, batches))]
    if not parts:
        raise ValueError("There must be at least one batch. Received: none.")
    problems = [problem for _, found in parts for problem in found]
    targets = [y for y, _ in parts]
    shapes = sorted(
        {str(tree.map_structure(lambda y: ("batch", *y.shape[1:]), y)) for y in targets}
    )
    if problems:
        return targets[0], problems[:1], False
    if len(shapes) > 1:
        raise ValueError(
            f"Targets of all batches must have one shape. Received: {' and '.join(shapes[:3])}."
        )
    complete = next(iterator, None) is None
    return tree.map_structure(lambda *y: np.concatenate(y), *targets), problems, complete


def _by_batch(inputs, targets, head, place):
    """Return the targets, shrunk for heads that read them by batch, and what those say."""
    problems, kept = [], {}
    for name, each, y in _pair(targets, head):
        found = (each.check(y) or each.check_beside(inputs, y)) if each.by_batch else []
        problems += [f"{name}: {text}{place}" if name else text + place for text in found]
        kept[name] = y if found else each.shrink(y)
    return kept if isinstance(targets, dict) else next(iter(kept.values())), problems


def batches_of(data):
    """Return an iterator over batches: over the one batch that a tuple is, or over a data set."""
    if isinstance(data, tuple):
        return iter([data])
    if isinstance(data, keras.utils.PyDataset):  # iterating over it has no end
        count = data.num_batches
        return map(data.__getitem__, itertools.count() if count is None else range(count))
    if not hasattr(data, "__iter__"):
        raise ValueError(
            "`data` must be (inputs, targets), or an iterable of such batches. "
            f"Received: {type(data).__name__}."
        )
    return iter(data)


def as_arrays(y):
    """Return targets as NumPy arrays, of the same structure of dicts."""
    if isinstance(y, dict):
        return {key: as_arrays(value) for key, value in y.items()}
    try:
        y = keras.ops.convert_to_numpy(y) if keras.ops.is_tensor(y) else np.asarray(y)
    except ValueError as error:
        raise ValueError(
            f"Targets must be an array of numbers. Received: {type(y).__name__}: {error}"
        ) from error
    return np.atleast_1d(y)


def _split(batch, index, head):
    """Return a batch's targets, and what is wrong with the batch as such."""
    if not isinstance(batch, (tuple, list)) or not 2 <= len(batch) <= 3:
        count = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise ValueError(
            "A batch must be (inputs, targets) or (inputs, targets, weights). "
            f"Received: {type(batch).__name__}{count} as batch {index}."
        )
    targets = as_arrays(batch[1])
    inputs = [x for x in tree.flatten(batch[0]) if hasattr(x, "shape")]
    for y in tree.flatten(targets):
        for x in inputs:
            if x.shape[0] != len(y):
                return targets, [
                    "Each input must have one target. "
                    f"Received: {x.shape[0]} inputs and {len(y)} targets in batch {index}."
                ]
    return _by_batch(inputs, targets, head, f" In batch {index}.")


def _is_list_of_numbers(data):
    """Whether a list is targets, and not batches, whose first members have shapes."""
    if not isinstance(data, list):
        return False
    first = data[0] if data else 0
    return not (isinstance(first, (tuple, list)) and first and hasattr(first[0], "shape"))
