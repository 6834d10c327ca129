"""What embeddings are worth: do two of them belong to one identity?"""

import numpy as np

from blocks.base import check_positive
from heads.base import wrong_rows
from heads.threshold import choose_threshold

MOST_PAIRS = 20_000_000  # of 6,325 embeddings; half a gigabyte


def verification(
    embeddings, ids=None, *, pairs=None, same=None, folds=10, far=(0.001, 0.01, 0.1), seed=0
):
    """Return how well cosines of embeddings tell pairs of one identity from pairs of two.

    Args:
        embeddings: `(rows, size)`, of any length.
        ids: Identity of every row, numbers or strings; may be left out where `same` is given.
        pairs: Rows to compare, `(pairs, 2)`, such as the list of LFW, whose folds are the runs
            as they come. By default every row with every other, in random folds, which share
            identities.
        same: Whether each of `pairs` is of one identity; by default as `ids` say.
        folds: Number of folds. The threshold for a fold is chosen on the others.
        far: Shares of the pairs of two identities that may be accepted, for `"tar"`.
        seed: Seed of the random folds.

    Returns:
        A dict. `"accuracy"`: mean over the folds, pairs of one and of two identities counting
        half each, as they do in LFW; `"accuracy_std"`: its deviation; `"threshold"`: the best
        cosine for all pairs, which two of one identity reach; `"eer"`: the error rate where
        both kinds of error are equally frequent; `"auc"`: area under the ROC curve; `"tar"`:
        a dict from `far` to the share of the pairs of one identity that are accepted then, NaN
        where there are too few others to tell; `"roc"`: arrays `"far"`, `"tar"` and
        `"threshold"`.

    Raises:
        ValueError: If arrays do not fit each other, or a fold lacks a kind of pair.

    Reference: [Huang et al., 2007](http://vis-www.cs.umass.edu/lfw/lfw.pdf) (LFW)

    >>> x = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> found = verification(x, ["ann", "ann", "bob", "bob"], folds=2)
    >>> found["accuracy"], found["eer"], found["auc"]
    (1.0, 0.0, 1.0)
    """
    check_positive(folds=folds)
    unit, ids = _unit(embeddings), None if ids is None else _ids(ids, len(embeddings))
    if pairs is None:
        cosines, same = _all_pairs(unit, ids, same)
    else:
        cosines, same = _given_pairs(unit, ids, pairs, same)
    fold = _folds(same, folds, None if pairs is not None else np.random.default_rng(seed))
    order = np.argsort(-cosines, kind="stable")
    cosines, same, fold = cosines[order], same[order], fold[order]
    accuracy = [_accuracy(cosines, same, fold == i) for i in range(folds)]
    rates = roc(cosines, same)
    return {
        "accuracy": float(np.mean(accuracy)),
        "accuracy_std": float(np.std(accuracy)),
        "threshold": _threshold(cosines, same),
        "eer": _equal_error(rates["far"], 1 - rates["tar"]),
        "auc": float(np.diff(rates["far"]) @ (rates["tar"][1:] + rates["tar"][:-1]) / 2),
        "tar": {share: _tar_at(share, rates, np.sum(~same)) for share in far},
        "roc": rates,
    }


def roc(similarities, same):
    """Return `"far"`, `"tar"` and `"threshold"` of the ROC curve, from the strictest on."""
    order = np.argsort(-similarities, kind="stable")
    similarities, same = similarities[order], same[order]
    last = np.append(np.flatnonzero(np.diff(similarities)), len(same) - 1)  # of equal ones
    tar, far = (np.cumsum(kind)[last] / kind.sum() for kind in (same, ~same))
    return {
        "far": np.append(0.0, far),
        "tar": np.append(0.0, tar),
        "threshold": np.append(np.inf, similarities[last]),
    }


