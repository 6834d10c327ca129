"""CamVid by its split, ISBI 2012 by folds, and their training batches."""

import keras
import numpy as np

from benchmarks.data import load

VOID = 11  # CamVid's, which does not count
FOLDS = 5


def streets():
    """Return `{split: (images, masks)}` and the names of the 11 classes."""
    found = load("camvid")
    parts = {"train": "train", "valid": "val", "test": "test"}
    splits = {key: (found[f"x_{part}"], found[f"y_{part}"]) for key, part in parts.items()}
    return splits, [str(name) for name in found["class_names"][:VOID]]


def membranes(fold):
    """Return the training and the test slices of a fold; 1 is membrane.

    The folds are contiguous, because slices beside each other are alike.
    """
    found = load("isbi2012_membrane")
    images, masks = found["images"][..., None], 1 - found["masks"]
    order = np.arange(len(images))
    test = order // (len(images) // FOLDS) == fold
    return {"train": (images[~test], masks[~test]), "test": (images[test], masks[test])}


class Batches(keras.utils.PyDataset):
    """Shuffled batches: parts of images, mirrored, of changed brightness and contrast.

    The chances of an epoch come of its number, which `draw` is told, so that a training that was
    stopped goes on alike.

    Args:
        images, masks: What is drawn from.
        batch: Number of images at a time.
        size: `(height, width)` of what is given.
        zoom: Least and most sides of what is cut out and resized, as shares of `size`.
        turns: Whether quarter turns and vertical mirrors change nothing.
        repeats: How often an epoch sees an image.
    """

    def __init__(self, images, masks, batch, size, zoom, *, turns=False, repeats=1, seed=0):
        super().__init__()
        self.images, self.masks, self.batch = images, masks, batch
        self.size, self.zoom, self.turns = size, zoom, turns
        self.repeats, self.seed = repeats, seed
        self.draw(0)

    def draw(self, epoch):
        self.rng = np.random.default_rng([self.seed, epoch])
        places = np.tile(np.arange(len(self.images)), self.repeats)
        self.order = self.rng.permutation(places)

    def __len__(self):
        return len(self.order) // self.batch

    def __getitem__(self, i):
        places = self.order[i * self.batch : (i + 1) * self.batch]
        pairs = [self.one(self.images[place], self.masks[place]) for place in places]
        return tuple(np.stack(x) for x in zip(*pairs))

    def one(self, image, mask):
        scale = self.rng.uniform(*self.zoom)
        sides = [min(round(scale * x), whole) for x, whole in zip(self.size, mask.shape)]
        top, left = (self.rng.integers(0, x - y + 1) for x, y in zip(mask.shape, sides))
        window = slice(top, top + sides[0]), slice(left, left + sides[1])
        image, mask = image[window].astype("float32"), mask[window].astype("int32")
        for axis, side in enumerate(self.size):
            image, mask = resized(image, mask, axis, side)
        if self.turns:
            turns = int(self.rng.integers(4))
            image, mask = np.rot90(image, turns), np.rot90(mask, turns)
        if self.rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        scale, shift = 1 + self.rng.uniform(-0.2, 0.2), self.rng.uniform(-20, 20)
        return np.clip((image - 128) * scale + 128 + shift, 0, 255), mask


def resized(image, mask, axis, side):
    """Return an image and its mask with another length of one axis, by linear interpolation."""
    old = mask.shape[axis]
    if old == side:
        return image, mask
    places = np.clip((np.arange(side) + 0.5) * old / side - 0.5, 0, old - 1)
    low = np.minimum(places.astype(int), old - 2)
    share = np.expand_dims(places - low, [x for x in range(image.ndim) if x != axis])
    parts = [np.take(image, x, axis) for x in (low, low + 1)]
    image = parts[0] * (1 - share) + parts[1] * share
    return image.astype("float32"), np.take(mask, np.round(places).astype(int), axis)
