"""CIFAR-10 under `KERAS_BLOCKS_DATA`, split for choices, and its augmented batches."""

from pathlib import Path

import keras
import numpy as np

from benchmarks.data import load
from export.files import aside

VALIDATION = 5000
SPLIT_SEED = 0
BORDER = 4
GREY = np.uint8(126)  # what the network sees as 0


def read(cache="runs/cifar10.npz"):
    """Return the arrays of the data set; the decoded images are kept in `cache`."""
    cache = Path(cache)
    if not cache.exists():
        with aside(cache) as (part,), open(part, "wb") as file:
            np.savez(file, **load("cifar10"))
    with np.load(cache) as arrays:
        return {name: arrays[name] for name in arrays.files}


def split(arrays, validation=VALIDATION):
    """Return `(images, labels)` of training and of validation, both of the training split."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(arrays["train"]))
    labels = arrays["train_labels"].astype("int32")
    return [
        (arrays["train"][part], labels[part]) for part in (order[validation:], order[:validation])
    ]


def test_split(arrays):
    """Return `(images, labels)` of the test split, for the last figure of a model."""
    return arrays["test"], arrays["test_labels"].astype("int32")


class Batches(keras.utils.PyDataset):
    """Shuffled batches of an epoch: crops out of a reflected border, half of them mirrored.

    With `cut`, a square of that side is grey in every image, as far as it lies inside.

    Everything random follows from the seed, the epoch and the batch, so that an epoch is the same
    whenever it is trained. What is left over when the images are divided is not used.
    """

    def __init__(self, images, labels, *, seed, epoch, batch=128, cut=0):
        super().__init__()
        self.images, self.labels, self.key, self.batch = images, labels, (seed, epoch), batch
        self.cut = cut
        self.order = np.random.default_rng(self.key).permutation(len(images))

    def __len__(self):
        return len(self.images) // self.batch

    def __getitem__(self, index):
        rows = self.order[index * self.batch : (index + 1) * self.batch]
        rng = np.random.default_rng((*self.key, index))
        images = crops(self.images[rows], rng)
        return (without(images, self.cut, rng) if self.cut else images), self.labels[rows]


def crops(images, rng):
    """Return images moved by up to `BORDER` pixels, and mirrored or not."""
    count, side = images.shape[:2]
    border = (BORDER, BORDER)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)), mode="reflect")
    top, left = rng.integers(0, 2 * BORDER + 1, (2, count, 1))
    mirrored = rng.random((count, 1)) < 0.5
    places = np.arange(side)
    rows, columns = top + places, left + np.where(mirrored, places[::-1], places)
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def without(images, side, rng):
    """Return images with a grey square each, whose middle is anywhere in the image."""
    places = np.arange(images.shape[1])
    middles = rng.integers(0, len(places), (2, len(images), 1))
    first = middles - side // 2
    rows, columns = (places >= first) & (places < first + side)
    return np.where((rows[:, :, None] & columns[:, None])[..., None], GREY, images)
