"""Accuracy beside latency of smaller networks on CIFAR-10: `python -m benchmarks.compression`.

A trained ResNet-9 is pruned to parts of its multiply-adds and trained on, with and without itself
as the teacher, beside the same narrow networks trained from new weights, and networks that are
narrower by one factor everywhere, all for the same epochs. Each becomes a float32 and an int8 file,
timed in turn with those of the whole network. Validation images say how a network does; the test
split is read once, when all are trained. An interrupted run goes on with the same command.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on processors without AVX-512

TEACHER = "benchmarks/models/cifar10_resnet9.keras"
SHARES = (0.75, 0.5, 0.25)
PEAK, PEAK_ON = 0.2, 0.05  # rates of new weights, as the teacher's own, and of trained ones
WHOLE = "whole"


def right(answers, labels):
    import numpy as np

    return float(np.mean(np.argmax(answers, -1) == labels))


def accuracies(model, files, data):
    """Return the share of right answers of a model, and of its int8 file."""
    import export

    images, labels = data[0].astype("float32"), data[1]
    (int8,) = export.predict(files["int8"], images).values()
    float32 = right(model.predict(images, 256, verbose=0), labels)
    return {"float32": float32, "int8": right(int8, labels)}


def written(model, folder, images):
    """Write the files of a model and return their paths."""
    import export
    from benchmarks.timing import LOOSE

    paths = {}
    for precision in ("float32", "int8"):
        paths[precision] = folder / f"{precision}.tflite"
        export.to_tflite(
            model,
            paths[precision],
            precision,
            calibration=images[:256].astype("float32"),
            measure=False,
            tolerance=LOOSE.get(precision),
        )
    return paths


def compressed(teacher, way, share, folder, splits, args):
    """Return a network made and trained in one way, and its facts."""
    import keras

    from benchmarks.cifar10.training import train
    from benchmarks.clock import bare, minutes
    from benchmarks.compression.networks import WAYS

    make, trained, taught = WAYS[way]
    keras.utils.set_random_seed(args.seed)
    model = make(teacher, share)
    found = {"before": right(model.predict(splits[1][0], 256, verbose=0), splits[1][1])}
    model, _, facts = train(
        lambda: model,
        *splits,
        folder,
        epochs=args.epochs,
        seed=args.seed,
        batch=args.batch,
        peak=PEAK_ON if trained else PEAK,
        teacher=teacher if taught else None,
    )
    return bare(model), found | minutes(facts)


def table(networks, timed, test):
    """Print a row for each network."""
    from benchmarks.kept import table

    header = ["network", "MACs", "params", "before", "val", "val int8", "test", "test int8"]
    header += ["float32 KiB", "float32 time", "int8 KiB", "int8 time", "minutes"]

    def row(name, found):
        cells = [name, f"{found['macs'] / 1e6:.1f}M", f"{found['params']:,}"]
        cells += [f"{x:.4f}" for x in (found["before"], *found["val"].values())]
        cells += [f"{x:.4f}" for x in test[name].values()]
        for precision in ("float32", "int8"):
            each = timed[precision][name]
            cells += [f"{each.size / 1024:.0f}", f"{each.ratio:.2f} ({each.median_ms:.2f} ms)"]
        return [*cells, f"{found['wall_minutes']:.0f}"]

    table(header, [row(*each) for each in networks.items()])


def main(args):
    import keras

    import export
    from benchmarks.cifar10.data import read, split, test_split
    from benchmarks.compression.networks import WAYS
    from benchmarks.kept import settle
    from benchmarks.timing import made

    folder = Path(args.folder)
    settle(folder, epochs=args.epochs, seed=args.seed, batch=args.batch, model=args.model)
    arrays = read()
    splits = split(arrays)
    teacher = keras.saving.load_model(args.model, compile=False)
    names = {WHOLE: (None, 1.0)}
    names |= {f"{share:g} {way}": (way, share) for share in args.shares for way in WAYS}
    networks, files = {}, {}
    for name, (way, share) in names.items():
        place = folder / name.replace(", ", "_").replace(" ", "_")
        kept, facts = place / "model.keras", place / "facts.json"
        files[name] = {x: place / f"{x}.tflite" for x in ("float32", "int8")}
        if not facts.exists():
            place.mkdir(parents=True, exist_ok=True)
            model, found = teacher, {"before": 0.0, "wall_minutes": 0.0}
            if way:
                model, found = compressed(teacher, way, share, place, splits, args)
            model.save(kept)
            files[name] = written(model, place, splits[0][0])
            found |= {"macs": export.measure(model).macs, "params": model.count_params()}
            found["val"] = accuracies(model, files[name], splits[1])
            if not way:
                found["before"] = found["val"]["float32"]
            facts.write_text(json.dumps(found))
        networks[name] = json.loads(facts.read_text())
    timed, noise = {}, {}
    for precision in ("float32", "int8"):
        paths = [each[precision] for each in files.values()]
        found = export.side_by_side(paths, runs=args.runs, rounds=args.rounds)
        timed[precision] = dict(zip(files, found.files))
        noise[precision] = [round(x, 3) for x in found.noise]
    test = {}
    for name in names:
        place = files[name]["int8"].parent
        model = keras.saving.load_model(place / "model.keras", compile=False)
        test[name] = accuracies(model, files[name], test_split(arrays))
    table(networks, timed, test)
    protocol = {
        "epochs": args.epochs,
        "seed": args.seed,
        "images": len(splits[0][0]),
        "time": "median over rounds of the ratio to the whole network's file, one thread",
        "noise": noise,
        "wall_minutes": round(sum(x["wall_minutes"] for x in networks.values()), 1),
    }
    print(json.dumps(protocol | made(), indent=1))


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=4, help="of every network")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="of the MACs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--model", default=TEACHER, help="trained network to begin with")
    parser.add_argument("--runs", type=int, default=50, help="timed runs of a file in a round")
    parser.add_argument("--rounds", type=int, default=9, help="of timing")
    parser.add_argument("--folder", default="runs/compression", help="where all is kept")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
