"""The detector in two stages."""

import math

from keras import initializers, layers, ops

from blocks.base import Block, check_positive, register
from blocks.pyramid import maps_of
from heads.detection.anchors import AnchorCode, Anchors, anchor_shapes
from heads.detection.base import BoxHead, check_depth, check_levels, make_neck
from heads.detection.branches import PRIOR, Branch
from heads.detection.proposals import Proposals
from heads.detection.rcnn_loss import RCNNLoss
from heads.detection.roi_align import RoIAlign


@register
class BoxTower(Block):
    """What is seen within boxes, as logits and as boxes beside them.

    Shape: `(batch, boxes, size, size, channels)` to a dict of `"boxes"`, `(batch, boxes, 4)`, and
    `"logits"`, `(batch, boxes, num_classes)`, in float32.

    Args:
        num_classes: Number of classes.
        hidden: Units of the two dense layers before.
        activation: Their activation.

    >>> {key: x.shape for key, x in BoxTower(3, 16)(np.ones((1, 5, 7, 7, 8))).items()}
    {'boxes': (1, 5, 4), 'logits': (1, 5, 3)}
    """

    def __init__(self, num_classes, hidden, *, activation="relu", **kwargs):
        super().__init__(**kwargs)
        check_positive(num_classes=num_classes, hidden=hidden)
        self.denses = [
            layers.Dense(hidden, activation, dtype=self.dtype_policy, name=f"dense{i}")
            for i in range(2)
        ]
        bias = math.log(PRIOR / (1 - PRIOR))
        self.boxes = layers.Dense(4, dtype="float32", name="boxes")
        self.logits = layers.Dense(
            num_classes,
            bias_initializer=initializers.Constant(bias),
            dtype="float32",
            name="logits",
        )

    def build(self, input_shape):
        size = math.prod(input_shape[2:])
        self.flatten = layers.Reshape((-1, size), dtype=self.dtype_policy, name="flatten")
        super().build(input_shape)

    def call(self, x):
        x = self.flatten(x)
        for dense in self.denses:
            x = dense(x)
        return {"boxes": self.boxes(x), "logits": self.logits(x)}


@register
class RCNNHead(BoxHead):
    """Boxes in two stages, as Faster R-CNN: anchors propose some, which are looked at again.

    In training, too, the second stage sees the proposals of the first one and not the true boxes,
    which `call` is not given: until the first stage has learned, the second one learns little. It
    says a class by sigmoids, without one for the background, and one box for all classes. Targets
    are `(batch, max_boxes, 5)`, as `heads.pack_boxes` makes them. `heads.deploy(model, score=…,
    iou=…, max_detections=…)` answers with boxes.

    Shape: a dict of `(batch, height_i, width_i, channels_i)` by level to `(batch, anchors +
    proposals, 4 + num_classes + 4)`: box, logits and anchor, as in `SSDHead`; of the anchors the
    first logit alone is used, and the anchors of the last rows are the proposals.

    Args:
        num_classes: Number of classes, background not counted.
        levels: Names of the levels, neighbours, fine to coarse.
        filters: Channels of the neck and the towers.
        depth: Convolutions of the first stage before its prediction.
        neck: `"pyramid"`, `"path_aggregation"`, `"bifpn"`, or `None` where the backbone ends in
            one.
        anchor_size: Side of the smallest anchors, in strides of their level.
        octaves: Sizes of anchors between one level's and the next one's.
        ratios: Widths of the anchors by their heights.
        proposals: Number of boxes that are looked at again; 300 in the paper.
        pool: Cells in a row of the grid that is read of each; 7 in the paper.
        hidden: Units of the second stage's two layers; 1024 in the paper of the pyramid.
        class_loss: `"hard_negatives"` or `"focal"`, as in `SSDHead`, of both stages.
        matching: Overlap from which on an anchor learns a box.
        proposal_matching: Overlap from which on a proposal learns a box.
        norm: Normalization of the first stage.
        activation: Activation of both stages.

    Raises:
        ValueError: If an argument is out of its range.

    Reference: [Ren et al., 2015](https://arxiv.org/abs/1506.01497);
    [Lin et al., 2016](https://arxiv.org/abs/1612.03144) (with a pyramid);
    [Shrivastava et al., 2016](https://arxiv.org/abs/1604.03540) (hard negatives)

    >>> maps = {"P3": np.ones((1, 4, 4, 8)), "P4": np.ones((1, 2, 2, 8))}
    >>> RCNNHead(3, levels=["P3", "P4"], filters=8, proposals=10)(maps).shape
    (1, 70, 11)
    """

    def __init__(
        self,
        num_classes,
        *,
        levels=("P3", "P4", "P5"),
        filters=64,
        depth=1,
        neck="pyramid",
        anchor_size=4.0,
        octaves=1,
        ratios=(0.5, 1.0, 2.0),
        proposals=100,
        pool=7,
        hidden=256,
        class_loss="hard_negatives",
        matching=0.5,
        proposal_matching=0.5,
        norm="batch",
        activation="relu6",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_classes=num_classes, filters=filters)
        check_levels(levels, neck)
        check_depth(depth)
        shapes = anchor_shapes(anchor_size, octaves, ratios)
        strides = [2 ** int(x[1:]) for x in levels]
        self.levels, self.code = list(levels), AnchorCode(num_classes)
        self.decoded = {"bins": 0, "proposals": proposals}
        self.loss_options = {"proposals": proposals, "class_loss": class_loss, "iou": matching}
        self.loss_options |= {"proposal_iou": proposal_matching}
        self.loss()  # wrong options are told now
        common = {"activation": activation, "dtype": self.dtype_policy}
        self.neck = make_neck(neck, filters, norm=norm, name="neck", **common)
        options = {"each": len(shapes), "bias": 0.0, "norm": norm, "name": "branch"}
        self.branch = Branch(1, 1, filters, depth, len(levels), **options, **common)
        self.tower = BoxTower(num_classes, hidden, name="tower", **common)
        self.parts = {
            "anchors": lambda name: Anchors(strides, shapes, dtype="float32", name=name),
            "proposals": lambda name: Proposals(proposals, dtype="float32", name=name),
            "align": lambda name: RoIAlign(strides, pool, dtype="float32", name=name),
        }
        self.anchors, self.proposals, self.align = (make(x) for x, make in self.parts.items())

    def call(self, features):
        maps = maps_of(self.neck(features))
        first, anchors = self.branch(maps), self.anchors(maps)
        proposed = self.proposals({**first, "points": anchors})
        second = self.tower(self.align({"maps": maps, "boxes": proposed["boxes"]}))
        logits = ops.repeat(first["logits"], self.code.num_classes, axis=-1)
        rows = [
            self.code.join({**first, "logits": logits}, anchors),
            self.code.join(second, proposed["points"]),
        ]
        return ops.concatenate(rows, axis=1)

    def loss(self):
        return RCNNLoss(self.code.num_classes, **self.loss_options)

    def answer(self, features, **options):
        """Return the symbolic answer of the second stage: see `decoder`."""
        own = {key: make(f"{self.name}_{key}") for key, make in self.parts.items()}
        maps = maps_of(self.renamed(self.neck)(features))
        first = {**self.renamed(self.branch)(maps), "points": own["anchors"](maps)}
        proposed = own["proposals"](first)
        grids = own["align"]({"maps": maps, "boxes": proposed["boxes"]})
        parts = {**self.renamed(self.tower)(grids), "points": proposed["points"]}
        return self.decoder(**options)(parts)
