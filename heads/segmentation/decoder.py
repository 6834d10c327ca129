"""From logits to a class for every position."""

from keras import layers, ops

from blocks.base import register
from heads.base import are_numbers
from heads.segmentation.masks import MaskTargets
from heads.values import largest


@register
class MaskDecoder(layers.Layer):
    """The class of every position, and where asked for the probability of each.

    Shape: `(batch, *sides, num_classes)` to int32 `(batch, *sides)`; or to a dict of those,
    `"classes"`, and of `"probabilities"`, `(batch, *sides, num_classes)`.

    Args:
        num_classes: Number of classes; 1 is a binary mask.
        probabilities: Whether to give the probabilities.
        threshold: Least probability that makes a position part of a binary mask; `None` is 0.5.

    Raises:
        ValueError: If `threshold` is no probability, or there are several classes.

    >>> MaskDecoder(3)(np.ones((1, 8, 8, 3))).shape
    (1, 8, 8)
    """

    def __init__(self, num_classes, *, probabilities=False, threshold=None, **kwargs):
        super().__init__(**kwargs)
        if threshold is not None and num_classes > 1:
            raise ValueError(
                "A threshold needs a binary mask, num_classes=1. "
                f"Received: threshold={threshold!r} for {num_classes} classes, of which the most "
                "probable one is the answer."
            )
        if threshold is not None and (not are_numbers(threshold, ()) or not 0 <= threshold <= 1):
            raise ValueError(
                f"`threshold` must be a probability. Received: threshold={threshold!r}."
            )
        self.targets = MaskTargets(num_classes)
        self.threshold = 0.5 if threshold is None else float(threshold)
        self.with_probabilities = probabilities

    def call(self, logits):
        shares = self.targets.probabilities(logits)
        if self.targets.num_classes == 1:
            classes = ops.cast(shares[..., 0] >= self.threshold, "int32")
        else:
            classes = largest(logits)
        return {"classes": classes, "probabilities": shares} if self.with_probabilities else classes