def _unit(embeddings):
    x = np.asarray(embeddings)
    if x.ndim != 2 or x.dtype.kind not in "iuf":
        raise ValueError(
            "Embeddings must be numbers of the shape (rows, size). "
            f"Received: shape {x.shape}, dtype {x.dtype}."
        )
    x = x.astype("float32")
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        raise ValueError(f"Embeddings must be finite numbers. {wrong_rows(finite, x)}")
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _ids(ids, rows):
    ids = np.asarray(ids)
    ids = ids[:, 0] if ids.ndim == 2 and ids.shape[1] == 1 else ids
    if ids.shape != (rows,):
        raise ValueError(
            f"`ids` must be one for each of {rows} embeddings. Received: shape {ids.shape}."
        )
    return np.unique(ids, return_inverse=True)[1]


def _all_pairs(unit, ids, same):
    if ids is None or same is not None:
        raise ValueError(
            "Identities are needed, or pairs with `same`. Received: "
            f"ids={'None' if ids is None else 'given'}, pairs=None, "
            f"same={'None' if same is None else 'given'}."
        )
    rows = range(len(unit) - 1)
    if (count := len(unit) * (len(unit) - 1) // 2) > MOST_PAIRS:
        raise ValueError(
            f"At most {MOST_PAIRS:,} pairs are compared. Received: {len(unit):,} embeddings, which "
            f"are {count:,} pairs. Give fewer, or some of the pairs by `pairs`."
        )
    cosines = [unit[i + 1 :] @ unit[i] for i in rows]
    same = [ids[i + 1 :] == ids[i] for i in rows]
    return np.concatenate([[], *cosines]), np.concatenate([np.zeros(0, bool), *same])


def _given_pairs(unit, ids, pairs, same):
    pairs = np.asarray(pairs)
    inside = pairs.dtype.kind in "iu" and ((pairs >= 0) & (pairs < len(unit))).all()
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not inside:
        raise ValueError(
            f"`pairs` must be rows of embeddings, (pairs, 2) whole numbers below {len(unit)}. "
            f"Received: shape {pairs.shape}, dtype {pairs.dtype}"
            f"{f', from {pairs.min()} to {pairs.max()}' if pairs.size else ''}."
        )
    if same is None and ids is None:
        raise ValueError("Pairs need `ids` or `same`. Received: neither.")
    a, b = pairs.T
    same = ids[a] == ids[b] if same is None else np.asarray(same)
    if same.shape != a.shape or not np.isin(same, (0, 1)).all():
        raise ValueError(
            f"`same` must be a true or false for each of {len(a)} pairs. "
            f"Received: shape {same.shape}, dtype {same.dtype}."
        )
    return np.einsum("ij,ij->i", unit[a], unit[b]), same.astype(bool)


def _folds(same, folds, rng):
    """Return the fold of every pair: random ones with a share of each kind, or runs."""
    fold = np.arange(len(same)) * folds // max(len(same), 1)
    if rng is not None:
        for kind in (same, ~same):
            fold[kind] = rng.permutation(np.arange(kind.sum()) % folds)
    for i in range(folds):
        counts = int(same[fold == i].sum()), int((~same[fold == i]).sum())
        if folds < 2 or not all(counts):
            raise ValueError(
                "There must be at least two folds, each with pairs of one identity and of two. "
                f"Received: fold {i} of {folds} with {counts[0]} and {counts[1]}. "
                "Give more identities, fewer `folds`, or pairs in another order."
            )
    return fold


def _threshold(cosines, same):
    best = choose_threshold((1 + cosines) / 2, same, metric="balanced_accuracy")
    return 2 * best - 1


def _accuracy(cosines, same, held):
    accepted = cosines >= _threshold(cosines[~held], same[~held])
    right = accepted == same
    return (right[held & same].mean() + right[held & ~same].mean()) / 2


def _equal_error(far, frr):
    """Return where the line between two points of the curve has as much of either error."""
    i = int(np.argmax(far >= frr))
    gap, next_gap = frr[i - 1] - far[i - 1], frr[i] - far[i]
    return float(far[i - 1] + (far[i] - far[i - 1]) * gap / (gap - next_gap))


def _tar_at(share, rates, others):
    if share * others < 1:
        return float("nan")
    return float(rates["tar"][np.searchsorted(rates["far"], share, side="right") - 1])
