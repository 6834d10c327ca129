"""Data sets of image files with boxes."""

import warnings
from pathlib import Path

import numpy as np

from blocks.base import check_positive
from heads import pixels
from heads.detection import formats
from heads.detection.pack import BEYOND, pack_boxes


class DetectionFiles:
    """Images and their boxes, read from the files of COCO, Pascal VOC or YOLO.

    Make one by `DetectionFiles.coco`, `.voc` or `.yolo`. What is wrong is said with the file and
    the line, annotation or object: a missing image, a box outside of it, of no size, of an unknown
    class, words that are no box. With `skip` it is left out, with a warning, and listed in
    `skipped`. Images without boxes stay, and so do boxes that VOC marks as difficult. Images are
    turned as their EXIF says. The ids of classes come of one file's names: give `names` of the
    training data to all other.

    Attributes:
        names: Names of the classes, in the order of their ids.
        paths: Paths of the images.
        sides: Height and width of every image, in pixels.
        boxes: For each image float32 `(boxes, 4)`, left, top, right and bottom in its pixels.
        labels: For each image the ids of the classes of its boxes.
        crowd: For each image whether its boxes mark crowds, for `heads.coco_scores`.
        area: For each image the areas of its objects; of the boxes where the file says none.
        skipped: What was left out, and why, a line each.
    """

    def __init__(self, names, images, *, skip=False):
        self.names, self.skipped = list(names.values() if isinstance(names, dict) else names), []
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"Classes have names of their own. Received: {self.names}.")
        self.paths, self.sides, self.boxes, self.labels = [], [], [], []
        self.crowd, self.area = [], []
        ids = {name: i for i, name in enumerate(self.names)}
        for path, notes in images:
            sides = self._sides(path)
            kept = [] if sides is None else [self._row(note, sides, ids) for note in notes]
            if sides is None and path is None:
                self.skipped += [f"{x.place}: There must be {x.problem}" for x in notes]
            if sides is None:
                continue
            kept = [row for row in kept if row is not None]
            boxes = np.array([row[0] for row in kept], "float32").reshape(-1, 4)
            self.paths.append(path)
            self.sides.append(sides)
            self.boxes.append(boxes)
            self.labels.append(np.array([row[1] for row in kept], "int64"))
            self.crowd.append(np.array([row[2] for row in kept], bool))
            self.area.append(np.array([row[3] for row in kept], "float64"))
        if self.skipped and not skip:
            more = f" And {len(self.skipped) - 1} more." if len(self.skipped) > 1 else ""
            raise ValueError(f"{self.skipped[0]} skip=True leaves such things out.{more}")
        if not self.paths:
            raise ValueError(
                f"There must be images. Received: {len(self.skipped)} that are wrong."
                + "".join(f" {text}" for text in self.skipped[:1])
            )
        if self.skipped:
            text = f"{len(self.skipped)} things were skipped, see `skipped`: {self.skipped[0]}"
            warnings.warn(text, stacklevel=3)

    @classmethod
    def coco(cls, path, images, *, names=None, skip=False):
        """Read a COCO JSON file; classes in the order of their ids there, or those of `names`."""
        own, found = formats.coco(path, images)
        return cls(own if names is None else names, found, skip=skip)

    @classmethod
    def voc(cls, annotations, images, *, names=None, skip=False):
        """Read a folder of VOC's XML files; classes in the order of their names, or of `names`."""
        own, found = formats.voc(_folder(annotations), _folder(images))
        return cls(own if names is None else names, found, skip=skip)

    @classmethod
    def yolo(cls, labels, images, names, *, skip=False):
        """Read a folder of YOLO's text files, whose class numbers are places in `names`."""
        names = list(names.values() if isinstance(names, dict) else names)
        found = formats.yolo(_folder(labels), _folder(images))
        for _, notes in found:
            for note in notes:
                number = note.kind
                if isinstance(number, int) and 0 <= number < len(names):
                    note.kind = names[number]
        return cls(names, found, skip=skip)

    def __len__(self):
        return len(self.paths)

    def image(self, index, size=None):
        """Return an image, uint8 `(height, width, 3)`, resized to `(height, width)` if given."""
        return pixels.read(self.paths[index], size)

    def targets(self, size, max_boxes=None, keep_largest=False):
        """Return the boxes as targets for images of `(height, width)`, as `pack_boxes` does.

        Crowds are left out: nothing is learned of them.
        """
        pixels.check_size(size)
        single = [~crowd for crowd in self.crowd]
        scaled = [
            boxes[kept] * np.array([size[1] / width, size[0] / height] * 2, "float32")
            for boxes, kept, (height, width) in zip(self.boxes, single, self.sides)
        ]
        labels = [ids[kept] for ids, kept in zip(self.labels, single)]
        most = max(map(len, scaled)) if max_boxes is None else max_boxes
        options = {"max_boxes": max(1, most), "keep_largest": keep_largest}
        return pack_boxes(scaled, labels, **options)

    def dataset(
        self, size, batch_size=8, *, max_boxes=None, keep_largest=False, shuffle=False, seed=None
    ):
        """Return a `tf.data.Dataset` of batches of images and targets that reads files each time.

        Args:
            size: `(height, width)` to which the images are resized, their targets as `targets`
                gives them.
            batch_size: Number of images in a batch.
            max_boxes: Rows of the targets; by default as many as an image has at most.
            keep_largest: Whether of more boxes the largest are kept. If not, they are an error.
            shuffle: Whether the order is another in every epoch.
            seed: Seed of the order.
        """
        import tensorflow as tf

        check_positive(batch_size=batch_size)
        targets = tf.constant(self.targets(size, max_boxes, keep_largest))

        def read(index):
            x = tf.numpy_function(lambda i: self.image(int(i), size), [index], "uint8")
            return tf.ensure_shape(x, (*size, 3)), targets[index]

        order = tf.data.Dataset.range(len(self))
        order = order.shuffle(len(self), seed=seed) if shuffle else order
        return order.map(read, tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)

    def _sides(self, path):
        """Return an image's height and width; `None`, and a line in `skipped`, if it is none."""
        if path is None:
            return None
        try:
            return pixels.sides(path)
        except FileNotFoundError:
            self.skipped.append(f"{path}: Each image must be there. Received: no such file.")
        except ValueError as error:
            self.skipped.append(str(error))
        return None

    def _row(self, note, sides, ids):
        """Return box, class, crowd and area of a note; `None`, and a line, if it is wrong."""
        height, width = sides
        problem = note.problem and f"There must be {note.problem}"
        if not problem:
            corners = np.array(note.corners) * ((width, height) * 2 if note.relative else 1)
            problem = _wrong(corners, note, sides, ids)
        if problem:
            self.skipped.append(f"{note.place}: {problem}")
            return None
        box = np.clip(corners, 0, [width, height] * 2)
        area = np.prod(box[2:] - box[:2]) if note.area is None else note.area
        return box, ids[note.kind], note.crowd, area


def _wrong(corners, note, sides, ids):
    """Return what is wrong with a box, or `None`."""
    height, width = sides
    shown = np.round(corners, 1).tolist()
    if not np.isfinite(corners).all():
        return f"A box has finite corners. Received: {shown}."
    if (corners[2:] <= corners[:2]).any():
        return f"A box must be wider and higher than 0. Received: {shown}."
    whole = np.array([width, height] * 2)
    cut = np.clip(corners, 0, whole).astype("float32")  # as they are kept
    beyond = (corners < -BEYOND).any() or (corners > whole + BEYOND).any()
    if not beyond and (cut[2:] <= cut[:2]).any() and (cut[:2] < whole[:2]).all():
        return f"A box must be wider and higher than 0. Received: {np.array(corners).tolist()}."
    if beyond or (cut[2:] <= cut[:2]).any():
        return f"A box must lie in its image, {width} x {height}. Received: {shown}."
    if note.kind not in ids:
        return f"The class must be one of {', '.join(map(str, ids))}. Received: {note.kind!r}."
    return None


def _folder(path):
    if not Path(path).is_dir():
        raise ValueError(f"A folder is needed. Received: {str(path)!r}.")
    return path
