"""The loss of detectors with anchors."""

import keras
import numpy as np
from keras import ops

from blocks.base import check_above_zero, check_positive, register
from heads.detection.anchors import AnchorCode
from heads.detection.loss import cross_entropy, divided, valid_rows
from heads.detection.overlap import overlap
from heads.values import one_hot

CLASS_LOSSES = ("focal", "hard_negatives")
NEGATIVES = 3  # for each anchor that has a box: SSD's


@register
class SSDLoss(keras.Loss):
    """Classes of all anchors, and boxes of those that have one.

    An anchor has the box that it overlaps most, by `iou` at least; and if `forced`, every box has
    the anchor that overlaps it most, unless another box overlaps that one more. All is divided by
    the number of the batch's anchors that have a box, at least 1.

    Shape: targets `(batch, max_boxes, 5)`, as `heads.pack_boxes` makes them; the raw output of a
    `SSDHead`.

    Args:
        num_classes: Number of classes.
        class_loss: `"focal"`, of all anchors; or `"hard_negatives"`, the cross-entropy of those
            with a box and of three times as many of the others, the worst.
        iou: Overlap from which on an anchor has a box.
        box_weight: Weight of the boxes' smooth L1 loss.
        forced: Whether a box has the anchor that overlaps it most, however little.
        name: Name of the loss.
        reduction: As in every `keras.Loss`.
        dtype: As in every `keras.Loss`.

    Raises:
        ValueError: As `DetectionLoss`.

    Reference: [Liu et al., 2015](https://arxiv.org/abs/1512.02325);
    [Lin et al., 2017](https://arxiv.org/abs/1708.02002) (focal)
    """

    def __init__(
        self,
        num_classes,
        *,
        class_loss="focal",
        iou=0.5,
        box_weight=1.0,
        forced=True,
        name="ssd_loss",
        reduction="sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        check_positive(num_classes=num_classes)
        check_above_zero(iou=iou, box_weight=box_weight)
        if class_loss not in CLASS_LOSSES or iou > 1:
            raise ValueError(
                f"`class_loss` must be one of {', '.join(CLASS_LOSSES)}, and `iou` at most 1. "
                f"Received: class_loss={class_loss!r}, iou={iou!r}."
            )
        self.code = AnchorCode(num_classes)
        self.class_loss, self.iou, self.box_weight = class_loss, iou, box_weight
        self.forced = forced

    def call(self, y_true, y_pred):
        boxes, ids, right = valid_rows(y_true, y_pred, self.code)
        classes = one_hot(ops.cast(ids, "int32"), self.code.num_classes, "float32")
        (branch,) = self.code.split(y_pred)
        return ops.where(right, self.of_branch(branch, boxes, classes), np.nan)

    def of_branch(self, branch, boxes, classes):
        """Return the loss of every sample for boxes and logits beside anchors.

        Args:
            branch: Dict of `"boxes"`, `"logits"` and `"points"`, the anchors.
            boxes: `(batch, boxes, 4)`, pixels.
            classes: One-hot rows, zeros where there is no box.
        """
        anchors, logits = branch["points"], branch["logits"]
        real = ops.any(classes > 0, axis=-1)
        owned = match(boxes, real, anchors, self.iou, self.forced)
        owned = ops.transpose(ops.cast(ops.stop_gradient(owned), "float32"), (0, 2, 1))
        has_box = ops.sum(owned, axis=-1)
        targets, goals = ops.matmul(owned, classes), ops.matmul(owned, boxes)
        goals = ops.where(has_box[..., None] > 0, goals, corners_of(anchors))
        away = ops.abs(branch["boxes"] - self.code.encoded(goals, anchors))
        smooth = ops.where(away < 1, 0.5 * ops.square(away), away - 0.5)
        losses = self.box_weight * has_box * ops.sum(smooth, axis=-1)
        losses = losses + self.of_classes(targets, logits, has_box)
        return divided(ops.sum(losses, axis=-1), has_box)

    def of_classes(self, targets, logits, has_box):
        """Return the loss of the classes of every anchor."""
        losses = cross_entropy(targets, logits)
        if self.class_loss == "focal":
            wrong = ops.abs(targets - ops.sigmoid(logits))
            share = 0.25 * targets + 0.75 * (1 - targets)  # the paper's
            return ops.sum(share * ops.square(wrong) * losses, axis=-1)
        losses = ops.sum(losses, axis=-1)
        others = ops.stop_gradient(ops.where(has_box > 0, -1.0, losses))
        place = ops.argsort(ops.argsort(-others, axis=-1), axis=-1)
        count = NEGATIVES * ops.sum(has_box, axis=-1, keepdims=True)
        worst = ops.cast(place, "float32") < ops.maximum(count, 1.0)
        return ops.where((has_box > 0) | worst, losses, 0.0)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.code.num_classes,
            "class_loss": self.class_loss,
            "iou": self.iou,
            "box_weight": self.box_weight,
            "forced": self.forced,
            "dtype": self.dtype,
        }


def corners_of(anchors):
    """Return anchors as left, top, right and bottom."""
    half = anchors[..., 2:] / 2
    return ops.concatenate([anchors[..., :2] - half, anchors[..., :2] + half], axis=-1)


def match(boxes, real, anchors, least, forced=True):
    """Return whether anchors have boxes, booleans `(batch, boxes, anchors)`, one at most each.

    Args:
        boxes: `(batch, boxes, 4)`.
        real: Booleans `(batch, boxes)`: whether there is a box.
        anchors: `(batch, anchors, 4)`, middle and sides.
        least: Overlap from which on an anchor has a box.
        forced: Whether the anchor that overlaps a box most has it in any case.
    """
    iou = overlap(boxes[:, :, None], corners_of(anchors)[:, None])
    iou = ops.where(real[:, :, None], iou, -1.0)
    order = ops.arange(ops.shape(iou)[2], dtype="int32")[None, None]
    best = ops.cast(ops.argmax(iou, axis=2), "int32")[:, :, None]
    is_best = (order == best) & (iou > 0) & forced
    rank = ops.where(is_best, 2.0 + iou, ops.where(iou >= least, iou, -1.0))
    number = ops.arange(ops.shape(iou)[1], dtype="int32")[None, :, None]
    owner = ops.cast(ops.argmax(rank, axis=1), "int32")[:, None]
    return (number == owner) & (rank > 0)
