"""The anchor-free detector's head."""

from keras import ops

from blocks.base import check_positive, register
from blocks.pyramid import maps_of
from heads.detection.base import BoxHead, check_depth, check_levels, make_neck
from heads.detection.branches import Branch
from heads.detection.code import Code
from heads.detection.loss import DetectionLoss
from heads.detection.points import Points


@register
class DetectionHead(BoxHead):
    """Boxes at every position of a pyramid, without anchors: one stage, decoupled, task-aligned.

    A neck mixes the levels; of each level one tower gives the distances to the sides of a box and
    another the classes. Targets are `(batch, max_boxes, 5)`, as `heads.pack_boxes` makes them.
    `heads.deploy(model, score=…, iou=…, max_detections=…)` answers with boxes.

    With `nms_free`, a second pair of towers learns to give each object one box alone. They learn
    from the same neck, without teaching it, and answer without suppression: a position answers
    where none of the eight around it is better in its class.

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
        check_levels(levels, neck)
        check_depth(depth)
        self.levels = list(levels)
        self.loss_options = {"bins": bins, "nms_free": nms_free, "class_loss": class_loss}
        self.loss_options |= {"box_loss": box_loss, "weights": loss_weights}
        self.code = Code(num_classes, bins, 2 if nms_free else 1)
        self.decoded = {"bins": bins, "nms_free": nms_free}
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

    def loss(self):
        return DetectionLoss(self.code.num_classes, **self.loss_options)

    def answer(self, features, **options):
        """Return the symbolic answer, from distances and logits apart: see `decoder`.

        In one tensor they would share one scale of 8 bits, which no logit survives.
        """

        maps = maps_of(self.renamed(self.neck)(features))
        points = self.make_points(f"{self.name}_points")(maps)
        parts = {**self.renamed(self.branches[-1])(maps), "points": points}
        return self.decoder(**options)({**parts, "maps": maps})
