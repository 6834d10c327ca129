"""How the class of every position is written as a target."""

from typing import NamedTuple

import numpy as np
from keras import ops

from heads.base import number_problems


class MaskTargets(NamedTuple):
    """A format of class maps: what it allows, and what it is to a loss or a metric.

    Attributes:
        num_classes: Number of classes; 1 is a binary mask of zeros and ones.
        ignore_label: The id of positions that do not count, or `None`.
        maps: Number of maps of logits side by side that a head gives while it is trained; the
            first is its answer.
    """

    num_classes: int
    ignore_label: int | None = None
    maps: int = 1

    @property
    def classes(self):
        """The number of ids: two of a binary mask."""
        return max(self.num_classes, 2)

    @property
    def rule(self):
        """What every target has to keep, a sentence."""
        ignored = "" if self.ignore_label is None else f", or {self.ignore_label} to be ignored"
        return f"Masks must hold class ids, whole numbers from 0 to {self.classes - 1}{ignored}."

    def ids(self, targets, logits):
        """Return targets as `(batch, *sides)`; raise where shapes do not fit."""
        sides = tuple(logits.shape[1:-1])
        if logits.shape[-1] != self.num_classes or len(sides) not in (2, 3):
            raise ValueError(
                f"Logits must have the shape (batch, *sides, {self.num_classes}). "
                f"Received: shape {tuple(logits.shape)}."
            )
        if not self.fits(targets.shape, sides):
            raise ValueError(self.misfit(targets.shape, sides))
        return targets[..., 0] if len(targets.shape) == len(logits.shape) else targets

    def split(self, logits):
        """Return the maps of logits that lie side by side, the answer first."""
        several = self.maps > 1 and logits.shape[-1] == self.maps * self.num_classes
        return ops.split(logits, self.maps, axis=-1) if several else [logits]

    def fits(self, shape, sides):
        """Return whether masks of these sides may have this shape; `None` is any side."""
        shape = tuple(shape)
        if len(shape) == len(sides) + 2 and shape[-1] == 1:
            shape = shape[:-1]
        return len(shape) == len(sides) + 1 and all(
            None in (a, b) or a == b for a, b in zip(shape[1:], sides)
        )

    def misfit(self, shape, sides):
        """Return an error about targets of this shape."""
        shape, repair = tuple(shape), ""
        if len(shape) == len(sides) + 2:
            repair = " The ids of one-hot or coloured masks are needed: masks.argmax(axis=-1), "
            repair += "or heads.SegmentationFiles(palette=…)."
        elif len(shape) == len(sides) + 1:
            repair = " Give each mask the size of its image, by nearest neighbours."
        words = ", ".join("any" if side is None else str(side) for side in sides)
        return f"Masks must have the shape (batch, {words}). Received: shape {shape}.{repair}"

    def known(self, ids):
        """Return where there is a class, and where there is neither that nor `ignore_label`.

        Works on NumPy arrays and on tensors.
        """
        xp = np if isinstance(ids, np.ndarray) else ops
        inside = (ids >= 0) & (ids < self.classes) & (ids == xp.floor(ids))
        ignored = xp.zeros_like(inside) if self.ignore_label is None else ids == self.ignore_label
        return inside & ~ignored, ~(inside | ignored)

    def dense(self, ids, known, dtype):
        """Return ids as zeros and ones, `(batch, *sides, num_classes)`, zeros where not known."""
        ids = ops.cast(ops.where(known, ids, 0), "int32")
        if self.num_classes == 1:
            return ops.cast(ids[..., None], dtype)
        rows = ops.one_hot(ids, self.num_classes, dtype=dtype)
        return rows * ops.cast(known, dtype)[..., None]

    def predicted(self, logits):
        """Return the ids of the classes that logits decide, `(batch, *sides)`."""
        if self.num_classes == 1:
            return ops.cast(logits[..., 0] >= 0, "int32")
        return ops.cast(ops.argmax(logits, axis=-1), "int32")

    def probabilities(self, logits):
        """Return the probability of every class, or of the mask."""
        return ops.sigmoid(logits) if self.num_classes == 1 else ops.softmax(logits, axis=-1)

    def problems(self, targets, sides):
        """Return, in words, what is wrong with an array of targets."""
        if problems := number_problems(targets):
            return problems
        if not self.fits(targets.shape, sides):
            return [self.misfit(targets.shape, sides)]
        # Half-precision types that NumPy does not know are read as float32.
        ids = targets if targets.dtype.kind in "biuf" else targets.astype("float32")
        ids = ids.astype("uint8") if ids.dtype == bool else ids
        _, wrong = self.known(ids)
        if not wrong.any():
            return []
        places = np.argwhere(wrong)
        values = np.unique(ids[wrong])
        shown = ", ".join(f"{value:g}" for value in values[:5]) + (", …" if len(values) > 5 else "")
        first = tuple(int(i) for i in places[0])
        share = len(places) / ids.size
        return [
            f"{self.rule} Received: {ids[first]:g} at {list(first[1 : len(sides) + 1])} of mask "
            f"{first[0]}; in all {shown}, {share:.2g} of the positions.{self.repair(ids, values)}"
        ]

    def repair(self, ids, values):
        """Return what to do about masks that break the rule."""
        if not np.isfinite(values).all() or (values != np.floor(values)).any():
            return " Resize masks by nearest neighbours; shares of classes are no ids."
        if self.num_classes == 1 and set(np.unique(ids)) <= {0, 255}:
            return " A mask of 0 and 255 is masks // 255, with ignore_label=None."
        if self.ignore_label is None and values.tolist() in ([255], [-1]):
            return f" If they mean no class, give ignore_label={int(values[0])}."
        if values.min() >= 0:
            return f" Map them to 0 and up, or give num_classes={int(values.max()) + 1}."
        return ""

    def shrink(self, targets):
        """Return right masks as small ones with the same ids, some of them more than once."""
        found = [np.unique(mask) for mask in targets]
        return np.stack([np.resize(ids, self.classes + 1) for ids in found]).astype("int64")

    def doubts(self, targets):
        """Return, in words, what is odd in an array of right targets."""
        rows = targets.reshape(len(targets), -1)
        rows = rows if rows.dtype.kind in "iuf" else rows.astype("float32")
        known, _ = self.known(rows)
        found = []
        if not known.any():
            return [f"No position has a class: all are {self.ignore_label}, the ignored label."]
        if empty := np.flatnonzero(~known.any(axis=1)).tolist():
            found.append(
                f"{len(empty)} of {len(rows)} masks are ignored as a whole: {_listed(empty)}."
            )
        missing = sorted(set(range(self.classes)) - set(np.unique(rows[known]).astype(int)))
        if missing:
            white = self.ignore_label == 255 and self.classes == 2 and (rows == 255).any()
            repair = " If 255 is class 1: masks // 255, and ignore_label=None." if white else ""
            found.append(
                f"{len(missing)} of {self.classes} classes are in no mask: {_listed(missing)}."
                f"{repair}"
            )
        return found


def one_an_image(weights):
    """Return weights of samples as `(batch,)`; raise where there are more than one an image."""
    shape = tuple(ops.shape(weights))
    if any(side != 1 for side in shape[1:]):
        raise ValueError(
            "Weights of samples are one an image, (batch,). "
            f"Received: shape {shape}. Give positions without weight the ignored label."
        )
    return ops.reshape(weights, (-1,))


def _listed(numbers):
    return ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
