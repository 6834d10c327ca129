"""What the recipes reach on few images: `python -m benchmarks.small_data` prints JSON.

Residual networks of blocks, trained from scratch on sign_digits (1,651 photographs) and on 4,000
labels of CIFAR-10, three seeds each. A seed draws the labels, the weights, the order and the
augmentation. The settings below were chosen with `--validate`, which tests on a fifth of the
training images and never sees the test images; the test images are read once by each seed's
final network. Each seed's result is kept in runs/, and a second call goes on where it stopped.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from benchmarks.data import load
from benchmarks.timing import made

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on processors without AVX-512

BATCH = 64
SETS = {
    "sign_digits": {
        "reference": "PCA(80) and an RBF SVM on this split: 0.871",
        "split": "random by image: the same people are in training and in test, so this figure "
        "says nothing of people never seen",
        "width": 12,
        "epochs": 50,
        "peak": 4e-3,
        "augment": {
            "strength": "light",
            "rotate": 0.04,
            "zoom": 0.15,
            "brightness": 0.2,
            "contrast": 0.3,
            "erase": 0.25,
        },
    },
    "cifar10": {
        "labels": 4000,
        "reference": "none on these pixels; 50,000 labels: ResNet-20 0.9125 (He et al., 2015)",
        "split": "official test images; 400 training images of each class, drawn anew by seed",
        "width": 16,
        "epochs": 100,
        "peak": 4e-3,
        "augment": {"strength": "light", "erase": 0.25, "cut_mix": 0.5},
    },
}


def read(name):
    """Return training images and labels, then test images and labels."""
    found = load(name)
    if name == "cifar10":
        return tuple(found[x] for x in ("train", "train_labels", "test", "test_labels"))
    images, labels, test = (found[x] for x in ("images", "labels", "is_test"))
    images = images.reshape(-1, 32, 2, 32, 2, 3).mean((2, 4))  # half the side is enough for a hand
    return images[~test], labels[~test], images[test], labels[test]


def drawn(labels, count, rng):
    """Return the places of `count` labels, as many of each class."""
    import numpy as np

    each = count // 10
    places = [rng.permutation(np.flatnonzero(labels == k))[:each] for k in range(10)]
    return rng.permutation(np.concatenate(places))


def network(shape, settings):
    import keras

    import heads
    from benchmarks.cifar10.networks import pooled

    image = keras.Input(shape, name="image")
    x = keras.layers.Rescaling(1 / 63, offset=-2.0, name="scale")(image)
    # momentum: a few hundred steps must be enough
    x = pooled(x, settings["width"], norm={"type": "batch", "momentum": 0.9})
    head = heads.ClassificationHead(10, one_hot=True, label_smoothing=0.1, dropout=0.2)
    return heads.attach(keras.Model(image, x, name="small"), head), head


def train(images, labels, settings, seed):
    """Return a network trained on images and labels."""
    import keras
    import tensorflow as tf

    import tuning

    keras.utils.set_random_seed(seed)
    augment = tuning.augmentation(**settings["augment"], num_classes=10, seed=seed)
    rows = keras.utils.to_categorical(labels, 10)
    batches = (
        tf.data.Dataset.from_tensor_slices((images, rows))
        .shuffle(len(images), seed=seed)
        .batch(BATCH, drop_remainder=True)
        .map(augment)
        .prefetch(2)
    )
    model, head = network((None, None, 3), settings)
    steps = settings["epochs"] * len(batches)
    optimizer = tuning.adamw(steps, settings["peak"], weight_decay=0.05, ema=0.98)
    # XLA's convolutions are slower than oneDNN's on a processor.
    model.compile(optimizer, loss=head.loss(), jit_compile=False)
    said = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: print(
            f"seed {seed}, epoch {epoch + 1} of {settings['epochs']}, loss {logs['loss']:.4f}",
            file=sys.stderr,
            flush=True,
        )
    )
    # shuffled already
    model.fit(batches, epochs=settings["epochs"], shuffle=False, verbose=0, callbacks=[said])
    return model


def run(name, data, settings, seed, validate):
    """Return what one seed reaches, and what it took."""
    import keras
    import numpy as np

    images, labels, test_images, test_labels = data
    rng = np.random.default_rng(seed)
    count = settings.get("labels")
    places = drawn(labels, count, rng) if count else rng.permutation(len(labels))
    if validate:
        held, places = np.split(places, [len(places) // 5])
        test_images, test_labels = images[held], labels[held]
    began, busy = time.time(), time.process_time()
    model = train(images[places], labels[places], settings, seed)
    guesses = model.predict(test_images.astype("float32"), batch_size=250, verbose=0).argmax(-1)
    found = {
        "accuracy": round(float(np.mean(guesses == test_labels)), 4),
        "tested_on": f"{len(test_labels)} {'validation' if validate else 'test'} images",
        "trained_on": len(places),
        "params": model.count_params(),
        "wall_seconds": round(time.time() - began),
        "processor_seconds": round(time.process_time() - busy),
    }
    print(f"{name}, seed {seed}: {found}", file=sys.stderr, flush=True)
    keras.backend.clear_session()
    return found


def summary(runs):
    """Return mean and spread of the seeds' accuracies."""
    scores = [x["accuracy"] for x in runs.values()]
    return {
        "accuracy_mean": round(statistics.mean(scores), 4),
        "accuracy_deviation": round(statistics.stdev(scores), 4) if len(scores) > 1 else None,
        "accuracy_range": [min(scores), max(scores)],
        "wall_minutes": round(sum(x["wall_seconds"] for x in runs.values()) / 60, 1),
        "processor_minutes": round(sum(x["processor_seconds"] for x in runs.values()) / 60, 1),
    }


def main(args):
    place = Path(args.out)
    kept = json.loads(place.read_text()) if place.exists() else {}
    report = {}
    for name in args.sets:
        settings = {**SETS[name], **({"epochs": args.epochs} if args.epochs else {})}
        data, runs = None, {}
        for seed in range(args.seeds):
            key = json.dumps([name, seed, args.validate, settings])
            if key not in kept:
                data = data or read(name)
                kept[key] = run(name, data, settings, seed, args.validate)
                place.parent.mkdir(parents=True, exist_ok=True)
                partial = place.with_suffix(".partial")
                partial.write_text(json.dumps(kept, indent=1))
                partial.replace(place)
            runs[f"seed {seed}"] = kept[key]
        report[name] = {"settings": settings, **runs, **summary(runs)}
    report["made"] = made()
    print(json.dumps(report, indent=1))


def arguments(given=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="other than the settings say")
    parser.add_argument("--validate", action="store_true", help="test on a fifth of the training")
    parser.add_argument("--out", default="runs/small_data.json", help="where results are kept")
    return parser.parse_args(given)


if __name__ == "__main__":
    main(arguments())
