"""The most accurate network that a phone can run: search, retrain, int8 file, in one command.

python -m examples.search_for_phone                      scikit-learn's digits, about ten minutes
python -m examples.search_for_phone --data my/images     a folder with one subfolder a class
python -m examples.search_for_phone --latency 0.05 --size 40

--latency: the most milliseconds of the int8 file on this machine, one thread; by default 0.0015 a
pixel. --size: the most of it in KB. A network over a limit is refused before it is trained, and
one that is not among the best is paused early. The best within the limits is trained anew on all
images but the test's; those are read once, by its models and its file. A search that was stopped
goes on: run the same command again. Everything goes to runs/phone_<data>.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import export
import heads
import tuning
from examples.data import load
from examples.folders import begun_with

BATCH = 32


def main(args):
    train, val, test, names = load(args.data, args.side, args.limit, args.seed)
    height, width, _ = shape = train[0].shape[1:]
    sizes = " / ".join(str(len(labels)) for _, labels in (train, val, test))
    budget = tuning.Budget(
        latency_ms=args.latency or 0.0015 * height * width, size_kb=args.size, precision="int8"
    )
    print(f"{sizes} images to train / validate / test, {len(names)} classes; {budget}")

    steps = -(-len(train[1]) // BATCH)  # of an epoch
    space = tuning.image_space(
        shape,
        len(names),
        choices={"norm": ["batch"], "learning_rate": [1e-3, 3e-3, 1e-2]},
        steps=args.epochs * steps,
        mean=float(train[0].mean()),
        std=float(train[0].std()),
    )
    out = Path(args.out or f"runs/phone_{Path(args.data).name}")
    parts = train, val, test
    begun_with(out, args.overwrite, parts, classes=names, epochs=args.epochs)
    search = tuning.ParetoSearch(
        space,
        ["val_accuracy", "latency_ms"],
        budget,
        max_trials=args.trials,
        halving=tuning.Halving(min_epochs=max(1, args.epochs // 9)),
        seed=args.seed,
        directory=out,
        project_name="search",
        overwrite=args.overwrite,
    )
    search.search(
        shifted(*train, BATCH, args.seed),
        validation_data=val,
        epochs=args.epochs,
        shuffle=False,  # shuffled already
    )
    best = search.best(latency_ms=budget.latency_ms, size_kb=budget.size_kb)

    # As many steps an epoch as in the search, for the schedule: larger batches of more images.
    both = [np.concatenate(parts) for parts in zip(train, val)]
    batch = -(-len(both[1]) // steps)
    (found,) = search.retrain(
        shifted(*both, batch, args.seed),
        epochs=args.epochs,
        shuffle=False,
        test=test,
        trials=[best],
        seeds=args.seeds,
        name=f"shifted images in batches of {batch}, seed {args.seed}",
    )

    answer = heads.deploy(keras.saving.load_model(found.files[0]))  # the first: the test chose none
    bundle = export.to_tflite(
        answer, out / "model_int8.tflite", "int8", calibration=both[0], labels=names
    )
    told = export.predict(bundle.path, test[0])["probabilities"].argmax(-1)
    measured = bundle.measurement.latency[0]["min_ms"]
    page = search.report(out / "report.html")
    print(bundle)
    print(f"\nKeras on the test images: {found}")
    kept = (
        f"{measured:.4f} ms of {budget.latency_ms:.4f}, {bundle.size / 1e3:.1f} KB of {args.size}"
    )
    print(f"The int8 file: accuracy {np.mean(told == test[1]):.4f}, {kept}")
    print(f"Files: {bundle.path}, {page}, {', '.join(found.files)}")
    print("Next: open the page; put the file into an app; --trials 50 to search on.")


def shifted(images, labels, batch, seed):
    """Return shuffled batches of images, each shifted anew in every epoch."""
    shift = keras.layers.RandomTranslation(0.1, 0.1, fill_mode="constant", seed=seed)
    data = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(labels), seed=seed)
    return data.batch(batch).map(lambda x, y: (shift(x, training=True), y))


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="digits")
    parser.add_argument("--out")
    parser.add_argument("--latency", type=float)
    parser.add_argument("--size", type=float, default=100.0)
    parser.add_argument("--overwrite", action="store_true", help="begin anew")
    numbers = {"side": 64, "limit": None, "trials": 12, "epochs": 18, "seeds": 3, "seed": 1}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
