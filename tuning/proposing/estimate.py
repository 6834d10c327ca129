"""What a proposal costs: the model, its file, and its training, measured on a few steps."""

import math
import time

import numpy as np
from keras import tree

import export
import heads
from tuning.budget import static_facts

WARM, TIMED = 2, 5
MOMENTS = 4  # numbers that AdamW keeps of a weight: itself, its gradient, two moments


def estimate(plan, data, rows, runtime):
    """Return what a plan costs, by name; `None` where it was not or could not be measured.

    Args:
        plan: The `Plan`.
        data: Inputs and targets of a batch.
        rows: Number of training rows.
        runtime: Whether to convert the deployed model and run its file.
    """
    batch, epochs = plan.recipe["batch_size"], plan.recipe["epochs"]
    model = plan.model()
    found, layers = static_facts(model, required=())
    if found["macs"] is None and layers:
        found["macs"] = sum(row.macs or 0 for row in layers)
        found["macs_without"] = ", ".join(row.name for row in layers if row.macs is None)
    found |= {"train_memory_mb": _memory(model, layers, batch), **_file(model, runtime)}
    step = _step(model, *data)
    each = math.ceil(rows / batch)
    found |= {"step_ms": step * 1e3, "epoch_s": step * each, "train_s": step * each * epochs}
    return found


def _step(model, x, y):
    """Return the seconds of a training step, the median of a few."""
    times = []
    for _ in range(WARM + TIMED):
        start = time.perf_counter()
        model.train_on_batch(x, y)
        times.append(time.perf_counter() - start)
    return float(np.median(times[WARM:]))


def _memory(model, layers, batch):
    """Return the MB that weights, what AdamW keeps, and the outputs of layers take in training."""
    if not layers:  # one could not be traced
        return None
    values = sum(math.prod(x or 1 for x in shape[1:]) for shape in map(_shape, layers))
    return 4 * (MOMENTS * model.count_params() + batch * values) / 1e6


def _shape(row):
    shapes = tree.flatten(row.output_shape)
    return tuple(row.output_shape) if all(isinstance(x, (int, type(None))) for x in shapes) else ()


def _file(model, runtime):
    """Return size, latency and memory of the deployed model's file, and what went wrong."""
    names = ("size_kb", "latency_ms", "peak_memory_mb")
    if not runtime:
        return dict.fromkeys(names)
    try:
        found = export.measure(heads.deploy(model), runtime=True, runs=20, threads=(1,))
    except Exception as error:  # what does not convert is a fact of the model, not of the proposal
        return {**dict.fromkeys(names), "not_measured": str(error)[:200]}
    values = (found.size / 1e3, found.latency_ms, found.peak_memory / 1e6)
    return dict(zip(names, values))
