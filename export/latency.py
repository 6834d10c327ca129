"""Time a file in this process, which is fresh and imports NumPy and LiteRT only.

Run by path: `python -P latency.py FILE THREADS RUNS`; prints a line of JSON.
"""

import json
import resource
import sys
import time

WARM_UP = 5


def main(path, threads, runs):
    """Print the median and minimum of `runs` timed runs in ms, and the peak memory in bytes.

    `own_memory` is what the file added to it: weights and tensors.
    """
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    imported, before = peak_memory(), memory_now()
    interpreter = Interpreter(path, num_threads=threads)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        values = rng.random(detail["shape"])  # below 1: whole numbers, such as ids, become 0
        interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
    for _ in range(WARM_UP):
        interpreter.invoke()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        interpreter.invoke()
        times.append((time.perf_counter() - start) * 1e3)
    facts = {
        "threads": threads,
        "runs": runs,
        "median_ms": float(np.median(times)),
        "min_ms": min(times),
        "peak_memory": max(imported, peak_memory()),
        "own_memory": max(0, peak_memory() - before),
    }
    print(json.dumps(facts))


def peak_memory():
    """Return the most memory this process held, in bytes.

    Linux hands `ru_maxrss` down from the process that started this one, so it is read elsewhere.
    """
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def memory_now():
    """Return the memory this process holds, in bytes, and forget what it held before."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024
    except OSError:
        return peak_memory()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
