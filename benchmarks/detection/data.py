"""BCCD by its official split, and its training batches."""

import keras
import numpy as np

from benchmarks.data import load
from heads import Mosaic, pack_boxes

SPLITS = ("train", "valid", "test")
SHIFT, SCALE = 20.0, 0.2  # of brightness and contrast


def read():
    """Return `{split: (images, targets)}` and the names of the classes."""
    found = load("bccd")
    owner, images = found["box_image"], found["images"]
    boxes = [found["boxes"][owner == i] for i in range(len(images))]
    labels = [found["box_labels"][owner == i] for i in range(len(images))]
    targets = pack_boxes(boxes, labels, max_boxes=max(map(len, boxes)))
    places = [found["split"] == i for i in range(len(SPLITS))]
    names = [str(name) for name in found["class_names"]]
    return {split: (images[x], targets[x]) for split, x in zip(SPLITS, places)}, names


class Batches(keras.utils.PyDataset):
    """Shuffled batches: mosaics, mirrored, of changed brightness and contrast.

    The chances of an epoch come of its number, which `draw` is told, so that a training that was
    stopped goes on alike.
    """

    def __init__(self, images, targets, batch, *, mosaic=0.5, seed=0):
        super().__init__()
        self.images, self.targets, self.batch = images, targets, batch
        self.mosaic, self.seed = mosaic, seed
        self.draw(0)

    def draw(self, epoch):
        self.rng = np.random.default_rng([self.seed, epoch])
        self.order = self.rng.permutation(len(self.images))
        self.four = Mosaic(self.mosaic, seed=int(self.rng.integers(2**31)))

    def __len__(self):
        return len(self.images) // self.batch

    def __getitem__(self, i):
        places = self.order[i * self.batch : (i + 1) * self.batch]
        images, targets = self.four(self.images[places].astype("float32"), self.targets[places])
        for j in range(len(images)):
            for axis in (0, 1):
                if self.rng.random() < 0.5:
                    images[j], targets[j] = mirrored(images[j], targets[j], axis)
            scale = 1 + self.rng.uniform(-SCALE, SCALE)
            shift = self.rng.uniform(-SHIFT, SHIFT)
            images[j] = np.clip((images[j] - 128) * scale + 128 + shift, 0, 255)
        return images, targets


def mirrored(image, rows, axis):
    """Return an image and its boxes upside down (axis 0), or left to right (axis 1)."""
    low, high = (1, 3) if axis == 0 else (0, 2)
    real, rows = rows[:, 4] >= 0, rows.copy()
    rows[real, low], rows[real, high] = (image.shape[axis] - rows[real, x] for x in (high, low))
    return np.flip(image, axis), rows
