"""The detector with anchors."""

from blocks.base import check_positive, register
from blocks.pyramid import maps_of
from heads.detection.anchors import AnchorCode, Anchors, anchor_shapes
from heads.detection.base import BoxHead, check_depth, check_levels, make_neck
from heads.detection.branches import Branch
from heads.detection.ssd_loss import SSDLoss


@register
class SSDHead(BoxHead):
    """Boxes beside anchors of every position of a pyramid: one stage, as SSD and RetinaNet.

    A neck mixes the levels, and towers say of every anchor its classes and how its box differs
    from it. Targets are `(batch, max_boxes, 5)`, as `heads.pack_boxes` makes them.
    `heads.deploy(model, score=…, iou=…, max_detections=…)` answers with boxes.

    Shape: a dict of `(batch, height_i, width_i, channels_i)` by level to `(batch, anchors, 4 +
    num_classes + 4)`: box, logits and anchor, as `heads.detection.anchors.AnchorCode` says.

    Args:
        num_classes: Number of classes, background not counted.
        levels: Names of the levels, neighbours, fine to coarse.
        filters: Channels of the neck and the towers.
        depth: Convolutions in a tower before its prediction.
        neck: `"pyramid"`, `"path_aggregation"`, `"bifpn"`, or `None` where the backbone ends in
            one.
        anchor_size: Side of the smallest anchors, in strides of their level; 4 in RetinaNet.
        octaves: Sizes of anchors between one level's and the next one's.
        ratios: Widths of the anchors by their heights.
        separable: Whether the towers' convolutions are depthwise-separable, as SSDLite's.
        class_loss: `"focal"`, or `"hard_negatives"`, SSD's.
        matching: Overlap from which on an anchor learns a box.
        norm: Normalization of the towers.
        activation: Activation of the towers.

    Raises:
        ValueError: If an argument is out of its range.

    Reference: [Liu et al., 2015](https://arxiv.org/abs/1512.02325) (SSD);
    [Lin et al., 2017](https://arxiv.org/abs/1708.02002) (RetinaNet's anchors, focal loss)

    >>> maps = {"P3": np.ones((1, 4, 4, 8)), "P4": np.ones((1, 2, 2, 8))}
    >>> SSDHead(3, levels=["P3", "P4"], filters=8)(maps).shape
    (1, 120, 11)
    """

    def __init__(
        self,
        num_classes,
        *,
        levels=("P3", "P4", "P5"),
        filters=64,
        depth=2,
        neck="pyramid",
        anchor_size=4.0,
        octaves=2,
        ratios=(0.5, 1.0, 2.0),
        separable=False,
        class_loss="focal",
        matching=0.5,
        norm="batch",
        activation="relu6",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_classes=num_classes, filters=filters)
        check_levels(levels, neck)
        check_depth(depth)
        self.shapes = anchor_shapes(anchor_size, octaves, ratios)
        self.levels, self.code, self.decoded = list(levels), AnchorCode(num_classes), {"bins": 0}
        self.loss_options = {"class_loss": class_loss, "iou": matching}
        self.loss()  # wrong options are told now
        common = {"norm": norm, "activation": activation, "dtype": self.dtype_policy}
        self.neck = make_neck(neck, filters, name="neck", **common)
        self.branch = Branch(
            num_classes,
            1,
            filters,
            depth,
            len(self.levels),
            each=len(self.shapes),
            bias=0.0,
            separable=separable,
            name="branch",
            **common,
        )
        self.anchors = self.make_anchors("anchors")

    def call(self, features):
        maps = maps_of(self.neck(features))
        return self.code.join(self.branch(maps), self.anchors(maps))

    def make_anchors(self, name):
        strides = [2 ** int(x[1:]) for x in self.levels]
        return Anchors(strides, self.shapes, dtype="float32", name=name)

    def loss(self):
        return SSDLoss(self.code.num_classes, **self.loss_options)

    def answer(self, features, **options):
        """Return the symbolic answer, from boxes and logits apart: see `decoder`."""

        maps = maps_of(self.renamed(self.neck)(features))
        anchors = self.make_anchors(f"{self.name}_anchors")(maps)
        return self.decoder(**options)({**self.renamed(self.branch)(maps), "points": anchors})
