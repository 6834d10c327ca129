"""What benchmarks of speed share: rounds in turn, files measured so, where and with what."""

import os
import platform
import statistics
import time
from datetime import date
from importlib import metadata

PACKAGES = ("keras", "tensorflow", "ai-edge-litert", "numpy")

# How well a file answers is what a benchmark measures, so a weak one is not refused.
LOOSE = {"int8": {"sqnr_db": -100.0, "agreement": 0.0, "equal": 0.0}}


def seconds(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_turn(actions, rounds, warm_up=0):
    """Call all in turn, every other round backwards; return what each gave, by round."""
    given = [[] for _ in actions]
    for round in range(warm_up + rounds):
        for action, values in list(zip(actions, given))[:: 1 if round % 2 else -1]:
            value = action()
            if round >= warm_up:
                values.append(value)
    return given


def ratio(ours, theirs):
    """Return the median of the ratios of the rounds, and their quartiles."""
    ratios, rounds = sorted(a / b for a, b in zip(ours, theirs)), len(ours)
    return {
        "ratio": statistics.median(ratios),
        "ratio_quartiles": [ratios[rounds // 4], ratios[-1 - rounds // 4]],
        "rounds": rounds,
    }


def interleaved(pair, rounds, warm_up=1):
    """Time two actions in turn; return medians and their ratios."""
    ours, theirs = in_turn([lambda a=action: seconds(a) for action in pair], rounds, warm_up)
    return {
        "ours_seconds": statistics.median(ours),
        "theirs_seconds": statistics.median(theirs),
        **ratio(ours, theirs),
    }


def files_in_turn(paths, rounds, runs):
    """Measure `.tflite` files in turn, each time in a fresh process with one thread.

    Returns, of each file, the latency of every round.
    """
    import export

    return in_turn(
        [lambda p=p: export.measure(p, runs=runs, threads=(1,)).latency[0] for p in paths], rounds
    )


def compared(ours, theirs):
    """Return medians and ratio of two files measured in turn."""
    return {
        "ours_ms": statistics.median(row["median_ms"] for row in ours),
        "theirs_ms": statistics.median(row["median_ms"] for row in theirs),
        **ratio([row["min_ms"] for row in ours], [row["min_ms"] for row in theirs]),
        "ratio_of": "the fastest of each process's runs",
        "runs": ours[0]["runs"],
        "threads": 1,
    }


def settle(model, samples):
    """Take the statistics of the samples, without which an untrained network answers 0."""
    import keras

    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(samples, training=True)
    for norm, before in zip(norms, momentum):
        norm.momentum = before


def write_file(model, path, precision, samples):
    """Write an untrained model, compared loosely: its answers mean nothing."""
    import export

    loose = LOOSE.get(precision, {"relative": 1e-3})
    export.to_tflite(model, path, precision, calibration=samples, measure=False, tolerance=loose)
    return path


def made():
    """Return when, where and with what."""
    return {
        "date": str(date.today()),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }
