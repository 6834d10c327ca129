"""The head of whole inputs, images or rows of a table: classes or numbers."""

import numpy as np

import heads

UNEVEN = 3.0  # how many times as often a class is there as the rarest, from which on it is weighed
TAILED = 6.0  # deviations that a target may be off the mean


def head_of(facts, y, reasons):
    """Return a function from values to a fresh head, options of it, and the objective.

    Args:
        facts: The `Facts`.
        y: Targets of the training rows, encoded.
        reasons: Dict, which gets a sentence for the head, the loss and the metrics.
    """
    if facts.task == "classification":
        return _classification(facts.targets, reasons)
    return _regression(facts.targets, y, reasons)


def _classification(targets, reasons):
    count, options = len(targets.names), {}
    objective = "val_accuracy"
    reasons["head"] = f"ClassificationHead: each row is one of {count} classes."
    reasons["loss"] = "Cross-entropy, since the classes exclude each other."
    reasons["metrics"] = "Accuracy first, since the classes are about as frequent."
    if targets.imbalance >= UNEVEN:
        total = sum(targets.counts)
        options["class_weights"] = [round(total / count / n, 4) for n in targets.counts]
        objective = "val_macro_f1"
        times = f"{targets.imbalance:.1f} times"
        reasons["loss"] += (
            f" Each class weighs the same in it, for one is there {times} as often as another; "
            "probabilities are then those of even classes."
        )
        reasons["metrics"] = (
            f"Macro F1 first, as with one class {times} as frequent as another accuracy flatters "
            "those who never name the rare one."
        )
    smoothing = 0.1 if count > 2 else 0.0
    if smoothing:
        reasons["loss"] += " Smoothed by 0.1, against overconfidence."

    def make(values):
        return heads.ClassificationHead(
            count,
            dropout=values["dropout"],
            label_smoothing=values["label_smoothing"],
            name="head",
            **options,
        )

    return make, {"label_smoothing": smoothing}, options, objective


def _regression(targets, y, reasons):
    rows = y.reshape(len(y), -1).astype("float64")
    mean, std = rows.mean(axis=0), rows.std(axis=0)
    std = np.where(std > 0, std, targets.std)  # all rows that differ may be test rows
    farthest = float(abs((rows - mean) / std).max())
    kind = "huber" if farthest > TAILED else "mse"
    reasons["head"] = (
        f"RegressionHead of {targets.units}, which learns on targets of mean 0 and deviation 1 and "
        "answers in theirs."
    )
    reasons["loss"] = {
        "mse": f"Squared error: no target is more than {farthest:.1f} deviations off the mean.",
        "huber": f"Huber's: a target {farthest:.0f} deviations off the mean would rule a square.",
    }[kind]
    reasons["metrics"] = "Mean absolute error first, since it is in the target's own units."

    def make(values):
        return heads.RegressionHead(
            targets.units,
            loss=kind,
            mean=mean.tolist(),
            std=std.tolist(),
            dropout=values["dropout"],
            name="head",
        )

    return make, {}, {}, "val_mae"
