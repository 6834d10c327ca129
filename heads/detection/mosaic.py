"""Four images in one, for training."""

import numpy as np

from heads.base import are_numbers
from heads.detection.pack import NOTHING

CENTER = (0.3, 0.7)  # where four images meet, in shares of a side
QUARTERS = ((True, True), (True, False), (False, True), (False, False))  # upper, left


class Mosaic:
    """Make every image of a batch of parts of four of them, with their boxes.

    The four meet at a place of chance; what lies beyond is cut away, and so are boxes of which too
    little is left. Sizes of things stay as they are: `keras.layers.RandomZoom` before it changes
    them.

    Shape: images `(batch, height, width, channels)` and targets `(batch, max_boxes, 5)`, as
    `heads.pack_boxes` makes them, to the same; in NumPy, or in `tf.data.Dataset.map` behind
    `batch`: `data.map(Mosaic(seed=1))`.

    Args:
        share: Share of the images that are changed.
        visible: Share of a box's area that must be left of it.
        seed: Of the chances.

    Reference: [Bochkovskiy et al., 2020](https://arxiv.org/abs/2004.10934)

    >>> images, targets = np.zeros((4, 32, 32, 3)), np.full((4, 2, 5), -1.0)
    >>> [x.shape for x in Mosaic(seed=1)(images, targets)]
    [(4, 32, 32, 3), (4, 2, 5)]
    """

    def __init__(self, share=1.0, visible=0.3, seed=None):
        for name, value in {"share": share, "visible": visible}.items():
            if not are_numbers(value, ()) or not 0 <= value <= 1:
                raise ValueError(f"`{name}` must lie in [0, 1]. Received: {name}={value!r}.")
        self.share, self.visible = share, visible
        self.rng = np.random.default_rng(seed)

    def __call__(self, images, targets):
        if type(images).__module__.startswith("tensorflow"):
            return self._of_tensors(images, targets)
        images, targets = np.asarray(images), np.asarray(targets)
        if images.ndim != 4 or targets.ndim != 3 or len(images) != len(targets):
            raise ValueError(
                "Mosaic takes a batch of images (batch, height, width, channels) and their targets "
                f"(batch, max_boxes, 5). Received: shapes {images.shape} and {targets.shape}."
            )
        made = [self._one(images, targets, i) for i in range(len(images))]
        return tuple(np.stack(x) for x in zip(*made))

    def _one(self, images, targets, i):
        if self.rng.random() >= self.share:
            return images[i], targets[i]
        height, width = images.shape[1:3]
        y, x = (round(side * self.rng.uniform(*CENTER)) for side in (height, width))
        picture, rows = np.empty_like(images[i]), []
        others = self.rng.integers(0, len(images), 3)
        for j, (top, left) in zip([i, *others], QUARTERS):
            # A quarter shows its image from the side that is away from the middle of the four.
            moved = (y - height if top else y, x - width if left else x)
            window = (0 if top else y, 0 if left else x, y if top else height, x if left else width)
            rows.append(self._quarter(picture, images[j], targets[j], moved, window))
        return picture, packed(np.concatenate(rows), targets.shape[1], targets.dtype)

    def _quarter(self, picture, image, rows, moved, window):
        """Copy an image, moved by `(y, x)`, into a window of a picture; return its boxes there."""
        top, left, bottom, right = window
        y, x = moved
        picture[top:bottom, left:right] = image[top - y : bottom - y, left - x : right - x]
        rows = rows[rows[:, 4] != NOTHING].astype("float64")
        rows[:, :4] += [x, y, x, y]
        cut = np.clip(rows[:, :4], [left, top] * 2, [right, bottom] * 2)
        areas = [(b[:, 2:4] - b[:, :2]).clip(0).prod(-1) for b in (cut, rows)]
        return np.concatenate([cut, rows[:, 4:]], -1)[
            (areas[0] > 0) & (areas[0] >= self.visible * areas[1])
        ]

    def _of_tensors(self, images, targets):
        import tensorflow as tf

        made = tf.numpy_function(self, [images, targets], [images.dtype, targets.dtype])
        return tuple(tf.ensure_shape(x, of.shape) for x, of in zip(made, (images, targets)))


def packed(rows, count, dtype):
    """Return the largest boxes as packed targets of `count` rows."""
    order = np.argsort(-(rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1]))[:count]
    out = np.zeros((count, 5), dtype)
    out[:, 4] = NOTHING
    out[: len(order)] = rows[order]
    return out
