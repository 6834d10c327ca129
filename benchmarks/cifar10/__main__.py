"""Train a small network on CIFAR-10 and score its int8 file: `python -m benchmarks.cifar10`.

An interrupted training goes on with the same command. When its last epoch is done, or with
`--model`, the model becomes an int8 file, of which the size and the accuracy on the test split are
printed as JSON.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on processors without AVX-512

LIMIT = 98_304


def score(model, arrays, path, calibration):
    """Write the int8 file and return its facts; the test split is read here and nowhere else."""
    import numpy as np

    import export
    from benchmarks.cifar10.data import split, test_split

    (images, _), validation = split(arrays)
    bundle = export.to_tflite(
        model,
        path,
        "int8",
        calibration=images[:calibration].astype("float32"),
        labels=arrays["class_names"].tolist(),
        measure=False,
        compact=True,
    )

    def right(answers, labels):
        return float(np.mean(np.argmax(answers, -1) == labels))

    found = {"size": bundle.size, "fits": bundle.size <= LIMIT, "ops": bundle.ops}
    for name, (images, labels) in {"val": validation, "test": test_split(arrays)}.items():
        images = images.astype("float32")
        (answers,) = export.predict(path, images).values()
        found[f"{name}_int8"] = right(answers, labels)
        found[f"{name}_float32"] = right(model.predict(images, 256, verbose=0), labels)
    return found


def main(args):
    import keras

    import export
    from benchmarks.cifar10.data import read, split
    from benchmarks.cifar10.networks import NETWORKS
    from benchmarks.cifar10.training import averaged, train
    from benchmarks.clock import bare

    arrays = read()
    cut = f"-cut{args.cut}" if args.cut else ""
    folder = Path(args.folder, f"{args.network}-{args.epochs}-{args.seed}{cut}")
    found = {"network": args.network, "backend": keras.backend.backend()}
    path = folder / f"{args.network}.tflite"
    if args.model:
        found = {"model": args.model}
        path = Path(args.folder, "scored.tflite")
        model = averaged([keras.saving.load_model(path, compile=False) for path in args.model])
    else:
        model, done, facts = train(
            NETWORKS[args.network],
            *split(arrays),
            folder,
            epochs=args.epochs,
            hours=args.hours,
            seed=args.seed,
            batch=args.batch,
            start=args.start,
            cut=args.cut,
            teacher=args.teacher and keras.saving.load_model(args.teacher, compile=False),
        )
        seconds = sum(x["seconds"] for x in facts)
        images = sum(x["seconds"] * x["images_per_second"] for x in facts)
        found |= {"seed": args.seed, "epochs": args.epochs, "done": done, "batch": args.batch}
        found |= {"training_seconds": seconds, "images_per_second": images / max(seconds, 1e-9)}
        if done < args.epochs:
            print(json.dumps(found | {"go_on": "run the same command again"}, indent=1))
            return
        bare(model).save(folder / "model.keras")
    found["params"] = model.count_params()
    found["macs"] = export.measure(model).macs
    path.parent.mkdir(parents=True, exist_ok=True)
    found |= score(model, arrays, path, args.calibration)
    print(json.dumps(found, indent=1))


def parse(words=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="resnet8", help="a name in networks.NETWORKS")
    parser.add_argument("--epochs", type=int, default=24, help="length of the schedule")
    parser.add_argument("--hours", type=float, default=10.0, help="no epoch begins after them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--cut", type=int, default=0, help="side of grey squares in the images")
    parser.add_argument("--calibration", type=int, default=256, help="images for int8's ranges")
    parser.add_argument("--folder", default="runs/cifar10", help="where states and files go")
    parser.add_argument("--start", help="state to begin with where the folder has none")
    parser.add_argument("--teacher", help="trained model to distil from")
    parser.add_argument(
        "--model", nargs="+", help="score this trained model, or the average of several, instead"
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
