"""What the house costs beside plain Keras: `python -m benchmarks.foundation` prints JSON.

Imports, building and training MobileNetV2 against `keras.applications.MobileNetV2` with the same
shapes, and both exports. Times are ratios of interleaved rounds: the machine's noise meets both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import compared, files_in_turn, interleaved, made, settle, write_file

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

GOALS = {
    "import_seconds": 0.1,
    "build_ratio": 1.5,
    "train_step_ratio": 1.05,
    "float32_latency_ratio": 1.05,
    "int8_latency_ratio": 1.05,
}


def import_seconds(rounds):
    """Return the median seconds that `import blocks` takes after `import keras`."""
    code = (
        "import keras, time; t = time.perf_counter(); import blocks; print(time.perf_counter() - t)"
    )
    runs = [subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(rounds)]
    return statistics.median(float(run.split()[-1]) for run in runs)


def ours(side, classes):
    import backbones
    import heads

    head = heads.ClassificationHead(classes)
    model = heads.attach(backbones.mobilenet_v2((side, side, 3)), head)
    model.compile("sgd", loss=head.loss())
    return model


def theirs(side, classes):
    import keras

    model = keras.applications.MobileNetV2(
        (side, side, 3), weights=None, classes=classes, classifier_activation=None
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss=loss)
    return model


def building(side, rounds):
    import keras

    def build(make):
        keras.backend.clear_session()
        make(side, 1000)

    return interleaved((lambda: build(ours), lambda: build(theirs)), rounds)


def training(side, batch, rounds, steps=3):
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, side, side, 3)).astype("float32")
    y = rng.integers(0, 10, batch)
    models = [make(side, 10) for make in (ours, theirs)]

    def step(model):
        return lambda: [model.train_on_batch(x, y) for _ in range(steps)]

    found = interleaved([step(model) for model in models], rounds, warm_up=2)
    return {**found, "steps_per_round": steps, "side": side, "batch": batch}


def exports(side, rounds, runs):
    """Write both networks in float32 and int8, and measure the files in turn."""
    import numpy as np

    import export

    rng = np.random.default_rng(0)
    samples = rng.uniform(-1, 1, (8, side, side, 3)).astype("float32")
    models = {"ours": ours(side, 1000), "theirs": theirs(side, 1000)}
    for model in models.values():
        settle(model, samples)
    measured = {name: export.measure(model) for name, model in models.items()}
    found = {"macs": {name: m.macs for name, m in measured.items()}}
    found["params"] = {name: m.params for name, m in measured.items()}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "int8"):
            files = [
                write_file(model, Path(folder, f"{name}_{precision}.tflite"), precision, samples)
                for name, model in models.items()
            ]
            found[precision] = compared(*files_in_turn(files, rounds, runs))
    return found


def main(args):
    found = {
        "import_seconds": import_seconds(args.rounds),
        "build": building(224, args.rounds),
        "train_step": training(96, 16, args.rounds),
        **exports(224, args.rounds, args.runs),
    }
    reached = {
        "import_seconds": found["import_seconds"],
        "build_ratio": found["build"]["ratio"],
        "train_step_ratio": found["train_step"]["ratio"],
        "float32_latency_ratio": found["float32"]["ratio"],
        "int8_latency_ratio": found["int8"]["ratio"],
    }
    found["goals"] = {
        name: {"reached": round(reached[name], 4), "goal": goal, "met": reached[name] <= goal}
        for name, goal in GOALS.items()
    }
    found["made"] = made()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="interleaved rounds of each pair")
    parser.add_argument("--runs", type=int, default=30, help="runs of a file in each round")
    main(parser.parse_args())
