"""Let LiteRT profile a file in this process: its Python has no profiler, its C interface has.

Run by path: `python -P profiler.py REQUEST`, the arguments of `profiled` as JSON; prints a line of
JSON.
"""

import ctypes
import importlib.util
import json
import os
import sys

POINTER = ctypes.c_void_p
CPU = 1  # kLiteRtHwAcceleratorCpu
WARM_UP = 5
WANTED = ctypes.create_string_buffer(b"enable_profiling = true\n")
KEEP = ctypes.CFUNCTYPE(None, POINTER)(lambda content: None)  # it frees WANTED with the process


def profiled(file, signature, runs):
    """Return LiteRT's summary of `runs` profiled runs on one thread.

    Args:
        file: Path of the file.
        signature: Index of the signature to run.
        runs: Number of runs, after some that are not profiled.
    """
    lib = Library()
    environment = lib.new("CreateEnvironment", 0, None)
    model = lib.new("CreateModelFromFile", environment, os.fsencode(file))
    compiled = lib.new("CreateCompiledModel", environment, model, options(lib))
    profiler = lib.new("CompiledModelGetProfiler", compiled)
    graph = lib.new("GetModelSignature", model, ctypes.c_size_t(signature))

    def buffers(kind):
        count = ctypes.c_size_t()
        lib.call(f"GetNumSignature{kind}s", graph, ctypes.byref(count))
        made = [
            buffer(lib, environment, compiled, graph, signature, kind, i)
            for i in range(count.value)
        ]
        return ctypes.c_size_t(len(made)), (POINTER * len(made))(*made)

    call = (compiled, ctypes.c_size_t(signature), *buffers("Input"), *buffers("Output"))
    for _ in range(WARM_UP):
        lib.call("RunCompiledModel", *call)
    lib.call("StartProfiler", profiler)
    for _ in range(runs):
        lib.call("RunCompiledModel", *call)
    lib.call("StopProfiler", profiler)
    return ctypes.string_at(lib.new("GetProfileSummary", profiler, compiled)).decode()


class Library:
    """LiteRT's functions by name, each of which answers with a status."""

    def __init__(self):
        folder = os.path.dirname(importlib.util.find_spec("ai_edge_litert").origin)
        suffix = {"darwin": "dylib", "win32": "dll"}.get(sys.platform, "so")
        self.functions = ctypes.CDLL(os.path.join(folder, f"libLiteRt.{suffix}"))

    def call(self, name, *arguments):
        status = getattr(self.functions, f"LiteRt{name}")(*arguments)
        if status:
            raise RuntimeError(f"LiteRt{name} answered with status {status}")

    def new(self, name, *arguments):
        """Return the pointer that a function writes to its last argument."""
        pointer = POINTER()
        self.call(name, *arguments, ctypes.byref(pointer))
        return pointer


def options(lib):
    """Return the options of a model that is profiled on the processor."""
    made = lib.new("CreateOptions")
    lib.call("SetOptionsHardwareAccelerators", made, CPU)
    runtime = lib.new("CreateOpaqueOptions", b"runtime_options_string", WANTED, KEEP)
    lib.call("AddOpaqueOptions", made, runtime)
    return made


def buffer(lib, environment, compiled, graph, signature, kind, index):
    """Return the memory of an input or output, all zeros."""
    index = ctypes.c_size_t(index)
    tensor = lib.new(f"GetSignature{kind}TensorByIndex", graph, index)
    described = ctypes.create_string_buffer(1024)  # more than its structure takes
    lib.call("GetRankedTensorType", tensor, described)
    needs = lib.new(
        f"GetCompiledModel{kind}BufferRequirements", compiled, ctypes.c_size_t(signature), index
    )
    made = lib.new("CreateManagedTensorBufferFromRequirements", environment, described, needs)
    lib.call("ClearTensorBuffer", made)
    return made


if __name__ == "__main__":
    print(json.dumps({"summary": profiled(**json.loads(sys.argv[1]))}))
