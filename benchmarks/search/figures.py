"""What a trace is worth: the best network under a limit, and the area under a front."""

import math

from benchmarks.search.table import EPOCHS

CHANCE = 0.1  # accuracy from which a front counts


def seen(table, trace, spent):
    """Return the configurations that a search saw, each with its best epoch of validation.

    Args:
        table: A `Table`.
        trace: The trace of a `Replay`.
        spent: How many of its epochs count.
    """
    last = {}
    for number, key, epoch, _ in trace:
        if number <= spent:
            last[key] = max(last.get(key, 0), epoch)
    curves = {key: table.rows[key]["valid"][: epoch + 1] for key, epoch in last.items()}
    return {key: curve.index(max(curve)) for key, curve in curves.items()}


def best_within(table, epochs):
    """Return accuracies, of validation and test, of the best network seen under the limit.

    Args:
        table: A `Table`.
        epochs: Which epoch of each configuration is the best, by its key.
    """
    kept = [k for k in epochs if table.facts(k)["latency_ms"] <= table.limit]
    if not kept:
        return CHANCE, CHANCE
    best = max(kept, key=lambda k: table.rows[k]["valid"][epochs[k]])
    row, epoch = table.rows[best], epochs[best]
    return row["valid"][epoch], row["test"][epoch]


def tested_within(table, epochs):
    """Return the test's accuracy of what `best_within` chooses."""
    return best_within(table, epochs)[1]


def area(table, epochs):
    """Return the area of the front that validation chooses, by what the test says of it.

    The reference is chance and the slowest network; logarithms of latency count, as twice as fast
    is worth the same anywhere. 1 is a network that is always right and as fast as the fastest.
    """
    latencies = [facts["latency_ms"] for facts in table.costs.values()]
    low, high = math.log(min(latencies)), math.log(max(latencies))
    points = sorted(
        (math.log(table.facts(k)["latency_ms"]), -table.rows[k]["valid"][e], k)
        for k, e in epochs.items()
    )
    chosen, best = [], CHANCE  # those that no faster one equals in validation
    for latency, accuracy, key in points:
        if -accuracy > best:
            best = -accuracy
            chosen.append((latency, table.rows[key]["test"][epochs[key]]))
    total, height = 0.0, CHANCE
    for latency, accuracy in chosen:
        total += max(0.0, accuracy - height) * (high - latency)
        height = max(height, accuracy)
    return total / ((1 - CHANCE) * (high - low))


def whole(table):
    """Return the best epoch of every configuration, as a search that trains them all sees it."""
    return seen(table, [(0, key, EPOCHS - 1, 0.0) for key in table.rows], 0)
