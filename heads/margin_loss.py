"""Losses that hold a class's own embeddings nearer than the decision needs."""

import math

import keras
from keras import ops

from blocks.base import check_above_zero, register
from heads.base import are_numbers
from heads.cross_entropy import CrossEntropy

MARGINS = {"arcface": 0.5, "cosface": 0.35}  # the papers' own


@register
class MarginLoss(keras.Loss):
    """Cross-entropy of scaled cosines, that of a row's own class made smaller by a margin.

    `"arcface"` adds the margin to the angle, `"cosface"` takes it from the cosine. Where the
    angle and its margin are more than half a turn, ArcFace goes on as its authors' code does,
    falling still: `cos(angle) - margin * sin(margin)`.

    Shape: class ids `(batch,)` or `(batch, 1)`; cosines times `scale`, `(batch, num_classes)`.

    Args:
        num_classes: Number of classes.
        kind: `"arcface"` or `"cosface"`.
        margin: In radians or, for `"cosface"`, a cosine; by default 0.5 and 0.35, as in the
            papers. With 0 both are the softmax of cosines.
        scale: Number by which the cosines are multiplied; 64 in the papers.
        name: Name of the loss.
        reduction: As in every `keras.Loss`.
        dtype: As in every `keras.Loss`.

    Raises:
        ValueError: If an argument is out of its range. Wrong targets are told as by
            `CrossEntropy`.

    Reference: [Deng et al., 2018](https://arxiv.org/abs/1801.07698) (ArcFace),
    [Wang et al., 2018](https://arxiv.org/abs/1801.09414) (CosFace)

    >>> cosines = 64 * np.array([[0.9, 0.5]])
    >>> round(float(MarginLoss(2, "cosface")(np.array([0]), cosines)), 4)
    0.0398
    """

    def __init__(
        self,
        num_classes,
        kind="arcface",
        *,
        margin=None,
        scale=64.0,
        name="margin_loss",
        reduction="sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if kind not in MARGINS:
            raise ValueError(f"The loss must be one of {[*MARGINS]}. Received: {kind!r}.")
        margin = MARGINS[kind] if margin is None else margin
        # Beyond a quarter of a turn ArcFace would fall no longer where it goes on.
        largest = math.pi / 2 if kind == "arcface" else 2
        if not are_numbers(margin, ()) or not 0 <= margin <= largest:
            raise ValueError(
                "`margin` must be an angle from 0 to pi / 2, or a cosine from 0 to 2 where the "
                f'loss is "cosface". Received: margin={margin!r}.'
            )
        check_above_zero(scale=scale)
        self.kind, self.margin, self.scale = kind, margin, scale
        self.cross_entropy = CrossEntropy(num_classes, dtype=dtype)

    def call(self, y_true, y_pred):
        own = self.cross_entropy.targets.dense(y_true, y_pred) > 0
        cosines = ops.clip(y_pred / self.scale, -1.0, 1.0)
        held = FORMULAS[self.kind](cosines, self.margin)
        return self.cross_entropy.call(y_true, ops.where(own, self.scale * held, y_pred))

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.cross_entropy.targets.num_classes,
            "kind": self.kind,
            "margin": self.margin,
            "scale": self.scale,
            "dtype": self.dtype,
        }


LEAST = 1e-6  # of a squared sine: the slope of its root stays finite, the cosine right to 0.0005


def arcface(cosines, margin):
    """Return the cosine of the angle widened by `margin`, falling still beyond half a turn."""
    # As a product: near 1 a squared cosine has lost what is left of the sine.
    sines = ops.sqrt(ops.maximum((1.0 - cosines) * (1.0 + cosines), LEAST))
    widened = cosines * math.cos(margin) - sines * math.sin(margin)
    beyond = cosines - margin * math.sin(margin)
    return ops.where(cosines > -math.cos(margin), widened, beyond)


def cosface(cosines, margin):
    """Return the cosine less `margin`."""
    return cosines - margin


FORMULAS = {"arcface": arcface, "cosface": cosface}
