"""What answers are worth: the same scores for a network and for its rivals."""

import numpy as np

import heads

BEST = {  # the score that decides, by task, and whether more of it is better
    "classification": ("accuracy", True),
    "regression": ("mae", False),
    "segmentation": ("iou", True),
    "ranking": ("auc", True),
    "sequence": ("hit_rate_10", True),
}
K = 10  # items that are answered


def scores_of(task, y, said, units=1):
    """Return scores by name, scikit-learn's but for the next item, of which `heads` tells.

    Args:
        task: The task.
        y: What is right: class ids, numbers, masks, zeros and ones, or the next items.
        said: Answers: class ids, numbers, masks, probabilities, or lists of items.
        units: Of masks: 1 where there are two classes, of which the second is looked for; else the
            number of classes, of which those that are there are averaged.
    """
    from sklearn import metrics

    if task == "classification":
        return {
            "accuracy": float(metrics.accuracy_score(y, said)),
            "macro_f1": float(metrics.f1_score(y, said, average="macro", zero_division=0.0)),
        }
    if task == "regression":
        y, said = (np.asarray(x, "float64").reshape(len(y), -1) for x in (y, said))
        return {
            "mae": float(metrics.mean_absolute_error(y, said)),
            "rmse": float(metrics.root_mean_squared_error(y, said)),
            "r2": float(metrics.r2_score(y, said)),
        }
    if task == "segmentation":
        y, said = np.asarray(y).reshape(-1), np.asarray(said).reshape(-1)
        y, said = y[y != 255], said[y != 255]
        kind = {"average": "binary"} if units == 1 else {"average": "macro", "labels": np.unique(y)}
        return {
            "iou": float(metrics.jaccard_score(y, said, zero_division=0.0, **kind)),
            "accuracy": float((y == said).mean()),
        }
    if task == "ranking":
        return {"auc": float(metrics.roc_auc_score(y, said))}
    found = heads.recommendation_scores(said, y, k=K)
    return {f"{name}_{K}": found[f"catalogue_{name}_{K}"] for name in ("hit_rate", "ndcg")}


def decides(task, objective):
    """Return the name of the score that decides, and whether more of it is better."""
    return ("macro_f1", True) if objective == "val_macro_f1" else BEST[task]
