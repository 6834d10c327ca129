"""From images to a verified int8 file: search, train, export, measure, report.

python -m examples.quickstart                       scikit-learn's digits, about two minutes
python -m examples.quickstart --data cifar10        or fashion_mnist (downloaded by Keras)
python -m examples.quickstart --data my/images      a folder with one subfolder a class

--side: of a folder's images, in pixels; --limit: images to keep at most; --macs, --params: the
budget; --verbose: as of Keras's fit; --out: folder of the results, by default in runs/.
"""

import argparse
import functools
import time
from pathlib import Path

import keras
import tensorflow as tf
from sklearn.metrics import accuracy_score, confusion_matrix

import export
import heads
import tuning
from examples import report
from examples.data import load


def main(args):
    began, out = time.time(), Path(args.out or f"runs/{Path(args.data).name}")
    train, val, test, names = load(args.data, args.side, args.limit, args.seed)
    sizes = " / ".join(str(len(labels)) for _, labels in (train, val, test))
    print(f"{sizes} images to train / validate / test, {len(names)} classes")

    height, width, _ = train[0].shape[1:]
    macs = args.macs or 16_000 * height * width  # a million for the digits

    # The same images, shifted anew in every epoch.
    keras.utils.set_random_seed(args.seed)
    shift = keras.layers.RandomTranslation(0.1, 0.1, fill_mode="constant", seed=args.seed)
    shifted = (
        tf.data.Dataset.from_tensor_slices(train)
        .shuffle(len(train[1]), seed=args.seed)
        .batch(32)
        .map(lambda x, y: (shift(x, training=True), y))
    )

    # Search: the most accurate architecture among those that keep the budget.
    space = functools.partial(
        tuning.image_space,
        train[0].shape[1:],
        len(names),
        choices={"norm": ["batch"], "learning_rate": [1e-3, 3e-3, 1e-2]},
        mean=float(train[0].mean()),
        std=float(train[0].std()),
    )
    search = tuning.ParetoSearch(
        space(steps=args.search_epochs * len(shifted)),
        ["val_accuracy", "macs"],
        tuning.Budget(macs=macs, params=args.params),
        max_trials=args.trials,
        seed=args.seed,
        directory=out,
        project_name="search",
        overwrite=True,
    )
    fit = {"x": shifted, "validation_data": val, "shuffle": False}  # shuffled already
    search.search(**fit, epochs=args.search_epochs)

    # Train the best from the start, with a schedule.
    keras.utils.set_random_seed(args.seed)
    build = space(steps=args.epochs * len(shifted))
    model = build(search.best().hyperparameters)
    heads.check_targets(train, model)
    history = model.fit(**fit, epochs=args.epochs, verbose=args.verbose).history

    # Ship: files that give Keras's numbers, or none.
    answer = heads.deploy(model)
    options = {"calibration": train[0], "labels": names}
    files = {
        "float32": export.to_tflite(answer, out / "model.tflite", **options),
        "int8": export.to_tflite(answer, out / "model_int8.tflite", "int8", **options),
    }
    print(files["int8"])
    answer.save(out / "model.keras")

    # The test images are read once, by each file.
    told = {p: export.predict(bundle.path, test[0]) for p, bundle in files.items()}
    guesses = {p: answer["probabilities"].argmax(-1) for p, answer in told.items()}
    accuracy = {p: accuracy_score(test[1], guess) for p, guess in guesses.items()}
    found = ", ".join(f"{precision} {value:.4f}" for precision, value in accuracy.items())
    page = report.write(
        out / "report.html",
        title=f"keras-blocks: {args.data}",
        facts={
            "data": f"{args.data}: {sizes} images to train / validate / test",
            "test accuracy": found,
            "protocol": f"seed {args.seed}; {args.trials} trials of {args.search_epochs} epochs; "
            f"{args.epochs} epochs of the best; test images read once by each file",
            "budget": f"{macs:,} MACs, {args.params:,} parameters",
            "wall time": f"{time.time() - began:.0f} s",
        },
        history=history,
        confusion=confusion_matrix(test[1], guesses["int8"]).tolist(),
        names=names,
        trials=search.trials_table(),
        model=answer,
        files=files,
        accuracy=accuracy,
    )
    print(f"\nTest accuracy: {found} ({time.time() - began:.0f} s)")
    print(f"Files: {', '.join(str(x) for x in (page, *(f.path for f in files.values())))}")
    print(f"Next: open {page}, or put {files['int8'].path} into an app.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="digits")
    parser.add_argument("--out")
    numbers = {"side": 64, "limit": None, "macs": None, "params": 100_000, "trials": 8}
    numbers |= {"search-epochs": 6, "epochs": 40, "seed": 1, "verbose": 1}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    main(parser.parse_args())
