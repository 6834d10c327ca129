"""What 8 bits cost: `python -m benchmarks.quantization` prints a table a network.

Each network was trained on CIFAR-10. Its int8 files come of post-training quantization and of
quantization-aware training, and beside them stand those of plain TFLiteConverter and of
ai-edge-quantizer with their defaults. All are calibrated on the same training images. What was
chosen was chosen on validation images (`--validate`); test images are read once, for the table.
`train` makes the MobileNetV3 that lies under benchmarks/models. Trainings are kept in runs/.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on processors without AVX-512

from benchmarks.kept import Kept, check_names, settle, table
from benchmarks.timing import made

FOLDER = Path("runs/quantization")
NAMES = ("mobilenet_v3", "resnet8", "resnet9")
HEADER = ("file", "accuracy", "drop, points", "size, kB", "time to float32", "made in, s")


def right(answers, labels):
    import numpy as np

    return float(np.mean(np.argmax(answers, -1) == labels))


def trainings(name, splits, args):
    """Return the network by name of what it was trained to be, and the minutes each took."""
    import export
    import heads
    from benchmarks.quantization import networks

    side, peak = networks.SIDES[name], args.peak or networks.PEAKS[name]
    epochs = args.epochs or networks.EPOCHS[name]
    model = networks.network(name)
    loss = heads.losses(model)
    calibration = networks.enlarged(splits[0][0][: args.calibration], side)
    more = {"epochs": epochs, "peak": peak, "loss": loss}
    found, minutes = {"float32": model}, {}
    for kind in ("float32, as long", "int8, aware", "4-bit weights, aware"):
        folder = FOLDER / f"{name} {kind}".replace(", ", "-").replace(" ", "-")
        settle(folder, epochs=epochs, peak=peak, calibration=args.calibration)
        start = networks.network(name)
        if "aware" in kind:
            bits = 4 if kind.startswith("4") else 8
            start = export.quantize_aware(start, calibration, weight_bits=bits)
        found[kind], facts = networks.train(start, splits, side, folder, **more)
        minutes[kind] = facts["wall_minutes"]
    return found, minutes, calibration


def write(models, folder, calibration, validation, max_drop):
    """Write every file of a network; return their paths and what was said of them by name."""
    from benchmarks.quantization import files

    model, paths, said = models["float32"], {}, {}

    def add(name, action, *args, **kwargs):
        path = folder / f"{name.replace(', ', '-').replace(' ', '-')}.tflite"
        start = time.perf_counter()
        said[name] = action(*(path if x is Path else x for x in args), **kwargs)
        paths[name] = path, time.perf_counter() - start

    known = {"inputs": calibration[:64]}
    add("float32", files.ours, model, Path, "float32", **known)
    add(
        "float32, trained as long", files.ours, models["float32, as long"], Path, "float32", **known
    )
    add("float16", files.ours, model, Path, "float16", **known)
    add("weight_only", files.ours, model, Path, "weight_only", **known)
    add("dynamic", files.ours, model, Path, "dynamic", **known)
    add("int8, post-training", files.ours, model, Path, "int8", calibration)
    add("auto", files.chosen, model, Path, validation, calibration, max_drop)
    for kind in ("int8, aware", "4-bit weights, aware"):
        add(kind, files.ours, models[kind], Path, "int8", **known)
    add("TFLiteConverter, int8", files.converter, model, Path, calibration)
    add("TFLiteConverter, dynamic", files.converter, model, Path)
    source = paths["float32"][0]
    for recipe in ("static_wi8_ai8", "dynamic_wi8_afp32", "weight_only_wi8_afp32"):
        samples = calibration if recipe.startswith("static") else None
        add(f"ai-edge-quantizer, {recipe}", files.edge, source, Path, recipe, samples)
    return paths, said


def figures(name, arrays, args):
    """Train, write and score the files of a network."""
    import export
    from benchmarks.cifar10.data import split, test_split
    from benchmarks.quantization import networks

    splits = split(arrays)
    models, minutes, calibration = trainings(name, splits, args)
    side = networks.SIDES[name]
    others, known = splits[1]
    validation = networks.enlarged(others, side), known
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    paths, said = write(models, folder, calibration, validation, args.max_drop)
    images, labels = validation if args.validate else test_split(arrays)
    images = images if args.validate else networks.enlarged(images, side)
    keras_score = right(models["float32"].predict(images, 256, verbose=0), labels)
    beside = export.side_by_side([path for path, _ in paths.values()], runs=args.runs)
    rows = []
    for (file, (path, seconds)), timed in zip(paths.items(), beside.files):
        (answers,) = export.predict(path, images).values()
        row = {"file": file, "accuracy": right(answers, labels), "size": timed.size}
        row |= {"ratio": timed.ratio, "ratios": [timed.lowest, timed.highest]}
        row |= {"median_ms": timed.median_ms, "made_seconds": seconds, "said": said[file]}
        rows.append(row)
        print(f"{name}: {file}, {row['accuracy']:.4f}", file=sys.stderr, flush=True)
    return {
        "name": f"{name}, {'validation' if args.validate else 'test'}",
        "keras": keras_score,
        "params": models["float32"].count_params(),
        "macs": export.measure(models["float32"]).macs,
        "epochs": args.epochs or networks.EPOCHS[name],
        "peak": args.peak or networks.PEAKS[name],
        "minutes": minutes,
        "noise": beside.noise,
        "rows": rows,
        "made": made(),
    }


def show(found):
    """Print what was found of a network."""
    epochs, minutes = found["epochs"], found["minutes"]
    took = ", ".join(f"{kind} {x} min" for kind, x in minutes.items())
    print(
        f"\n{found['name']}: {found['params']:,} parameters, {found['macs']:,} MACs; in Keras "
        f"{found['keras']:.4f}. {epochs} epochs more at {found['peak']}: {took}. "
        f"float32 to itself {found['noise'][0]:.2f} to {found['noise'][1]:.2f}."
    )
    print(json.dumps(found["made"]) + "\n")

    def cells(row):
        said = f" ({row['said']})" if row["said"] else ""
        span = "{:.2f} to {:.2f}".format(*row["ratios"])
        drop = 100 * (found["keras"] - row["accuracy"])
        return (
            row["file"] + said,
            f"{row['accuracy']:.4f}",
            f"{drop:.2f}",
            f"{row['size'] / 1000:.0f}",
            f"{row['ratio']:.2f} ({span})",
            f"{row['made_seconds']:.1f}",
        )

    table(HEADER, map(cells, found["rows"]))


def make(args):
    """Train MobileNetV3 and keep it under benchmarks/models."""
    import heads
    from benchmarks.cifar10.data import read, split
    from benchmarks.quantization import networks

    model = networks.mobilenet_v3()
    folder = FOLDER / "mobilenet_v3-float32"
    settle(folder, epochs=args.train_epochs, peak=args.train_peak)
    model, facts = networks.train(
        model,
        split(read()),
        networks.SIDES["mobilenet_v3"],
        folder,
        epochs=args.train_epochs,
        peak=args.train_peak,
        loss=heads.losses(model),
    )
    networks.keep(model)
    print(json.dumps({"kept": str(networks.MOBILENET), **facts}, indent=1))


def main(args):
    from benchmarks.cifar10.data import read

    if args.networks == ["train"]:
        make(args)
        return
    kept, split = Kept("quantization"), "validation" if args.validate else "test"
    for name in args.networks or NAMES:
        found = kept.all().get(f"{name}, {split}")
        if found is None:
            found = figures(name, read(), args)
            kept.add(found)
        show(found)


def parse(words=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help=f"{', '.join(NAMES)}; or train; all by default")
    parser.add_argument("--validate", action="store_true", help="score on validation images")
    parser.add_argument("--epochs", type=int, help="of quantization-aware training")
    parser.add_argument("--peak", type=float, help="its highest learning rate")
    parser.add_argument("--train-epochs", type=int, default=24, help="of `train`")
    parser.add_argument("--train-peak", type=float, default=4e-3, help="of `train`")
    parser.add_argument("--calibration", type=int, default=256, help="training images for ranges")
    parser.add_argument("--max-drop", type=float, default=0.01, help="of auto")
    parser.add_argument("--runs", type=int, default=50, help="timed runs of a file in a round")
    args = parser.parse_args(words)
    check_names(parser, args.networks, (*NAMES, "train"))
    return args


if __name__ == "__main__":
    main(parse())
