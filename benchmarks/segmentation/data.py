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
        crop: `(height, width)` of the parts.
        turns: Whether quarter turns and vertical mirrors change nothing.
        repeats: How often an epoch sees an image.
    """

    def __init__(self, images, masks, batch, crop, *, turns=False, repeats=1, seed=0):
        super().__init__()
        self.images, self.masks, self.batch, self.crop = images, masks, batch, crop
        self.turns, self.repeats, self.seed = turns, repeats, seed
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
        top, left = (
            self.rng.integers(0, whole - part + 1) for whole, part in zip(mask.shape, self.crop)
        )
        window = slice(top, top + self.crop[0]), slice(left, left + self.crop[1])
        image, mask = image[window].astype("float32"), mask[window].astype("int32")
        if self.turns:
            turns = int(self.rng.integers(4))
            image, mask = np.rot90(image, turns), np.rot90(mask, turns)
        if self.rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        scale, shift = 1 + self.rng.uniform(-0.2, 0.2), self.rng.uniform(-20, 20)
        return np.clip((image - 128) * scale + 128 + shift, 0, 255), mask
