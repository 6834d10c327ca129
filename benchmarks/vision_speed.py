"""Our networks against `keras.applications`: `python -m benchmarks.vision_speed`.

For each pair the training step (96 x 96, batch 16), Keras's inference (224 x 224, batch 8), and the
float32 and int8 files (224 x 224, one thread), in interleaved rounds; then, alone, the variants
that quantise well. Weights are random, the statistics of batch-norm those of random images. Each
network has a process of its own; what is done is kept in runs/vision_speed.jsonl, so that the
command goes on where it was stopped.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks.kept import Kept, line, table
from benchmarks.timing import compared, files_in_turn, interleaved, made, settle, write_file

PAIRS = (
    "ResNet-50",
    "MobileNetV2",
    "MobileNetV3-Small",
    "MobileNetV3-Large",
    "EfficientNet-B0",
    "ConvNeXt-Tiny",
    "DenseNet-121",
)
VARIANTS = {  # what each is made of
    "MobileNetV3-Small minimalistic": ("mobilenet_v3", {"size": "small", "minimalistic": True}),
    "MobileNetV3-Large minimalistic": ("mobilenet_v3", {"size": "large", "minimalistic": True}),
    "EfficientNet-Lite0": ("efficientnet", {"variant": "lite0"}),
    "ConvNeXt-Tiny, 5 x 5, batch norm, ReLU": (
        "convnext",
        {"kernel_size": 5, "norm": "batch", "activation": "relu"},
    ),
}
PRECISIONS = ("float32", "int8")
KEPT = Kept("vision_speed")
HEADER = (
    "network",
    "train step",
    "Keras inference",
    "float32 file",
    "int8 file",
    "float32 ms",
    "int8 ms",
    "int8 gain",
)


def networks():
    from benchmarks.networks import NETWORKS

    return {network.name: network for network in NETWORKS}


def classifiers(network, side, classes):
    """Return ours and theirs with a classifier on the mean over positions."""
    import keras

    import heads

    head = heads.ClassificationHead(classes)
    ours = heads.attach(network.ours(side, include_preprocessing=network.preprocesses), head)
    ours.compile("sgd", loss=head.loss())
    twin = network.theirs(side)
    x = keras.layers.GlobalAveragePooling2D()(twin.output)
    theirs = keras.Model(twin.input, keras.layers.Dense(classes)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    theirs.compile("sgd", loss=loss)
    return ours, theirs


def images(network, count, side):
    import numpy as np

    pixels = np.random.default_rng(0).uniform(0, 255, (count, side, side, 3)).astype("float32")
    return pixels if network.preprocesses else pixels / 127.5 - 1


def pair(name, rounds, runs):
    """Measure ours and the twin in turn."""
    import numpy as np

    network = networks()[name]
    x, y = images(network, 16, 96), np.arange(16) % 10
    models = classifiers(network, 96, 10)
    steps = [lambda m=m: m.train_on_batch(x, y) for m in models]
    found = {"name": name, "train step": interleaved(steps, rounds, warm_up=2)}
    x = images(network, 8, 224)
    models = classifiers(network, 224, 1000)
    answers = [lambda m=m: m.predict_on_batch(x) for m in models]
    found["Keras inference"] = interleaved(answers, rounds, warm_up=2)
    return found | files(models, x, rounds, runs)


def variant(name, rounds, runs):
    """Measure the files of ours alone, float32 and int8 in turn."""
    import numpy as np

    import backbones
    import heads

    function, options = VARIANTS[name]
    backbone = getattr(backbones, function)((224, 224, 3), **options)
    model = heads.attach(backbone, heads.ClassificationHead(1000))
    x = np.random.default_rng(0).uniform(-1, 1, (8, 224, 224, 3)).astype("float32")
    return {"name": name, **files([model], x, rounds, runs)}


def files(models, samples, rounds, runs):
    """Measure all files in turn: ours against the twin's, and float32 against int8."""
    for model in models:
        settle(model, samples)
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            write_file(model, Path(folder, f"{i}_{precision}.tflite"), precision, samples)
            for precision in PRECISIONS
            for i, model in enumerate(models)
        ]
        rows = files_in_turn(paths, rounds, runs)
        sizes = [path.stat().st_size for path in paths]
    by_precision = {
        precision: rows[i * len(models) : (i + 1) * len(models)]
        for i, precision in enumerate(PRECISIONS)
    }
    found = {"sizes": sizes, "gain": compared(*(by_precision[p][0] for p in PRECISIONS))}
    if len(models) == 2:
        found |= {f"{p} file": compared(*both) for p, both in by_precision.items()}
    return found


def row(found):
    gain = found["gain"]
    cells = [found["name"]]
    for column in HEADER[1:5]:
        timed = found.get(column)
        cells.append(
            "{:.3f} ({:.3f}–{:.3f})".format(timed["ratio"], *timed["ratio_quartiles"])
            if timed
            else ""
        )
    return [*cells, f"{gain['ours_ms']:.2f}", f"{gain['theirs_ms']:.2f}", f"{gain['ratio']:.2f}×"]


def results(names, options):
    for name in names:
        if name not in KEPT.all():
            command = [sys.executable, "-m", "benchmarks.vision_speed", f"--only={name}", *options]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        yield KEPT.all()[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11, help="interleaved rounds of each pair")
    parser.add_argument("--runs", type=int, default=20, help="runs of a file in each round")
    parser.add_argument("--only", help="measure this network again, here and now")
    args = parser.parse_args()
    if args.only:
        measure = pair if args.only in PAIRS else variant
        found = {**measure(args.only, args.rounds, args.runs), "made": made()}
        KEPT.add(found)
        print(line(row(found)))
        return
    options = [f"--rounds={args.rounds}", f"--runs={args.runs}"]
    table(HEADER, map(row, results([*PAIRS, *VARIANTS], options)))
    print(f"\nours / twin, medians of {args.rounds} rounds (quartiles); kept in {KEPT.path}")


if __name__ == "__main__":
    main()
