"""How well the edges of masks agree."""

import keras
from keras import ops

from blocks.base import check_positive, register
from heads.segmentation.masks import MaskTargets, one_an_image


def edges(masks, known, width=3):
    """Return the positions of masks, zeros to ones, next to one of the background.

    Args:
        masks: Tensor `(batch, *sides, classes)`.
        known: Tensor `(batch, *sides, 1)`, zero where a position does not count.
        width: Side of the window in which the background is looked for.
    """
    background = (1 - masks) * known
    return (widened(background, width) - background) * known


def widened(masks, width):
    """Return the maximum of masks in a window around every position."""
    return ops.max_pool(masks, width, strides=1, padding="same")


@register
class BoundaryF1(keras.Metric):
    """F1 of the edges of a class, averaged over the images that have any, then over the classes.

    An edge is right where the other mask has one at most `tolerance` positions away, along
    either side. Positions of the ignored label have no edges, and make none beside them. In a
    binary mask the foreground alone counts.

    Shape: class ids `(batch, height, width)`; logits `(batch, height, width, num_classes)`.

    Args:
        num_classes: Number of classes; 1 is a binary mask.
        ignore_label: The id of positions that do not count, or `None`.
        maps: Number of maps side by side in the logits of a training; the first counts.
        tolerance: Distance in positions at which edges still agree.
        name: Name in the logs.
        dtype: As in every `keras.Metric`.

    Reference: [Csurka et al., 2013](https://projet.liris.cnrs.fr/imagine/pub/proceedings/BMVC-2013/Papers/paper0032/index.html)

    >>> metric = BoundaryF1(1)
    >>> mask = np.zeros((1, 8, 8)); mask[:, 2:6, 2:6] = 1
    >>> metric.update_state(mask, 8 * mask[..., None] - 4)
    >>> float(metric.result())
    1.0
    """

    def __init__(
        self, num_classes, ignore_label=None, *, maps=1, tolerance=2, name="boundary_f1", dtype=None
    ):
        super().__init__(name=name, dtype=dtype)
        check_positive(tolerance=tolerance)
        self._direction = "up"
        self.targets = MaskTargets(num_classes, ignore_label, maps)
        self.tolerance = tolerance
        self.total = self.add_variable((num_classes,), "zeros", name="total")
        self.images = self.add_variable((num_classes,), "zeros", name="images")

    def update_state(self, y_true, y_pred, sample_weight=None):
        logits = self.targets.split(ops.convert_to_tensor(y_pred, dtype=self.dtype))[0]
        ids = self.targets.ids(ops.cast(y_true, self.dtype), logits)
        known, _ = self.targets.known(ids)
        predicted = self.targets.predicted(logits)
        shown = ops.cast(known, self.dtype)[..., None]
        true, guess = (
            edges(self.targets.dense(x, known, self.dtype), shown) for x in (ids, predicted)
        )
        f1, seen = agreement(true, guess, 2 * self.tolerance + 1)
        if sample_weight is not None:
            seen = seen * ops.cast(one_an_image(sample_weight), self.dtype)[:, None]
        self.total.assign_add(ops.sum(f1 * seen, axis=0))
        self.images.assign_add(ops.sum(seen, axis=0))

    def per_class(self):
        """Return the score of every class, 0 where no image has edges of it."""
        return ops.divide_no_nan(self.total, self.images)

    def result(self):
        seen = ops.cast(ops.convert_to_tensor(self.images) > 0, self.dtype)
        return ops.divide_no_nan(ops.sum(self.per_class()), ops.sum(seen))

    def get_config(self):
        return {
            "name": self.name,
            "dtype": self.dtype,
            **self.targets._asdict(),
            "tolerance": self.tolerance,
        }


def agreement(true, guess, window):
    """Return F1 of two maps of edges, and whether there are any: `(batch, classes)` each."""
    axes = tuple(range(1, len(true.shape) - 1))
    near_true, near_guess = widened(true, window), widened(guess, window)
    count_true, count_guess = ops.sum(true, axis=axes), ops.sum(guess, axis=axes)
    precision = ops.divide_no_nan(ops.sum(guess * near_true, axis=axes), count_guess)
    recall = ops.divide_no_nan(ops.sum(true * near_guess, axis=axes), count_true)
    f1 = ops.divide_no_nan(2 * precision * recall, precision + recall)
    return f1, ops.cast(count_true + count_guess > 0, f1.dtype)
