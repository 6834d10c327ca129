"""The loss of one-stage detectors without anchors."""

import keras
import numpy as np
from keras import ops

from blocks.base import check_positive, register
from heads.base import are_numbers
from heads.detection import overlap
from heads.detection.assign import TaskAligned
from heads.detection.code import Code
from heads.values import one_hot, require

WEIGHTS = {"box": 7.5, "distance": 1.5}  # YOLOv8's
RULE = (
    "A box must be a row of left < right, top < bottom in pixels and a class id, or of class -1 "
    "where there is none."
)


@register
class DetectionLoss(keras.Loss):
    """Classes, overlap and distances of what every position learns, by task-aligned assignment.

    Shape: targets `(batch, max_boxes, 5)`, as `heads.pack_boxes` makes them; the raw output of a
    `DetectionHead`. All is divided by the sum of the batch's class targets, at least 1.

    Args:
        num_classes: Number of classes.
        bins: Logits of a distance, as the head has them.
        nms_free: Whether a one-to-one branch is trained beside the one-to-many one.
        class_loss: `"quality_focal"`, `"varifocal"`, or `"cross_entropy"`, as in YOLOv8.
        box_loss: `"iou"`, `"giou"`, `"diou"` or `"ciou"`.
        weights: Dict of weights for `"class"`, `"box"` and `"distance"`. By default the last two
            are YOLOv8's, 7.5 and 1.5, and so is the first, 0.5, for `"cross_entropy"`; the others
            weigh what is nearly right less, and count 2 and 1 times.
        most: Positions that learn a box.
        name: Name of the loss.
        reduction: As in every `keras.Loss`.
        dtype: As in every `keras.Loss`.

    Raises:
        ValueError: If an argument or a shape is wrong. Where targets have wrong values, a step of
            training stops with the rule and the value; under XLA on TensorFlow, which knows no
            such stop, the loss is NaN.

    Reference: [Feng et al., 2021](https://arxiv.org/abs/2108.07755) (assignment);
    [Li et al., 2020](https://arxiv.org/abs/2006.04388) (quality focal, distribution focal);
    [Zhang et al., 2020](https://arxiv.org/abs/2008.13367) (varifocal);
    [Wang et al., 2024](https://arxiv.org/abs/2405.14458) (the one-to-one branch)
    """

    def __init__(
        self,
        num_classes,
        *,
        bins=16,
        nms_free=False,
        class_loss="quality_focal",
        box_loss="ciou",
        weights=None,
        most=10,
        name="detection_loss",
        reduction="sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        check_positive(num_classes=num_classes, bins=bins, most=most)
        for key, value, known in (
            ("class_loss", class_loss, CLASS_LOSSES),
            ("box_loss", box_loss, overlap.KINDS),
        ):
            if value not in known:
                raise ValueError(
                    f"`{key}` must be one of {', '.join(known)}. Received: {key}={value!r}."
                )
        defaults = {"class": CLASS_WEIGHTS[class_loss], **WEIGHTS}
        given = dict(weights or {})
        right = all(are_numbers(x, ()) and x >= 0 for x in given.values())
        if set(given) - set(defaults) or not right:
            raise ValueError(
                f"`weights` must be a dict of numbers from 0 for {', '.join(defaults)}. "
                f"Received: weights={weights!r}."
            )
        self.code = Code(num_classes, bins, 2 if nms_free else 1)
        self.class_loss, self.box_loss, self.most = class_loss, box_loss, most
        self.weights = {**defaults, **given}

    def call(self, y_true, y_pred):
        boxes, ids, right = valid_rows(y_true, y_pred, self.code)
        classes = one_hot(ops.cast(ids, "int32"), self.code.num_classes, "float32")
        losses = 0.0
        for most, branch in zip((self.most, 1), self.code.split(y_pred)):
            losses = losses + self.of_branch(branch, boxes, classes, TaskAligned(most))
        return ops.where(right, losses, np.nan)

    def of_branch(self, branch, boxes, classes, assign):
        """Return the loss of every sample for one branch of the raw output."""
        logits, points = branch["logits"], branch["points"]
        found = self.code.corners(branch["boxes"], points)
        goals, targets = assign(boxes, classes, ops.sigmoid(logits), found, points)
        share = ops.sum(targets, axis=-1)
        losses = {
            "class": ops.sum(CLASS_LOSSES[self.class_loss](targets, logits), axis=-1),
            "box": share * (1 - overlap.overlap(found, goals, self.box_loss)),
            "distance": share * self.distance(branch["boxes"], goals, points),
        }
        whole = sum(self.weights[key] * ops.sum(x, axis=-1) for key, x in losses.items())
        return divided(whole, share)

    def distance(self, boxes, goals, points):
        """Return the cross-entropy of the two bins beside each distance, mean over the sides."""
        bins, places, strides = self.code.bins, points[..., :2], points[..., 2:]
        goal = (
            ops.concatenate([places - goals[..., :2], goals[..., 2:] - places], axis=-1) / strides
        )
        if bins == 1:
            return ops.mean(ops.abs(ops.softplus(boxes) - goal), axis=-1)
        goal = ops.clip(goal, 0.0, bins - 1.01)
        shape = (-1, *ops.shape(goal)[1:], bins)
        chances = ops.log_softmax(ops.reshape(boxes, shape))
        # A hat of width 2 around the distance: its height is the share of each bin.
        near = ops.relu(1 - ops.abs(goal[..., None] - ops.arange(bins, dtype="float32")))
        return ops.mean(-ops.sum(near * chances, axis=-1), axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.code.num_classes,
            "bins": self.code.bins,
            "nms_free": self.code.branches == 2,
            "class_loss": self.class_loss,
            "box_loss": self.box_loss,
            "weights": self.weights,
            "most": self.most,
            "dtype": self.dtype,
        }


def divided(losses, amounts):
    """Return losses of samples whose mean is their sum by that of all amounts, at least 1."""
    batch = ops.cast(ops.shape(losses)[0], losses.dtype)
    return losses * (batch / ops.maximum(ops.sum(amounts), 1.0))


def valid_rows(targets, raw, code):
    """Return the boxes and ids of targets, and of every sample whether its rows keep the rule.

    Raises:
        ValueError: If a shape is wrong; and where a row is, as `heads.values.require` does.
    """
    if len(targets.shape) != 3 or targets.shape[-1] != 5:
        raise ValueError(
            "Targets must have the shape (batch, max_boxes, 5). "
            f"Received: shape {tuple(targets.shape)}. heads.pack_boxes makes them."
        )
    if len(raw.shape) != 3 or raw.shape[-1] != code.width:
        raise ValueError(
            f"The raw output must have the shape (batch, points, {code.width}), of {code}. "
            f"Received: shape {tuple(raw.shape)}."
        )
    boxes, ids = targets[..., :4], targets[..., 4]
    classes = (ids >= 0) & (ids < code.num_classes) & (ids == ops.floor(ids))
    right = ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1) & classes
    valid = ops.all(ops.isfinite(boxes), axis=-1) & (right | (ids == -1))
    rule = f"{RULE} Rows are counted over all images, {targets.shape[1]} each."
    require(ops.reshape(valid, (-1,)), ops.reshape(targets, (-1, 5)), rule)
    return boxes, ids, ops.all(valid, axis=-1)


def cross_entropy(targets, logits):
    """Return the binary cross-entropy of probabilities and logits."""
    return ops.relu(logits) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))


def quality_focal(targets, logits):
    """Return the cross-entropy, weighted by the squared distance from the target."""
    return ops.square(targets - ops.sigmoid(logits)) * cross_entropy(targets, logits)


def varifocal(targets, logits):
    """Return the cross-entropy, weighted by the target or, where it is 0, focal; as its paper."""
    away = 0.75 * ops.square(ops.sigmoid(logits))
    return ops.where(targets > 0, targets, away) * cross_entropy(targets, logits)


CLASS_WEIGHTS = {"quality_focal": 2.0, "varifocal": 1.0, "cross_entropy": 0.5}
CLASS_LOSSES = {
    "quality_focal": quality_focal,
    "varifocal": varifocal,
    "cross_entropy": cross_entropy,
}
