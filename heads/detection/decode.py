"""From what every position says to boxes."""

import keras
from keras import layers, ops

from blocks.base import PlainArguments, check_positive, register
from heads.base import are_numbers
from heads.detection.agreement import agreement, aligned, mostly_equal
from heads.detection.anchors import AnchorCode
from heads.detection.code import Code
from heads.detection.peaks import peaks_of_maps, peaks_of_rows, untied
from heads.detection.rows import NOTHING, take, top
from heads.detection.suppress import suppress
from heads.values import largest


@register
class BoxDecoder(PlainArguments, layers.Layer):
    """The best boxes of a `DetectionHead`, with scores and classes.

    Every position gives the box of its best class. The `candidates` best of them are taken, and
    those that overlap a better one of their class are left out. Where the head is free of that, a
    position answers if none beside it, on its own level, is better in its class.

    Shape: the raw output `(batch, points, columns)`, or a dict of its parts (and `"maps"`, a list
    of `(batch, height_i, width_i, channels_i)`, whose positions they are), to a dict: `"boxes"`,
    `(batch, max_detections, 4)`, left, top, right and bottom in pixels of the network's image;
    `"scores"` and `"classes"`, `(batch, max_detections)`; `"count"`, `(batch,)`. The best come
    first; behind `count` boxes and scores are 0 and classes -1.

    Args:
        num_classes: Number of classes.
        bins: Logits of a distance; 0 where boxes are relative to anchors.
        nms_free: Whether the one-to-one branch answers, without suppression.
        proposals: Number of the last rows of a raw output that alone answer; 0 for all.
        score: Least score.
        iou: Largest overlap of two boxes of a class.
        max_detections: Number of rows.
        candidates: Number of boxes that suppression looks at; without it, of positions of a raw
            output that are compared with those beside them, three for each row of the answer at
            least. Idle where `"maps"` are given.
        agnostic: Whether boxes of all classes suppress each other.

    Reference: [Zhou et al., 2019](https://arxiv.org/abs/1904.07850), section 4 (peaks)
    """

    stays_float = True  # in int8 files
    answers = ("boxes", "classes", "count", "scores")

    def __init__(
        self,
        num_classes,
        bins=16,
        nms_free=False,
        proposals=0,
        *,
        score=0.25,
        iou=0.6,
        max_detections=100,
        candidates=500,
        agnostic=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(max_detections=max_detections, candidates=candidates)
        for name, value in {"score": score, "iou": iou}.items():
            if not are_numbers(value, ()) or not 0 <= value <= 1:
                raise ValueError(f"`{name}` must lie in [0, 1]. Received: {name}={value!r}.")
        self.code = (
            Code(num_classes, bins, 2 if nms_free else 1) if bins else AnchorCode(num_classes)
        )
        self.score, self.iou, self.agnostic = score, iou, agnostic
        self.max_detections, self.candidates, self.is_free = max_detections, candidates, nms_free
        self.proposals = proposals

    @property
    def num_classes(self):
        """Number of classes."""
        return self.code.num_classes

    def call(self, inputs):
        if not isinstance(inputs, dict) and self.proposals:
            inputs = inputs[:, -self.proposals :]
        branch = dict(inputs) if isinstance(inputs, dict) else self.code.split(inputs)[-1]
        maps = branch.pop("maps", None)
        found = self.peaks(branch, maps) if self.is_free else self.suppressed(branch)
        return self.padded(*found)

    def suppressed(self, branch):
        """Return boxes, scores and classes of the best that overlap no better one."""
        best = ops.max(branch["logits"], axis=-1)
        boxes, scores, classes = self.best(branch, best, self.candidates)
        apart = boxes if self.agnostic else by_class(boxes, classes, scores)
        places, count = suppress(apart, scores, self.max_detections, self.iou)
        kept = ops.arange(self.max_detections, dtype="int32")[None] < count[:, None]
        scores = ops.where(kept, take(scores[..., None], places)[..., 0], -1.0)
        return take(boxes, places), scores, take(classes[..., None], places)[..., 0]

    def peaks(self, branch, maps):
        """Return boxes, scores and classes of the best positions that none beside them betters."""
        logits = untied(branch["logits"], branch["points"])
        best = ops.max(logits, axis=-1)
        if maps:
            is_peak = peaks_of_maps(logits, best, [ops.shape(x)[1:3] for x in maps])
        else:
            most = max(self.candidates, 3 * self.max_detections)
            best, branch = top({**branch, "untied": logits}, best, most)
            is_peak = peaks_of_rows(branch["untied"], best, branch["points"])
        order = ops.where(is_peak, ops.max(branch["logits"], axis=-1), NOTHING)
        return self.best(branch, order, self.max_detections)

    def best(self, branch, order, count):
        """Return boxes, scores and classes of the first rows; a score below 0 is of none.

        Args:
            branch: Dict of `(batch, rows, columns)`.
            order: `(batch, rows)`: the largest come first, and `NOTHING` is no row.
            count: Number of rows, if there are as many.
        """
        order, branch = top(branch, order, count)
        boxes = self.code.corners(branch["boxes"], branch["points"])
        scores = ops.sigmoid(ops.max(branch["logits"], axis=-1))
        scores = ops.where((scores >= self.score) & (order > NOTHING), scores, -1.0)
        return boxes, scores, largest(branch["logits"])

    def agreement(self, expected, actual):
        """Return how far two answers say the same: what a file of 8 bits is judged by."""
        return agreement(expected, actual)

    def aligned(self, expected, actual):
        """Return `actual` with near ties in the order of `expected`, for a file of floats."""
        return aligned(expected, actual, self.score)

    def excuses(self, expected, actual):
        """Return whether the answers to some images may differ by the choice of proposals.

        Which of two proposals of nearly equal scores is looked at is rounding's choice, and a box
        follows it. In each image half of what is said must be the same all the same, so an image of
        one box is never excused, and in all of them most must agree.
        """
        given = expected, actual, self.score, self.code.num_classes
        return self.proposals > 0 and mostly_equal(*given)

    def padded(self, boxes, scores, classes):
        """Return the answer, with rows where there is no box."""
        found = scores >= 0
        more = self.max_detections - scores.shape[1]
        answer = {
            "boxes": ops.where(found[..., None], boxes, 0.0),
            "scores": ops.where(found, scores, 0.0),
            "classes": ops.where(found, classes, -1),
        }
        if more > 0:
            fill = {"boxes": 0.0, "scores": 0.0, "classes": -1}
            answer = {
                key: ops.pad(
                    x, [[0, 0], [0, more], [0, 0]][: len(x.shape)], constant_values=fill[key]
                )
                for key, x in answer.items()
            }
        return {**answer, "count": ops.sum(ops.cast(found, "int32"), axis=-1)}

    def compute_output_shape(self, input_shape):
        batch = (input_shape["logits"] if isinstance(input_shape, dict) else input_shape)[0]
        rows = (batch, self.max_detections)
        return {"boxes": (*rows, 4), "scores": rows, "classes": rows, "count": (batch,)}

    def compute_output_spec(self, inputs):
        shape = inputs["logits"].shape if isinstance(inputs, dict) else inputs.shape
        kinds = {"classes": "int32", "count": "int32"}
        return {
            key: keras.KerasTensor(value, kinds.get(key, "float32"))
            for key, value in self.compute_output_shape(shape).items()
        }


def by_class(boxes, classes, scores):
    """Return boxes moved so far that those of two classes cannot overlap, image by image."""
    real = ops.where(scores[..., None] >= 0, boxes, 0.0)
    low, high = ops.min(real, axis=(1, 2)), ops.max(real, axis=(1, 2))
    far = (high - low + 1)[:, None, None]
    return real - low[:, None, None] + ops.cast(classes, boxes.dtype)[..., None] * far
