"""What an activation costs in an int8 file: `python -m benchmarks.int8_activations`.

Six inverted bottlenecks of 64 channels, 128 inside, on maps of 56 x 56, with random weights; each
activation's float32 and int8 file in interleaved rounds, one thread. A file that XNNPACK cannot
take whole is cut into parts, and slow reference kernels run between them: so it says how many
parts there are and which operations stand outside.
"""

import argparse
import contextlib
import os
import tempfile
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks.timing import compared, files_in_turn, made, settle, write_file

ROWS = (
    ("relu6", "relu6", None),
    ("silu", "silu", None),
    ("gelu", "gelu", None),
    ("hard_swish as the converter writes it", "hard_swish", "kernel"),
    ("hard_swish as this library writes it", "hard_swish", None),
    ("relu6 and squeeze-excite, sigmoid", "relu6", "sigmoid"),
    ("relu6 and squeeze-excite, hard_sigmoid", "relu6", "hard_sigmoid"),
)


def network(activation, gate=None):
    import keras

    import blocks

    x = image = keras.Input((56, 56, 64))
    squeeze = {"ratio": 0.25, "gate": gate} if gate else 0.0
    for i in range(6):
        x = blocks.InvertedResidual(
            64, expansion=2, activation=activation, se_ratio=squeeze, name=f"block{i}"
        )(x)
    return keras.Model(image, x)


def parts(path):
    """Return how many parts of a file XNNPACK takes."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    return sum(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())


def measure(activation, option, rounds, runs):
    import numpy as np

    model = network(activation, None if option == "kernel" else option)
    samples = np.random.default_rng(0).normal(size=(8, 56, 56, 64)).astype("float32")
    settle(model, samples)
    plain = mock.patch("export.delegated.for_precision", lambda *_: contextlib.nullcontext())
    with tempfile.TemporaryDirectory() as folder:
        with plain if option == "kernel" else contextlib.nullcontext():
            files = [
                write_file(model, Path(folder, f"{precision}.tflite"), precision, samples)
                for precision in ("float32", "int8")
            ]
        return compared(*files_in_turn(files, rounds, runs)), parts(files[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--runs", type=int, default=20)
    args = parser.parse_args()
    print("| blocks with | float32 ms | int8 ms | float32 / int8 | parts of the int8 file |")
    print("|---|---:|---:|---:|---:|")
    for title, activation, option in ROWS:
        timed, count = measure(activation, option, args.rounds, args.runs)
        print(
            f"| {title} | {timed['ours_ms']:.2f} | {timed['theirs_ms']:.2f} | "
            f"{timed['ratio']:.2f} | {count} |",
            flush=True,
        )
    print("\n" + ", ".join(f"{key} {value}" for key, value in made().items()))


if __name__ == "__main__":
    main()
