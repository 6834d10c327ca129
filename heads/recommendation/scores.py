"""What recommendations are worth: recall, NDCG, reciprocal ranks, by a protocol in their names."""

import math

import numpy as np

from blocks.base import check_positive


def recommendation_scores(found, relevant, *, k=10, num_items=None, protocol="catalogue"):
    """Return how well lists of items answer users.

    Args:
        found: Items for every user, `(users, at least k)`, the best first, as a deployed
            `RetrievalHead` or `SequentialHead` answers; -1 is none.
        relevant: For every user the items that are right: one each, `(users,)`, or a list of
            lists. Users without any do not count.
        k: Number of items that are looked at.
        num_items: Number of items of the catalogue, for `coverage`.
        protocol: First word of the names: what the lists were chosen from.

    Returns:
        A dict, names with the protocol and `k`, `"catalogue_recall_10"` and so on: `recall`, the
        share of the right items that is found; `hit_rate`, the share of users with one of them;
        `ndcg`; `mrr`, the mean reciprocal rank of the first; and with `num_items` `coverage`, the
        share of the catalogue that anybody is shown.

    Raises:
        ValueError: If shapes do not fit, or no user has a right item.

    >>> found = np.array([[3, 7, 1], [4, 9, 2]])
    >>> scores = recommendation_scores(found, [7, 5], k=3)
    >>> scores["catalogue_recall_3"], scores["catalogue_mrr_3"]
    (0.5, 0.25)
    """
    check_positive(k=k)
    found = np.asarray(found)
    if found.ndim != 2 or found.shape[1] < k or len(found) != len(relevant):
        raise ValueError(
            f"Each user has at least {k} items. Received: shape {found.shape} for {len(relevant)} "
            "users."
        )
    rows = []
    for items, right in zip(found[:, :k].tolist(), relevant):
        right = {int(x) for x in np.atleast_1d(right)} - {-1}
        if right:
            rows.append(_of_user(items, right, k))
    if not rows:
        raise ValueError("Users must have right items. Received: none.")
    names = ("recall", "hit_rate", "ndcg", "mrr")
    means = np.mean(rows, axis=0)
    scores = {f"{protocol}_{name}_{k}": float(x) for name, x in zip(names, means)}
    if num_items is not None:
        shown = np.unique(found[:, :k])
        scores[f"{protocol}_coverage_{k}"] = float((shown >= 0).sum() / num_items)
    return scores


def _of_user(items, right, k):
    hits = [item in right and item not in items[:i] for i, item in enumerate(items)]  # once
    gains = [hit / math.log2(i + 2) for i, hit in enumerate(hits)]
    ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(right))))
    first = next((1 / (i + 1) for i, hit in enumerate(hits) if hit), 0.0)
    return sum(hits) / len(right), float(any(hits)), sum(gains) / ideal, first


def rank_scores(ranks, *, k=10, protocol):
    """Return scores of users with one right item each, from its rank among others.

    Args:
        ranks: How many of the others are better, `(users,)`: 0 is the best. Of equal scores half
            are better.
        k: Number of items that are looked at.
        protocol: First word of the names, such as `"sampled100"`: among what it was ranked.

    >>> scores = rank_scores([0, 3, 40], k=10, protocol="sampled100")
    >>> {key: round(x, 3) for key, x in scores.items()}
    {'sampled100_hit_rate_10': 0.667, 'sampled100_ndcg_10': 0.477, 'sampled100_mrr': 0.425}
    """
    check_positive(k=k)
    ranks = np.asarray(ranks, "float64")
    if not (ranks.size and (ranks >= 0).all()):
        raise ValueError(f"Users have a rank from 0 on each. Received: {ranks.tolist()[:9]}.")
    hit = ranks < k
    return {
        f"{protocol}_hit_rate_{k}": float(hit.mean()),
        f"{protocol}_ndcg_{k}": float((hit / np.log2(ranks + 2)).mean()),
        f"{protocol}_mrr": float((1 / (ranks + 1)).mean()),
    }


def ranks_of(scores, others):
    """Return how many of the others have a better score; of equal ones half.

    Args:
        scores: Scores of the right items, `(users,)`.
        others: Scores of others, `(users, others)`.
    """
    own = np.asarray(scores)[:, None]
    return (~(others <= own)).sum(-1) + 0.5 * (others == own).sum(-1)  # of NaN all are better
