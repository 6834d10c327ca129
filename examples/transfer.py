"""A network that has seen other classes learns new ones from a few labels.

python -m examples.transfer                         scikit-learn's digits, about two minutes
python -m examples.transfer --data cifar10          or fashion_mnist (downloaded by Keras)
python -m examples.transfer --data my/images        a folder with one subfolder a class

The first half of the classes trains a backbone. Of each class of the second half, --labels images
train a head and, stage by stage, that backbone; beside it, the same network from scratch. Both are
tested on all test images of the second half, with each of --seeds draws of labels.
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


def batches(images, labels, seed):
    """Return the images, shifted and turned a little anew in every epoch."""
    values = (float(images.min()), float(images.max()))
    augment = tuning.augmentation("none", shift=0.125, rotate=0.02, value_range=values, seed=seed)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    return dataset.shuffle(len(labels), seed=seed).batch(16).map(augment)


def train(features, images, labels, epochs, seed, pretrained=False):
    """Return a classifier on a backbone, trained on some images."""
    head = heads.ClassificationHead(int(labels.max()) + 1, name="head")
    model, data = heads.attach(features, head), batches(images, labels, seed)
    optimizer, callbacks = tuning.adamw(epochs * len(data), peak=5e-3), []
    if pretrained:  # the head first, then all of it, what is general by smaller steps
        optimizer = tuning.layerwise_decay(optimizer, model, decay=0.7)
        callbacks = [tuning.GradualUnfreezing({0: "P2", epochs // 3: None})]
    model.compile(optimizer, loss=head.loss())
    model.fit(data, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
    return model


def few(labels, count, seed):
    """Return the places of `count` images of each class."""
    rng = np.random.default_rng(seed)
    places = [rng.permutation(np.flatnonzero(labels == k)) for k in range(labels.max() + 1)]
    return np.concatenate([place[:count] for place in places])


def main(args):
    began, out = time.time(), Path(args.out or f"runs/transfer_{Path(args.data).name}")
    out.mkdir(parents=True, exist_ok=True)
    (images, labels), _, test, names = load(args.data, args.side, args.limit)
    half = len(names) // 2
    if half < 2:
        raise SystemExit(f"At least four classes are needed. Received: {', '.join(names)}.")
    known = labels < half
    print(f"first {sum(known)} images of {', '.join(names[:half])}")
    keras.utils.set_random_seed(0)
    features = backbone(images)
    train(features, images[known], labels[known], args.first_epochs, seed=0)
    features.save(out / "backbone.keras")

    new_images, new_labels = images[~known], labels[~known] - half
    new = test[1] >= half
    test_images, test_labels = test[0][new], test[1][new] - half
    print(f"then {args.labels} images each of {', '.join(names[half:])}; {sum(new)} to test")
    found = {"from scratch": [], "pretrained": []}
    for seed in range(args.seeds):
        places = few(new_labels, args.labels, seed)
        for way, scores in found.items():
            keras.utils.set_random_seed(seed)
            first = way == "pretrained"
            made = keras.saving.load_model(out / "backbone.keras") if first else backbone(images)
            model = train(made, new_images[places], new_labels[places], args.epochs, seed, first)
            guesses = model.predict(test_images, verbose=0).argmax(-1)
            scores.append(float(np.mean(guesses == test_labels)))
        print(f"seed {seed}: " + ", ".join(f"{way} {x[-1]:.4f}" for way, x in found.items()))
    heads.deploy(model).save(out / "model.keras")

    mean = {way: statistics.mean(scores) for way, scores in found.items()}
    spread = {way: f"{min(scores):.4f} to {max(scores):.4f}" for way, scores in found.items()}
    for way in found:
        print(f"{way}: {mean[way]:.4f} on average of {args.seeds} seeds, {spread[way]}")
    gain = mean["pretrained"] - mean["from scratch"]
    print(f"Gain: {gain:+.4f} of test accuracy ({time.time() - began:.0f} s)")
    print(f"Files: {out}/backbone.keras, {out}/model.keras")
    print("Next: --labels 20, or your own classes: python -m examples.transfer --data FOLDER")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="digits")
    parser.add_argument("--out")
    numbers = {"side": 64, "limit": None, "labels": 5, "seeds": 3}
    numbers |= {"first-epochs": 15, "epochs": 60}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    main(parser.parse_args())
