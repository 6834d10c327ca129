"""A plan for histories of items: which comes next."""

import keras
import numpy as np

import heads
from tuning.proposing.plan import Plan, around, largest, schedule, space_of, why_size

RUNGS = [(16, 1), (32, 1), (32, 2), (64, 2), (128, 2)]
UNITS = [16, 32, 64, 128]
RATES = [3e-4, 1e-3, 2e-3, 5e-3]
FILL = 10  # parameters an event
ALL = 1000  # items up to which each step is compared with all of them
NEGATIVES = 256
LENGTHS = (4, 200)  # least and most steps that are looked at


def plan_histories(facts, budget):
    """Return the `Plan` for histories.

    Args:
        facts: The `Facts`.
        budget: A `tuning.Budget`.
    """
    items, reasons = facts.targets.units, {}
    lengths = (facts.x > 0).sum(axis=1)
    usual = int(np.quantile(lengths[lengths > 2], 0.9))
    length = min(max(usual, LENGTHS[0]), LENGTHS[1], max(2, facts.x.shape[1] - 1))
    negatives = None if items <= ALL else NEGATIVES
    values = {
        "kind": "attention",
        "dropout": 0.5 if facts.rows < 50_000 else 0.2,
        "weight_decay": 0.0,
        "learning_rate": 2e-3,
    }
    reasons["regularisation"] = (
        f"Dropout {values['dropout']}, the only one, as decayed vectors of rare items vanish."
    )

    def make(chosen):
        own = {**values, **chosen}
        ids = keras.Input((length,), dtype="int32", name="history")
        head = heads.SequentialHead(
            items,
            own["units"],
            own["depth"],
            kind=own["kind"],
            length=length,
            negatives=negatives,
            dropout=own["dropout"],
            name="head",
        )
        return keras.Model(ids, ids, name="histories"), head

    most = FILL * int(lengths.sum())
    rungs = [{"units": units, "depth": depth} for units, depth in RUNGS]
    size, known, ended = largest(rungs, [{}], make, most, budget)
    params = known.get("params") or heads.attach(*make(size)).count_params()
    chosen = {**values, **size}
    reasons["architecture"] = (
        "Self-attention over the history (SASRec), whose table of vectors reads items and scores "
        f"them; the last {length} steps, which hold nine in ten histories, {LENGTHS[1]} at most."
    )
    reasons["size"] = why_size(params, most, ended, f"{FILL} an event")
    reasons["head"] = f"SequentialHead of {items:,} items: each step learns to name the next."
    reasons["loss"] = "Softmax over " + (
        f"all {items:,} items, which are few."
        if negatives is None
        else f"the next item and {negatives} drawn ones: all {items:,} would cost too much."
    )
    protocol = "catalogue" if negatives is None else "sampled"
    reasons["metrics"] = (
        f"Recall of 10 among {'all items' if negatives is None else 'those drawn'} first; the "
        "rivals are compared among all items, by the last item of each user."
    )
    reasons["augmentation"] = "None: each step of a history is a sample already."
    table = {
        **chosen,
        "kind": ["attention", "gru"],
        "units": around(UNITS, chosen["units"]),
        "depth": around([1, 2, 3], chosen["depth"]),
        "dropout": [0.1, 0.2, 0.5],
        "learning_rate": around(RATES, chosen["learning_rate"]),
    }
    recipe = schedule(facts.rows, reasons)
    return Plan(
        f"self-attention over histories, {size['depth']} blocks of {size['units']}",
        chosen,
        table,
        space_of(table, make, recipe["steps"]),
        lambda: make(chosen)[1],
        lambda x: last(x, length),
        recipe,
        f"val_{protocol}_recall_10",
        reasons,
    )


def last(histories, length):
    """Return the last steps of histories, filled up with 0 in front where there are fewer.

    >>> last(np.array([[1, 2, 3]]), 2).tolist(), last(np.array([[1]]), 2).tolist()
    ([[2, 3]], [[0, 1]])
    """
    kept = np.asarray(histories)[:, -length:].astype("int32")
    return np.pad(kept, ((0, 0), (length - kept.shape[1], 0)))
