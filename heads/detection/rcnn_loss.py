"""The loss of detectors in two stages."""

import keras
import numpy as np
from keras import ops

from blocks.base import check_positive, register
from heads.detection.anchors import AnchorCode
from heads.detection.loss import valid_rows
from heads.detection.ssd_loss import SSDLoss
from heads.values import one_hot


@register
class RCNNLoss(keras.Loss):
    """The loss of anchors that propose boxes, and of what is said of the proposals.

    Both stages learn as `SSDLoss` says: the first one whether an anchor has any object, the second
    one the classes of the proposals, of which a box has those that overlap it enough, perhaps none.

    Shape: targets `(batch, max_boxes, 5)`, as `heads.pack_boxes` makes them; the raw output of a
    `RCNNHead`.

    Args:
        num_classes: Number of classes.
        proposals: Number of proposals, as the head has them.
        class_loss: `"hard_negatives"` or `"focal"`, as in `SSDLoss`.
        iou: Overlap from which on an anchor has a box.
        proposal_iou: Overlap from which on a proposal has a box; 0.5 in the paper.
        box_weight: Weight of the boxes' smooth L1 loss.
        name: Name of the loss.
        reduction: As in every `keras.Loss`.
        dtype: As in every `keras.Loss`.

    Raises:
        ValueError: As `DetectionLoss`.

    Reference: [Ren et al., 2015](https://arxiv.org/abs/1506.01497)
    """

    def __init__(
        self,
        num_classes,
        proposals,
        *,
        class_loss="hard_negatives",
        iou=0.5,
        proposal_iou=0.5,
        box_weight=1.0,
        name="rcnn_loss",
        reduction="sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        check_positive(num_classes=num_classes, proposals=proposals)
        self.code, self.proposals = AnchorCode(num_classes), proposals
        self.options = {"class_loss": class_loss, "box_weight": box_weight}
        self.first = SSDLoss(1, iou=iou, **self.options)
        self.second = SSDLoss(num_classes, iou=proposal_iou, forced=False, **self.options)

    def call(self, y_true, y_pred):
        boxes, ids, right = valid_rows(y_true, y_pred, self.code)
        classes = one_hot(ops.cast(ids, "int32"), self.code.num_classes, "float32")
        first, second = split(y_pred, self.proposals, self.code)
        losses = self.first.of_branch(first, boxes, ops.max(classes, axis=-1, keepdims=True))
        losses = losses + self.second.of_branch(second, boxes, classes)
        return ops.where(right, losses, np.nan)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.code.num_classes,
            "proposals": self.proposals,
            "iou": self.first.iou,
            "proposal_iou": self.second.iou,
            **self.options,
            "dtype": self.dtype,
        }


def split(rows, proposals, code):
    """Return what a raw output says of anchors, with one logit, and of proposals: two dicts."""
    (first,), (second,) = code.split(rows[:, :-proposals]), code.split(rows[:, -proposals:])
    return {**first, "logits": first["logits"][..., :1]}, second
