"""The loss of classification, for every format of targets."""

import keras
import numpy as np
from keras import ops

from blocks.base import register
from heads.classes import ClassTargets
from heads.values import require


@register
class CrossEntropy(keras.Loss):
    """Cross-entropy of logits, with class weights, label smoothing and focusing in any format.

    Shape: targets as `one_hot` and `multi_label` say; logits `(batch, num_classes)`.

    Args:
        num_classes: Number of classes.
        one_hot: Whether targets are one-hot rows and not class ids.
        multi_label: Whether a row may have several labels: sigmoid instead of softmax.
        class_weights: A weight for each class. A row counts as much as its class; in
            multi-label, a column's positive part does. The mean is over the number of rows.
        label_smoothing: Share of a target that is spread evenly over the classes; in
            multi-label, over yes and no.
        focal_gamma: Exponent of the focal loss, which plays down what is already right; 2 in
            the paper, 0 is the plain cross-entropy.
        name: Name of the loss.
        reduction: As in every `keras.Loss`.
        dtype: As in every `keras.Loss`.

    Raises:
        ValueError: If targets or logits have another shape. Where targets have wrong values,
            a step of training stops with the rule and the value; under XLA on TensorFlow,
            which knows no such stop, the loss is NaN.

    Reference: [Lin et al., 2017](https://arxiv.org/abs/1708.02002)

    >>> round(float(CrossEntropy(4)(np.array([2]), np.zeros((1, 4)))), 4)
    1.3863
    """

    def __init__(
        self,
        num_classes,
        *,
        one_hot=False,
        multi_label=False,
        class_weights=None,
        label_smoothing=0.0,
        focal_gamma=0.0,
        name="cross_entropy",
        reduction="sum_over_batch_size",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.targets = ClassTargets(num_classes, one_hot, multi_label)
        self.class_weights = None if class_weights is None else list(class_weights)
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma

    def call(self, y_true, y_pred):
        targets = self.targets.dense(y_true, y_pred)
        valid = self.targets.valid(y_true)
        require(valid, y_true, self.targets.rule)
        losses = (
            self.multi_label(targets, y_pred)
            if self.targets.multi_label
            else (self.multi_class(targets, y_pred))
        )
        return ops.where(valid, losses, np.nan)

    def multi_class(self, targets, logits):
        log_p = ops.log_softmax(logits, axis=-1)
        smooth = targets + self.label_smoothing * (1 / self.targets.num_classes - targets)
        losses = ops.sum(-smooth * log_p * self.focus(log_p), axis=-1)
        if self.class_weights is None:
            return losses
        return losses * ops.sum(targets * self.weights(), axis=-1)

    def multi_label(self, targets, logits):
        smooth = targets + self.label_smoothing * (0.5 - targets)
        log_yes, log_no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
        yes = -smooth * log_yes * self.focus(log_yes) * self.weights()
        no = -(1 - smooth) * log_no * self.focus(log_no)
        return ops.mean(yes + no, axis=-1)

    def focus(self, log_p):
        if not self.focal_gamma:
            return 1.0
        # Away from zero, where the power of an exponent below one has no slope.
        return ops.maximum(-ops.expm1(log_p), keras.config.epsilon()) ** self.focal_gamma

    def weights(self):
        return 1.0 if self.class_weights is None else ops.array(self.class_weights, self.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            **self.targets._asdict(),
            "class_weights": self.class_weights,
            "label_smoothing": self.label_smoothing,
            "focal_gamma": self.focal_gamma,
            "dtype": self.dtype,
        }
