"""The anchor-free detector's head."""

import re

import numpy as np
from keras import layers, ops

from blocks import BiFPN, FeaturePyramid, PathAggregation
from blocks.base import check_positive, register
from blocks.pyramid import maps_of
from heads.base import Head
from heads.detection.branches import Branch
from heads.detection.code import Code
from heads.detection.decode import BoxDecoder
from heads.detection.loss import DetectionLoss
from heads.detection.pack import problems
from heads.detection.points import Points
from heads.embedding import Renamed

NECKS = {"pyramid": FeaturePyramid, "path_aggregation": PathAggregation, "bifpn": BiFPN}


@register
class DetectionHead(Head):
    """Boxes at every position of a pyramid, without anchors: one stage, decoupled, task-aligned.

    A neck mixes the levels; of each level one tower gives the distances to the sides of a box and
    another the classes. Targets are `(batch, max_boxes, 5)`, as `heads.pack_boxes` makes them.
    `heads.deploy(model, score=…, iou=…, max_detections=…)` answers with boxes.

    With `nms_free`, a second pair of towers learns to give each object one box alone. They learn
    from the same neck, without teaching it, and answer without suppression.

    Shape: a dict of `(batch, height_i, width_i, channels_i)` by level to `(batch, points,
    columns)`: what `heads.detection.code.Code` says, with x, y and stride of every position.

    Args:
        num_classes: Number of classes, background not counted.
        levels: Names of the levels, neighbours, fine to coarse.
        filters: Channels of the neck and the towers.
        depth: Convolutions in a tower before its prediction.
        neck: `"path_aggregation"`, `"pyramid"`, `"bifpn"`, or `None` where the backbone ends in
            one.
        bins: Logits of a distance, which is their mean, up to `bins - 1` strides; 16 in the
            paper. With 1 a distance is one number without bound.
        nms_free: Whether a one-to-one branch is trained and answers.
        separable: Whether the towers' convolutions are depthwise-separable.
        class_loss: `"quality_focal"`, `"varifocal"` or `"cross_entropy"`.
        box_loss: `"ciou"`, `"giou"`, `"diou"` or `"iou"`.
        loss_weights: Dict of weights for `"class"`, `"box"`, `"distance"`: see `DetectionLoss`.
        norm: Normalization of the towers.
        activation: Activation of the towers; `"relu6"` or `"hard_swish"` for small int8 files.

    Raises:
        ValueError: If an argument is out of its range.

    Reference: [Li et al., 2020](https://arxiv.org/abs/2006.04388) (distances);
    [Feng et al., 2021](https://arxiv.org/abs/2108.07755) (assignment);
    [Wang et al., 2024](https://arxiv.org/abs/2405.14458) (without suppression)

    >>> maps = {"P3": np.ones((1, 4, 4, 8)), "P4": np.ones((1, 2, 2, 8))}
    >>> DetectionHead(3, levels=["P3", "P4"], filters=8)(maps).shape
    (1, 20, 70)
    """

    def __init__(
        self,
        num_classes,
        *,
        levels=("P3", "P4", "P5"),
        filters=64,
        depth=2,
        neck="path_aggregation",
        bins=16,
        nms_free=False,
        separable=False,
        class_loss="quality_focal",
        box_loss="ciou",
        loss_weights=None,
        norm="batch",
        activation="silu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_classes=num_classes, filters=filters, bins=bins)
        check_levels(levels, least=1 if neck is None else 2)
        if neck is not None and neck not in NECKS:
            raise ValueError(
                f"`neck` must be None or one of {', '.join(NECKS)}. Received: neck={neck!r}."
            )
        self.levels = list(levels)
        self.loss_options = {"bins": bins, "nms_free": nms_free, "class_loss": class_loss}
        self.loss_options |= {"box_loss": box_loss, "weights": loss_weights}
        self.code = Code(num_classes, bins, 2 if nms_free else 1)
        self.loss()  # wrong options are told now
        common = {"norm": norm, "activation": activation, "dtype": self.dtype_policy}
        self.neck = make_neck(neck, filters, name="neck", **common)
        self.branches = [
            Branch(
                num_classes,
                bins,
                filters,
                depth,
                len(self.levels),
                separable=separable,
                name=name,
                **common,
            )
            for name in ("many", "one")[: self.code.branches]
        ]
        self.points = self.make_points("points")

    def call(self, features):
        maps = maps_of(self.neck(features))
        given = [maps, [ops.stop_gradient(x) for x in maps]]
        branches = [branch(x) for branch, x in zip(self.branches, given)]
        return self.code.join(branches, self.points(maps))

    def make_points(self, name):
        return Points([2 ** int(x[1:]) for x in self.levels], dtype="float32", name=name)

    def check(self, targets):
        return problems(targets, self.code.num_classes)

    def doubts(self, targets):
        return missing_classes(targets, self.code.num_classes)

    def loss(self):
        return DetectionLoss(self.code.num_classes, **self.loss_options)

    def decoder(self, *, score=0.25, iou=0.6, max_detections=100, candidates=500, agnostic=False):
        """Return the layer from the raw output to boxes, scores, classes and their count.

        Args:
            score: Least score of a box; to measure average precision, 0.01 or less.
            iou: Largest overlap of two boxes of a class; idle in a head free of suppression.
            max_detections: Number of rows of the answer.
            candidates: Number of the best boxes that suppression looks at.
            agnostic: Whether boxes of all classes suppress each other.
        """
        return BoxDecoder(
            *self.code[:2],
            self.code.branches == 2,
            score=score,
            iou=iou,
            max_detections=max_detections,
            candidates=candidates,
            agnostic=agnostic,
            dtype="float32",
            name=f"{self.name}_decoder",
        )

    def answer(self, features, **options):
        """Return the symbolic answer, from distances and logits apart: see `decoder`.

        In one tensor they would share one scale of 8 bits, which no logit survives.
        """

        def renamed(layer):
            return Renamed(layer, name=f"{self.name}_{layer.name}")

        maps = maps_of(renamed(self.neck)(features))
        points = self.make_points(f"{self.name}_points")(maps)
        parts = {**renamed(self.branches[-1])(maps), "points": points}
        return self.decoder(**options)(parts)


def missing_classes(targets, count):
    """Return, in words, which classes have no box in packed targets."""
    present = set(np.unique(targets[..., 4]).astype(int))
    missing = [i for i in range(count) if i not in present]
    if not missing:
        return []
    shown = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
    return [f"{len(missing)} of {count} classes have no box: {shown}."]


def make_neck(neck, filters, *, norm, activation, **kwargs):
    """Return the layer that mixes the levels."""
    if neck is None:
        return layers.Identity(**kwargs)
    if neck != "pyramid":  # whose convolutions have neither
        kwargs |= {"norm": norm, "activation": activation}
    return NECKS[neck](filters, **kwargs)


def check_levels(levels, least):
    """Raise where levels are no neighbours, fine to coarse."""
    names = isinstance(levels, (list, tuple)) and all(
        isinstance(x, str) and re.fullmatch(r"P\d+", x) for x in levels
    )
    numbers = [int(x[1:]) for x in levels] if names else []
    if len(numbers) < least or numbers != [*range(numbers[0], numbers[0] + len(numbers))]:
        raise ValueError(
            f"`levels` must be at least {least} neighbours, fine to coarse, as ['P3', 'P4', 'P5'] "
            f"(one alone with neck=None). Received: levels={levels!r}."
        )
