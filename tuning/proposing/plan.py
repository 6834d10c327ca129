"""What every plan has: a point of a space, the space around it, and how a size is chosen."""

import dataclasses
import math
from collections.abc import Callable

import keras_tuner
import numpy as np

import heads
from tuning.recipes import adamw
from tuning.tables import choose, size

STEPS = 3000  # of training, after which small networks on small data have learned what they can
EPOCHS = (20, 200)  # least and most
TESTED = 0.2  # share of the rows


@dataclasses.dataclass
class Plan:
    """A network for some data, as plain values, and what trains it.

    Attributes:
        architecture: What it is, a few words.
        chosen: A value for each name of `table`.
        table: What a space around it offers, as `tuning.choose` takes it.
        space: Function from hyperparameters to a compiled model.
        head: Function of no arguments that returns a fresh head.
        inputs: Function from rows to the model's inputs.
        recipe: How it is trained, plain values.
        objective: Name of what a search goes by.
        reasons: A sentence for each choice, by its name.
    """

    architecture: str
    chosen: dict
    table: dict
    space: Callable
    head: Callable
    inputs: Callable
    recipe: dict
    objective: str
    reasons: dict

    def model(self):
        """Return the compiled model of the chosen values."""
        hp = keras_tuner.HyperParameters()
        hp.values = dict(self.chosen)
        return self.space(hp)


def space_of(table, make, steps):
    """Return a space: `make` gives a backbone and a head for values chosen of the table."""

    def build(hp):
        chosen = choose(hp, table)
        model = heads.attach(*make(chosen))
        optimizer = adamw(steps, chosen["learning_rate"], weight_decay=chosen["weight_decay"])
        model.compile(optimizer, loss=heads.losses(model), metrics=heads.metrics(model))
        return model

    build.size = size(table)
    return build


def around(values, value):
    """Return a value and its neighbours in a sorted list.

    >>> around([8, 16, 24, 32], 16), around([8, 16, 24], 8)
    ([8, 16, 24], [8, 16])
    """
    i = values.index(value)
    return values[max(0, i - 1) : i + 2]


def largest(rungs, variants, make, most, budget):
    """Return the values of the largest network that the data can fill and that keeps a budget.

    Args:
        rungs: Dicts of values, from small to large.
        variants: Dicts of values, of which a later one is for budgets that an earlier one breaks.
        make: Function from values to a backbone and a head.
        most: Parameters that the data can fill.
        budget: A `tuning.Budget`.

    Returns:
        The values, what the budget says of them, and what ended the growth: `"data"`,
        `"budget"` or `"rungs"`.

    Raises:
        ValueError: If the smallest does not keep the budget.
    """
    best, broken = None, None
    for rung in rungs:
        kept = None
        for variant in variants:
            values = {**rung, **variant}
            model = heads.attach(*make(values))
            full = best is not None and model.count_params() > most
            if full and variant.items() <= best[0].items():
                return *best, "data"
            facts, violations = budget.check(model)
            if not violations:
                if full:
                    return *best, "data"
                kept = values, facts
                break
            broken = broken or (values, facts, violations)
        if kept is None:
            break
        best = kept
    if best is None:
        values, facts, violations = broken
        said = ", ".join(f"{name} {facts[name]:,}" for name in violations if name in facts)
        raise ValueError(
            f"`device` must leave room for the smallest network, {values}. "
            f"Received: {budget}, where that has {said or violations}."
        )
    return *best, "rungs" if kept else "budget"


def why_size(params, most, ended, what):
    """Return the sentence that says what a size follows from."""
    end = {
        "data": "the next larger one would have more",
        "budget": "the device allows no larger one",
        "rungs": "it is the largest to begin with",
    }[ended]
    if params > most:
        end = "even the smallest one has more, so overfitting is likely"
    return f"{params:,} parameters, where data of this size fill about {most:,}, {what}; {end}."


def batch_of(rows):
    """Return the size of a batch.

    >>> [batch_of(rows) for rows in (100, 2000, 20_000, 200_000)]
    [16, 32, 64, 128]
    """
    return next((size for most, size in ((500, 16), (5000, 32), (50_000, 64)) if rows <= most), 128)


def schedule(rows, reasons):
    """Return batch, epochs and steps for a number of training rows, and add the reasons."""
    batch = batch_of(rows)
    each = math.ceil(rows / batch)
    epochs = min(max(math.ceil(STEPS / each), EPOCHS[0]), EPOCHS[1])
    reasons["batch"] = f"{batch} rows, so that {rows:,} training rows make {each} steps an epoch."
    reasons["epochs"] = (
        f"{epochs}, which is {epochs * each:,} steps: about {STEPS:,} are enough to begin with, in "
        f"{EPOCHS[0]} to {EPOCHS[1]} passes."
    )
    reasons["optimizer"] = (
        "AdamW, clipped, with a warm-up and half a cosine down to 0: it needs the number of steps "
        "alone, and forgives a rate that is a little wrong."
    )
    return {"batch_size": batch, "epochs": epochs, "steps": epochs * each}


def split(rows, classes=None, seed=0, alike=None):
    """Return places of training and of test rows, of each class a fifth, at least one.

    Rows with equal numbers in `alike` stay together, where each class then still has some of both.

    >>> train, test = split(10, np.array([0] * 8 + [1] * 2))
    >>> len(train), len(test)
    (7, 3)
    """
    random = np.random.default_rng(seed)
    classes = np.zeros(rows, int) if classes is None else np.asarray(classes)
    if alike is not None and len(set(alike)) < rows:
        _, first, group = np.unique(alike, return_index=True, return_inverse=True)
        tested = np.isin(group, split(len(first), classes[first], seed)[1])
        if all(len(np.unique(tested[classes == value])) == 2 for value in np.unique(classes)):
            return np.flatnonzero(~tested), np.flatnonzero(tested)
    tested = np.zeros(rows, bool)
    for value in np.unique(classes):
        places = random.permutation(np.flatnonzero(classes == value))
        tested[places[: max(1, round(TESTED * len(places)))]] = True
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def regularised(rows, reasons, dropout=True):
    """Return dropout and weight decay for a number of rows, and add the reasons."""
    rate, decay = (0.4, 0.05) if rows < 1000 else (0.2, 0.05) if rows < 10_000 else (0.1, 0.01)
    reasons["regularisation"] = (
        f"{f'Dropout {rate} and w' if dropout else 'W'}eight decay {decay}, as {rows:,} training "
        f"rows are {'few' if rows < 1000 else 'some' if rows < 10_000 else 'many'}: fewer rows "
        "need more."
    )
    return {"weight_decay": decay} | ({"dropout": rate} if dropout else {})
