"""Classes of a whole input."""

import numpy as np
from keras import layers, ops

from blocks.base import check_positive, check_rate, register
from heads.base import Head, are_numbers
from heads.classes import ClassTargets
from heads.cross_entropy import CrossEntropy
from heads.pooling import GlobalAverage
from heads.scores import Accuracy, MacroAUC, MacroScore


@register
class ClassificationHead(Head):
    """Logits of classes from the coarsest feature, averaged over its positions.

    Two exclusive classes are two classes: `num_classes=2` with ids 0 and 1. The raw output
    is logits; `heads.deploy` answers with probabilities, and with `threshold=` with labels as
    well. Its scores are `accuracy`, `precision`, `recall`, `macro_f1` and `auc`, all but the
    first means over the classes.

    Shape: `(batch, ..., channels)` to `(batch, num_classes)`; channels alone, tokens, maps.
    Padding that a mask marks does not count.

    Args:
        num_classes: Number of classes.
        multi_label: Whether an input may have several classes, or none. Targets are then
            rows of `num_classes` zeros and ones.
        one_hot: Whether targets are one-hot rows and not class ids.
        class_weights: A weight for each class in the loss, for classes that are rare.
        label_smoothing: Share of a target that is spread evenly over the classes.
        focal_gamma: Exponent of the focal loss, 2 in its paper; 0 is the plain cross-entropy.
        dropout: Share of the pooled feature that is dropped in training.

    Raises:
        ValueError: If an argument is out of its range, or the feature has no fixed channels.

    Reference: [Lin et al., 2017](https://arxiv.org/abs/1708.02002) (focal loss)

    >>> ClassificationHead(10)(np.ones((1, 7, 7, 16))).shape
    (1, 10)
    """

    answer_name = "probabilities"

    def __init__(
        self,
        num_classes,
        *,
        multi_label=False,
        one_hot=False,
        class_weights=None,
        label_smoothing=0.0,
        focal_gamma=0.0,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_classes=num_classes)
        check_rate(label_smoothing=label_smoothing, dropout=dropout)
        if num_classes < 2 and not multi_label:
            raise ValueError(
                "`num_classes` must be at least 2: yes or no are two classes. "
                f"Received: num_classes={num_classes}."
            )
        if multi_label and one_hot:
            raise ValueError(
                "Multi-label targets are rows already. Received: multi_label=True and "
                "one_hot=True. Leave out `one_hot`."
            )
        if not are_numbers(focal_gamma, ()) or focal_gamma < 0:
            raise ValueError(
                "`focal_gamma` must be a number, not negative. "
                f"Received: focal_gamma={focal_gamma!r}."
            )
        if class_weights is not None and (
            not are_numbers(class_weights, (num_classes,))
            or min(class_weights) < 0
            or max(class_weights) == 0
        ):
            raise ValueError(
                f"`class_weights` must be {num_classes} numbers, none negative, not all 0. "
                f"Received: class_weights={class_weights!r}."
            )
        self.targets = ClassTargets(num_classes, one_hot, multi_label)
        self.loss_options = {
            "class_weights": class_weights,
            "label_smoothing": label_smoothing,
            "focal_gamma": focal_gamma,
        }
        self.pool = GlobalAverage(dtype="float32", name="pool")
        self.drop = layers.Dropout(dropout, dtype="float32", name="drop")
        self.logits = layers.Dense(num_classes, dtype="float32", name="logits")

    def call(self, x):
        return self.logits(self.drop(self.pool(x)))

    def loss(self):
        return CrossEntropy(**self.targets._asdict(), **self.loss_options)

    def make_metrics(self):
        form = self.targets._asdict()
        scores = [MacroScore(score, **form) for score in ("precision", "recall", "f1")]
        return [Accuracy(**form), *scores, MacroAUC(**form)]

    def decoder(self, *, threshold=None):
        """Return the layer from logits to `"probabilities"`, and `"labels"` with a threshold.

        Args:
            threshold: Least probability that makes a label; see `heads.choose_threshold`. Of
                two classes it is that of class 1, and labels are ids, `(batch,)`. In
                multi-label it is a number, or one for each class, and labels are zeros and
                ones, `(batch, num_classes)`.
        """
        classes, multi_label = self.targets.num_classes, self.targets.multi_label
        if threshold is not None and not multi_label and classes > 2:
            raise ValueError(
                "A threshold needs two classes or multi_label=True. "
                f"Received: threshold={threshold!r} for {classes} exclusive classes, of which "
                "the most probable one is the answer."
            )
        if threshold is not None:
            shapes = [(), (classes,)] if multi_label else [()]
            if (
                not are_numbers(threshold, *shapes)
                or not 0 <= np.min(threshold) <= np.max(threshold) <= 1
            ):
                raise ValueError(
                    "`threshold` must be a probability, or in multi-label one for each class. "
                    f"Received: threshold={threshold!r}."
                )
            threshold = np.asarray(threshold, "float64").tolist()
        return ClassDecoder(multi_label, threshold, dtype="float32", name=f"{self.name}_decoder")

    def check(self, targets):
        return self.targets.problems(targets)

    def doubts(self, targets):
        return self.targets.doubts(targets)


@register
class ClassDecoder(layers.Layer):
    """Probabilities of logits, and labels where there is a threshold.

    Shape: `(batch, num_classes)` to the same; with a threshold to a dict of
    `"probabilities"` and `"labels"`.

    Args:
        multi_label: Whether probabilities are independent: sigmoid instead of softmax.
        threshold: `None`, or the least probability that makes a label, or a list of them.

    >>> float(ClassDecoder()(np.zeros((1, 4)))[0, 0])
    0.25
    """

    def __init__(self, multi_label=False, threshold=None, **kwargs):
        super().__init__(**kwargs)
        self.targets = ClassTargets(0, multi_label=multi_label)
        self.threshold = threshold

    def call(self, logits):
        probabilities = self.targets.probabilities(logits)
        if self.threshold is None:
            return probabilities
        shares = probabilities if self.targets.multi_label else probabilities[:, 1]
        labels = shares >= ops.convert_to_tensor(self.threshold, dtype=shares.dtype)
        return {"probabilities": probabilities, "labels": ops.cast(labels, "int32")}
