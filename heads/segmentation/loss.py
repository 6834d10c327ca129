"""The loss of segmentation: one by its name, or several with weights."""

import keras
import numpy as np
from keras import ops

from blocks.base import check_positive, check_rate, register
from heads.base import are_numbers
from heads.segmentation.losses import LOSSES
from heads.segmentation.masks import MaskTargets, one_an_image
from heads.values import require


@register
class SegmentationLoss(keras.Loss):
    """A loss of class maps and logits, or a weighted sum of several.

    `"cross_entropy"` and `"focal"` are means over all positions that count. The others compare
    areas or edges, image by image, in the mean of the classes which an image has: `"dice"`,
    `"tversky"`, `"lovasz"` (softmax, or hinge in a binary mask) and `"boundary"`. An image without
    a class has none of these but the hinge, so they are best added to one of the first two.

    Positions of the ignored label give no loss and no gradient; where nothing counts the loss
    is 0. Weights of samples are one an image.

    Of several maps side by side, as deep supervision gives, each further one counts half as much
    as the one before.

    Shape: class ids `(batch, *sides)` or `(batch, *sides, 1)`; logits
    `(batch, *sides, num_classes)`, or `(batch, *sides, maps * num_classes)`.

    Args:
        parts: A name; or a dict from names to weights, `{"cross_entropy": 1.0, "dice": 0.5}`; or
            to dicts of a `"weight"` and options: `class_weights` (one for each class, of a binary
            mask that of its positions) and `label_smoothing` of `"cross_entropy"` and `"focal"`,
            `gamma` of `"focal"`, `alpha` (of false alarms) and `beta` (of misses) of `"tversky"`,
            `tolerance` of `"boundary"`.
        num_classes: Number of classes; 1 is a binary mask.
        ignore_label: The id of positions that do not count, or `None`.
        maps: Number of maps side by side in the logits of a training.
        name: Name of the loss.
        reduction: As in every `keras.Loss`.
        dtype: As in every `keras.Loss`.

    Raises:
        ValueError: If there is no such part, or targets or logits have another shape. Where a
            target is no class, a step of training stops with the rule and the value; under XLA
            on TensorFlow, which knows no such stop, the loss is NaN.

    Reference: [Milletari et al., 2016](https://arxiv.org/abs/1606.04797) (Dice);
        [Lin et al., 2017](https://arxiv.org/abs/1708.02002) (focal);
        [Salehi et al., 2017](https://arxiv.org/abs/1706.05721) (Tversky);
        [Berman et al., 2018](https://arxiv.org/abs/1705.08790) (Lovász);
        [Bokhovkin and Burnaev, 2019](https://arxiv.org/abs/1905.07852) (boundary)

    >>> loss = SegmentationLoss({"cross_entropy": 1.0, "dice": 0.5}, num_classes=4)
    >>> round(float(loss(np.zeros((1, 8, 8)), np.zeros((1, 8, 8, 4)))), 4)
    1.6863
    """

    def __init__(
        self,
        parts="cross_entropy",
        *,
        num_classes,
        ignore_label=None,
        maps=1,
        name="segmentation_loss",
        reduction="sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.targets = MaskTargets(num_classes, ignore_label, maps)
        self.parts = _copied(parts)
        self.weighted = [_part(*part, num_classes) for part in _named(parts).items()]

    def __call__(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None and len(ops.shape(sample_weight)) > 1:
            sample_weight = one_an_image(sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        maps = self.targets.split(y_pred)
        ids = self.targets.ids(y_true, maps[0])
        known, wrong = self.targets.known(ids)
        sides = tuple(range(1, len(ids.shape)))
        right = ~ops.any(wrong, axis=sides)
        require(right, ops.max(ops.where(wrong, ids, -np.inf), axis=sides), self.targets.rule)
        targets = self.targets.dense(ids, known, y_pred.dtype)
        known = ops.cast(known, y_pred.dtype)[..., None]
        targets = targets * known
        losses = sum(
            share * weight * LOSSES[name](targets, logits, known, **options)
            for share, logits in zip(shares(len(maps)), maps)
            for name, weight, options in self.weighted
        )
        return ops.where(right, losses, np.nan)

    def get_config(self):
        return {
            **super().get_config(),
            "parts": self.parts,
            **self.targets._asdict(),
            "dtype": self.dtype,
        }


def shares(count):
    """Return the weights of maps, each half of the one before, 1 in all.

    >>> shares(2)
    [0.6666666666666666, 0.3333333333333333]
    """
    halves = [0.5**i for i in range(count)]
    return [half / sum(halves) for half in halves]


def _copied(parts):
    """Return plain data as it is, without what a layer that holds it tracks."""
    if isinstance(parts, dict):
        return {key: _copied(value) for key, value in parts.items()}
    return [*parts] if isinstance(parts, (list, tuple)) else parts


def _named(parts):
    if isinstance(parts, str):
        return {parts: 1.0}
    if not isinstance(parts, dict) or not parts:
        raise ValueError(
            f"`loss` must be of {sorted(LOSSES)}, or a dict of some with their weights. "
            f"Received: {parts!r}."
        )
    return parts


def _part(name, given, num_classes):
    """Return the name, weight and options of a part; raise where there is no such."""
    if name not in LOSSES:
        raise ValueError(
            f"`loss` must be of {sorted(LOSSES)}, or a dict of some with their weights. "
            f"Received: {name!r}."
        )
    options = dict(given) if isinstance(given, dict) else {"weight": given}
    weight = options.pop("weight", 1.0)
    if not are_numbers(weight, ()) or weight < 0:
        raise ValueError(
            f"The weight of a loss must be a number, not negative. Received: {name}={given!r}."
        )
    known = set(OPTIONS[name])
    if unknown := sorted(set(options) - known):
        raise ValueError(
            f"Of {name!r} the options are {', '.join(sorted(known)) or 'none'}. "
            f"Received: {', '.join(unknown)}."
        )
    for option, value in options.items():
        shape = (num_classes,) if option == "class_weights" else ()
        if not are_numbers(value, shape) or np.min(value) < 0:
            form = f"{num_classes} numbers" if shape else "a number"
            raise ValueError(
                f"`{option}` of {name!r} must be {form}, not negative. Received: {value!r}."
            )
    check_rate(label_smoothing=options.get("label_smoothing", 0))
    check_positive(tolerance=options.get("tolerance", 1))
    return name, float(weight), options


_PIXELWISE = ("class_weights", "label_smoothing")
OPTIONS = {
    "boundary": ("tolerance",),
    "cross_entropy": _PIXELWISE,
    "dice": (),
    "focal": ("gamma", *_PIXELWISE),
    "lovasz": (),
    "tversky": ("alpha", "beta"),
}
