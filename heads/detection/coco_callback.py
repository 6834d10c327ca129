"""Average precision while a detector trains."""

import functools

import keras
import numpy as np
from keras import tree

from blocks.base import check_positive
from heads.detection.average_precision import coco_scores, required
from heads.detection.base import BoxHead, boxes_of
from heads.detection.pack import NOTHING
from heads.graph import heads_of
from heads.targets import as_arrays, batches_of


class CocoScores(keras.callbacks.Callback):
    """Put COCO's average precision on other images into the logs.

    The logs get `"val_map"`, `"val_map50"` and `"val_map75"`. Callbacks after it see them, if
    they are told the direction: `EarlyStopping("val_map", mode="max")`. In epochs between two
    looks they hold what the last one found.

    Targets know of no crowds, so COCO's own figure needs `heads.coco_scores(…, crowd=…)`.

    Args:
        data: `(images, targets)`, the targets as `heads.pack_boxes` makes them, or a dataset of
            such batches, in the same order each time.
        every: Epochs from one look to the next; the first is after so many.
        score: Least score of a box that counts.
        max_detections: Boxes an image; 100 in COCO.
        name: What comes before `_map` in the logs.
        **options: Further options of the head's decoder, such as `iou`.

    Raises:
        ValueError: If the model has not one head that answers with boxes, or `data` no box.
        ImportError: If pycocotools is not installed.

    >>> callback = CocoScores((np.zeros((2, 64, 64, 3)), np.zeros((2, 5, 5))), every=5)
    """

    def __init__(self, data, *, every=1, score=0.01, max_detections=100, name="val", **options):
        super().__init__()
        check_positive(every=every)
        self.data, self.every, self.name, self.found = data, every, name, {}
        self.options = {"score": score, "max_detections": max_detections, **options}

    def on_train_begin(self, logs=None):
        required()
        self.answers, self.found = boxes_of(self.model, **self.options), {}
        targets = (self.boxes(y) for _, y, *_ in batches_of(self.data))
        if not any(np.any(y[..., 4] != NOTHING) for y in targets):
            raise ValueError("`data` must have a box to find. Received: targets without any.")

    def boxes(self, targets):
        """Return the targets of boxes, of several heads' by its name."""
        if isinstance(targets, dict):
            names = [k for k, head in heads_of(self.model).items() if isinstance(head, BoxHead)]
            targets = targets[names[0]]
        return np.asarray(as_arrays(targets))

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0:
            answers, targets = self.answered()
            scores = coco_scores(answers, targets)
            self.found = {f"{self.name}_{key}": scores[key] for key in ("map", "map50", "map75")}
        if logs is not None:
            logs |= self.found

    def answered(self):
        """Return the model's answers, a dict, and the targets."""
        whole = isinstance(self.data, tuple)
        predict = self.answers.predict_on_batch
        if whole:
            predict = functools.partial(self.answers.predict, verbose=0)
        rows = [(predict(x), self.boxes(y)) for x, y, *_ in batches_of(self.data)]
        return tree.map_structure(lambda *parts: np.concatenate(parts), *rows)
