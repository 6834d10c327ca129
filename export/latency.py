"""Time files in this process, which is fresh and imports NumPy and LiteRT only.

Run by path: `python -P latency.py REQUEST`, the arguments of `alone` or `in_turn` as JSON; prints
a line of JSON.
"""

import json
import resource
import sys
import time
from collections import Counter

WARM_UP = 5


def main(request):
    """Print what was asked for, times in ms and memory in bytes."""
    answer = in_turn(**request) if "rounds" in request else alone(**request)
    print(json.dumps(answer))


def alone(file, threads, runs, signature=None):
    """Return the median and minimum of `runs` timed runs, and the peak memory.

    `own_memory` is what the file added to it: weights and tensors. `parts` counts the parts of the
    graph that the runtime's delegate computes, `outside` the operations between them. Runs of a
    named signature include copying its inputs and outputs.
    """
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter  # noqa: F401 - not the file's memory

    imported, before = peak_memory(), memory_now()
    interpreter, run = ready(file, threads, signature)
    times = timed(run, runs)
    parts, outside = (None, None) if signature else delegated(interpreter)
    return {
        "threads": threads,
        "runs": runs,
        "median_ms": float(np.median(times)),
        "min_ms": min(times),
        "peak_memory": max(imported, peak_memory()),
        "own_memory": max(0, peak_memory() - before),
        "parts": parts,
        "outside": outside,
    }


def in_turn(files, threads, runs, rounds):
    """Return, for each file, the median of each round, and the minimum of all runs.

    In a round every file is run `runs` times; every other round goes through them backwards.
    """
    import numpy as np

    one_run = [ready(file, threads)[1] for file in files]
    medians, least = [[] for _ in files], [float("inf")] * len(files)
    for turn in range(rounds):
        order = range(len(files))
        for i in order if turn % 2 == 0 else reversed(order):
            times = timed(one_run[i], runs)
            medians[i].append(float(np.median(times)))
            least[i] = min(least[i], *times)
    return {"medians": medians, "least": least}


def ready(file, threads, signature=None):
    """Return an interpreter that holds random inputs, and a function that runs it."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(file, num_threads=threads)
    rng = np.random.default_rng(0)

    def values(detail):
        # Below 1: whole numbers, such as ids, become 0.
        return rng.random(detail["shape"]).astype(detail["dtype"])

    if signature:
        runner = interpreter.get_signature_runner(signature)
        inputs = {name: values(x) for name, x in runner.get_input_details().items()}
        return interpreter, lambda: runner(**inputs)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], values(detail))
    return interpreter, interpreter.invoke


def timed(run, runs):
    """Return the times of `runs` runs in ms, after some that are not timed."""
    for _ in range(WARM_UP):
        run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def delegated(interpreter):
    """Return the number of parts in the delegate, and a count of the operations outside of it."""
    if not hasattr(interpreter, "_get_ops_details"):
        return None, None
    makers = {}  # a delegate's node is listed behind those that it replaces
    for operation in interpreter._get_ops_details():
        makers.update((tensor, operation) for tensor in operation["outputs"].tolist())
    found, wanted = {}, [x["index"] for x in interpreter.get_output_details()]
    while wanted:
        operation = makers.get(wanted.pop())
        if operation and operation["index"] not in found:
            found[operation["index"]] = operation["op_name"]
            wanted += operation["inputs"].tolist()
    counts = Counter(found.values())
    return counts.pop("DELEGATE", 0), dict(counts)


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
    main(json.loads(sys.argv[1]))
