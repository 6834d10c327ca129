"""Images with labels: bundled, downloaded, or from a folder with one subfolder a class."""

from pathlib import Path

import keras
import numpy as np
from sklearn.model_selection import train_test_split

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FASHION = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag"]
CLASSES = {"cifar10": CIFAR10, "fashion_mnist": [*FASHION, "boot"]}


def load(source, side=64, limit=None, seed=0):
    """Return `(train, validation, test, names)`, each split a pair of images and labels.

    Args:
        source: `"digits"`, `"cifar10"`, `"fashion_mnist"`, or the path of a folder.
        side: Side to which the images of a folder are brought, in pixels.
        limit: Number of images to keep at most, drawn by class; all by default.
        seed: Seed of the stratified splits: 60 % train, 20 % validation, 20 % test, where the
            data set brings no test split of its own.
    """
    if source == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        images, labels, names = digits.images[..., None], digits.target, list("0123456789")
    elif source in CLASSES:
        return _downloaded(source, limit, seed)
    else:
        images, labels, names = read_folder(source, side)
    images, labels = _some(images.astype("float32"), labels, limit, seed)
    rest, test = _split(images, labels, 0.2, seed)
    train, val = _split(*rest, 0.25, seed)
    return train, val, test, names


def _downloaded(source, limit, seed):
    try:
        (images, labels), (test_images, test_labels) = getattr(keras.datasets, source).load_data()
    except Exception as error:  # Keras raises whatever the network gave
        raise SystemExit(
            f"The download of {source} failed: {error}\nGo on with `--data digits`, with a folder "
            "of your own images, or put the file where Keras looks for it, ~/.keras/datasets."
        ) from error
    images, test_images = (
        x.reshape(len(x), *x.shape[1:3], -1).astype("float32") for x in (images, test_images)
    )
    images, labels = _some(images, labels.ravel(), limit, seed)
    train, val = _split(images, labels, 0.1, seed)
    return train, val, (test_images, test_labels.ravel()), CLASSES[source]


def _split(images, labels, share, seed):
    parts = train_test_split(images, labels, test_size=share, stratify=labels, random_state=seed)
    return (parts[0], parts[2]), (parts[1], parts[3])


def _some(images, labels, limit, seed):
    if limit is None or limit >= len(images):
        return images, labels
    least = 5 * len(np.unique(labels))
    if limit < least:
        raise SystemExit(f"--limit must leave five images a class, {least}. Received: {limit}.")
    return _split(images, labels, limit / len(images), seed)[1]


def read_folder(folder, side):
    """Return images, labels and class names of a folder with one subfolder a class.

    What cannot be read is named, left out and counted. Fewer than two classes, or fewer than
    five images of one, end the program with a message.
    """
    from PIL import Image

    root = Path(folder)
    if not root.is_dir():
        raise SystemExit(
            f"--data must be digits, cifar10, fashion_mnist or a folder. Received: {folder!r}."
        )
    images, labels, skipped, names = [], [], [], []
    for place in sorted(path for path in root.iterdir() if path.is_dir()):
        before = len(images)
        for path in sorted(place.iterdir()):
            if path.name.startswith("."):
                continue
            try:
                with Image.open(path) as image:
                    images.append(np.asarray(image.convert("RGB").resize((side, side))))
                labels.append(len(names))
            except (OSError, ValueError) as error:
                skipped.append(path)
                print(f"skipped {path}: {str(error).splitlines()[0]}")
        if len(images) > before:
            names.append(place.name)
            if len(images) - before < 5:
                raise SystemExit(
                    "Every class needs at least 5 readable images, to be in all splits. "
                    f"Received: {len(images) - before} in {place}."
                )
    print(f"{len(images)} images of {len(names)} classes in {root}, {len(skipped)} skipped")
    if len(names) < 2:
        raise SystemExit(
            "A folder needs at least two subfolders with images, one for each class. "
            f"Received: {names or 'none'} in {root}."
        )
    return np.stack(images), np.array(labels), names
