"""A network that has read letters learns digits from a few labels.

python -m examples.transfer                              some minutes
python -m examples.transfer --first cifar10 --data DIR   a folder with one subfolder a class

A backbone is trained on the data set --first: by default letters of printed fonts, drawn here. Then
--labels images of each class of --data train a head and, with it, that backbone; beside it, the
same network from scratch. Both are tested on all test images, with each of --seeds draws of labels.
"""

import argparse
import statistics
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import heads
import tuning
from blocks import ConvNormAct, ResidualBlock
from examples import letters
from examples.data import load


def backbone(images):
    """Return a residual network of three levels, which normalizes its images itself."""
    mean, std = float(images.mean()), float(images.std())
    norm = {"type": "batch", "momentum": 0.9}  # few steps must be enough
    image = keras.Input(images.shape[1:], name="image")
    x = keras.layers.Rescaling(1 / std, -mean / std, name="normalization")(image)
    x = ConvNormAct(16, 3, norm=norm, name="stem")(x)
    levels = {}
    for level, filters in enumerate((16, 32, 64)):
        x = ResidualBlock(filters, strides=min(2, level + 1), norm=norm, name=f"stage{level}")(x)
        levels[f"P{level}"] = x
    return keras.Model(image, levels, name="backbone")


def batches(images, labels, batch, seed):
    """Return the images, shifted and turned a little anew in every epoch."""
    values = (float(images.min()), float(images.max()))
    augment = tuning.augmentation("none", shift=0.125, rotate=0.02, value_range=values, seed=seed)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    return dataset.shuffle(len(labels), seed=seed).batch(batch).map(augment)


def train(features, images, labels, epochs, seed, learned=False, batch=16, verbose=0):
    """Return a classifier on a backbone, trained on some images."""
    head = heads.ClassificationHead(int(labels.max()) + 1, name="head")
    model, data = heads.attach(features, head), batches(images, labels, batch, seed)
    optimizer, callbacks = tuning.adamw(epochs * len(data), peak=5e-3), []
    if learned:  # the head first, then all of it, what is general by smaller steps
        optimizer = tuning.layerwise_decay(optimizer, model, decay=0.7)
        callbacks = [tuning.GradualUnfreezing({0: "P2", epochs // 3: None})]
    model.compile(optimizer, loss=head.loss())
    model.fit(data, epochs=epochs, shuffle=False, verbose=verbose, callbacks=callbacks)
    return model


def few(labels, count, seed):
    """Return the places of `count` images of each class."""
    rng = np.random.default_rng(seed)
    places = [rng.permutation(np.flatnonzero(labels == k)) for k in range(labels.max() + 1)]
    return np.concatenate([place[:count] for place in places])


def main(args):
    began, out = time.time(), Path(args.out or f"runs/transfer_{Path(args.data).name}")
    if args.first == "letters":
        first_images, first_labels, first_names = letters.load()
    else:
        (first_images, first_labels), _, _, first_names = load(args.first, args.side, args.limit)
    (images, labels), _, (test_images, test_labels), names = load(args.data, args.side, args.limit)
    if first_images.shape[1:] != images.shape[1:]:
        raise SystemExit(
            f"Both data sets need images of one shape. Received: {first_images.shape[1:]} of "
            f"--first {args.first} and {images.shape[1:]} of --data {args.data}."
        )
    print(f"First {len(first_labels)} images of {args.first}, {len(first_names)} classes")
    keras.utils.set_random_seed(0)
    features = backbone(first_images)
    train(features, first_images, first_labels, args.first_epochs, seed=0, batch=64, verbose=2)
    out.mkdir(parents=True, exist_ok=True)
    features.save(out / "backbone.keras")

    print(f"Then {args.labels} labels of each of {len(names)} classes of {args.data}")
    found = {"from scratch": [], "pretrained": []}
    for seed in range(args.seeds):
        places = few(labels, args.labels, seed)
        for way, scores in found.items():
            keras.utils.set_random_seed(seed)
            learned = way == "pretrained"
            made = keras.saving.load_model(out / "backbone.keras") if learned else backbone(images)
            model = train(made, images[places], labels[places], args.epochs, seed, learned)
            guesses = model.predict(test_images, verbose=0).argmax(-1)
            scores.append(float(np.mean(guesses == test_labels)))
        print(f"seed {seed}: " + ", ".join(f"{way} {x[-1]:.4f}" for way, x in found.items()))
    heads.deploy(model).save(out / "model.keras")

    for way, scores in found.items():
        low, mean, high = min(scores), statistics.mean(scores), max(scores)
        print(f"{way}: mean {mean:.4f}, {low:.4f} to {high:.4f}")
    gain = statistics.mean(b - a for a, b in zip(*found.values()))
    print(f"Gain {gain:+.4f} on {len(test_labels)} test images ({time.time() - began:.0f} s)")
    print(f"Files: {out}/backbone.keras, {out}/model.keras (pretrained, last seed)")
    print("Next: --labels 20, or your own images: --first cifar10 --data FOLDER --side 32")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in {"first": "letters", "data": "digits", "out": None}.items():
        parser.add_argument(f"--{name}", default=default)
    numbers = {"side": 32, "limit": None, "labels": 5, "seeds": 3}
    numbers |= {"first-epochs": 12, "epochs": 60}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    main(parser.parse_args())
