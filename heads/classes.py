"""How classes are written as targets."""

from typing import NamedTuple

import numpy as np
from keras import ops

from heads.base import number_problems, wrong_rows
from heads.values import one_hot


class ClassTargets(NamedTuple):
    """A format of class targets: what it allows, and its one common form.

    Attributes:
        num_classes: Number of classes.
        one_hot: Whether a target is a row of `num_classes` shares that sum to one, and not
            the id of a class.
        multi_label: Whether a target is a row of `num_classes` numbers, each from 0 to 1.
    """

    num_classes: int
    one_hot: bool = False
    multi_label: bool = False

    @property
    def shape(self):
        """The shape of a batch of targets, in words."""
        if self.one_hot or self.multi_label:
            return f"(batch, {self.num_classes})"
        return "(batch,) or (batch, 1)"

    @property
    def rule(self):
        """What every target has to keep, a sentence."""
        if self.multi_label:
            return "Labels must be numbers from 0 to 1, a column for each class."
        if self.one_hot:
            return "One-hot targets must be rows of numbers from 0 to 1 that sum to 1."
        return f"Class ids must be whole numbers from 0 to {self.num_classes - 1}."

    def fits(self, shape):
        """Return whether targets may have this shape."""
        if self.one_hot or self.multi_label:
            return len(shape) == 2 and shape[1] in (self.num_classes, None)
        return len(shape) == 1 or (len(shape) == 2 and shape[1] in (1, None))

    def misfit(self, shape):
        """Return an error about targets of this shape."""
        repair = ""
        if not (self.one_hot or self.multi_label) and len(shape) == 2:
            repair = (
                " Ids of one-hot rows are targets.argmax(axis=1); rows as they are need "
                "ClassificationHead(one_hot=True) or multi_label=True."
            )
        elif self.one_hot and self.fits_ids(shape):
            repair = " Class ids need ClassificationHead(one_hot=False)."
        return f"Targets must have the shape {self.shape}. Received: shape {shape}.{repair}"

    def fits_ids(self, shape):
        """Return whether class ids may have this shape."""
        return ClassTargets(self.num_classes).fits(shape)

    def dense(self, targets, logits):
        """Return targets as rows of `num_classes` numbers; raise where shapes do not fit."""
        shape = tuple(targets.shape)
        if not self.fits(shape):
            raise ValueError(self.misfit(shape))
        if len(logits.shape) != 2 or logits.shape[1] != self.num_classes:
            raise ValueError(
                f"Logits must have the shape (batch, {self.num_classes}). "
                f"Received: shape {tuple(logits.shape)}."
            )
        if self.one_hot or self.multi_label:
            return ops.cast(targets, logits.dtype)
        ids = ops.cast(ops.reshape(targets, (-1,)), "int32")
        return one_hot(ids, self.num_classes, logits.dtype)

    def valid(self, targets):
        """Return for each row whether it keeps the rule; for NumPy arrays and for tensors."""
        xp = np if isinstance(targets, np.ndarray) else ops
        if not (self.one_hot or self.multi_label):
            ids = xp.reshape(targets, (-1,))
            return (ids >= 0) & (ids < self.num_classes) & (ids == xp.floor(ids))
        right = xp.all((targets >= 0) & (targets <= 1), axis=-1)
        if self.one_hot:  # a hundredth: mixed targets of half precision are right
            right = right & (xp.abs(xp.sum(targets, axis=-1) - 1) < 0.01)
        return right

    def decided(self, rows):
        """Return rows as zeros and ones: the largest number, or in multi-label all from 0.5."""
        if self.multi_label:
            return ops.cast(rows >= 0.5, rows.dtype)
        return ops.one_hot(ops.argmax(rows, axis=-1), self.num_classes, dtype=rows.dtype)

    def predicted(self, logits):
        """Return what logits decide as zeros and ones: the largest, or in multi-label all yes."""
        return self.decided(ops.sigmoid(logits) if self.multi_label else logits)

    def probabilities(self, logits):
        """Return the probability of every class."""
        return ops.sigmoid(logits) if self.multi_label else ops.softmax(logits, axis=-1)

    def problems(self, targets):
        """Return, in words, what is wrong with an array of targets."""
        if problems := number_problems(targets):
            return problems
        if not self.fits(targets.shape):
            return [self.misfit(targets.shape)]
        right = self.valid(np.asarray(targets, "float64"))
        if right.all():
            return []
        return [f"{self.rule} {wrong_rows(right, targets)}{self.repair(targets)}"]

    def repair(self, targets):
        """Return what to do about targets that break the rule."""
        if self.one_hot or self.multi_label or not np.isfinite(targets).all():
            return ""
        if targets.min() == 1 and targets.max() == self.num_classes:
            return " The ids count from 1: subtract 1."
        if targets.min() >= 0 and (targets == np.floor(targets)).all():
            return f" Map them to 0 and up, or give num_classes={int(targets.max()) + 1}."
        return ""

    def doubts(self, targets):
        """Return, in words, which classes have no row in an array of right targets."""
        if self.multi_label:
            present = np.flatnonzero((targets > 0).any(axis=0))
        else:
            present = targets.argmax(axis=-1) if self.one_hot else targets
        missing = sorted(set(range(self.num_classes)) - set(np.unique(present).astype(int)))
        if not missing:
            return []
        shown = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        return [f"{len(missing)} of {self.num_classes} classes have no row: {shown}."]
