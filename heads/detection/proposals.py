"""The first stage of a detector: where objects may be, and what the maps show there."""

from keras import layers, ops

from blocks.base import PlainArguments, check_positive, register
from heads.detection.anchors import AnchorCode
from heads.detection.rows import NOTHING, take, top
from heads.detection.suppress import suppress

FAR = 1e6  # pixels: no box of a network that works
CANDIDATES = 4  # boxes that suppression looks at, for each that is proposed


@register
class Proposals(PlainArguments, layers.Layer):
    """The best boxes beside anchors, those that overlap a better one left out.

    Nothing learns through it. Where too few are left, the best one is repeated.

    Shape: a dict of `"boxes"`, `(batch, anchors, 4)`, `"logits"`, `(batch, anchors, 1)`, and
    `"points"`, the anchors, to a dict of `"boxes"`, `(batch, count, 4)`, left, top, right and
    bottom in pixels, and `"points"`, the same as middles and sides.

    Args:
        count: Number of proposals.
        iou: Largest overlap of two of them; 0.7 in the paper.

    Reference: [Ren et al., 2015](https://arxiv.org/abs/1506.01497)
    """

    stays_float = True  # in int8 files

    def __init__(self, count, iou=0.7, **kwargs):
        super().__init__(**kwargs)
        check_positive(count=count)
        self.count, self.iou = count, iou

    def call(self, branch):
        branch = {key: ops.stop_gradient(branch[key]) for key in ("boxes", "logits", "points")}
        best, branch = top(branch, branch["logits"][..., 0], CANDIDATES * self.count)
        boxes = AnchorCode(1).corners(branch["boxes"], branch["points"])
        scores = ops.where(best > NOTHING, ops.sigmoid(best), -1.0)
        places, _ = suppress(boxes, scores, self.count, self.iou)
        boxes = take(boxes, places)
        boxes = ops.where(ops.abs(boxes) < FAR, boxes, 0.0)  # NaN, too, which no map can be read at
        low, high = boxes[..., :2], boxes[..., 2:]
        return {
            "boxes": boxes,
            "points": ops.concatenate([(low + high) / 2, high - low], axis=-1),
        }

    def compute_output_shape(self, input_shape):
        shape = (input_shape["boxes"][0], self.count, 4)
        return {"boxes": shape, "points": shape}
