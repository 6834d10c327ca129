"""From what every position says to boxes."""

import keras
import numpy as np
from keras import layers, ops

from blocks.base import PlainArguments, check_positive, register
from heads.base import are_numbers
from heads.detection.agreement import agreement, aligned
from heads.detection.anchors import AnchorCode
from heads.detection.code import Code
from heads.detection.suppress import suppress
from heads.values import largest

NOTHING = -1e4  # a logit that no position has


@register
class BoxDecoder(PlainArguments, layers.Layer):
    """The best boxes of a `DetectionHead`, with scores and classes.

    Every position gives the box of its best class. The `candidates` best of them are taken, and
    those that overlap a better one of their class are left out. Where the head is free of that, a
    position answers if none beside it, on its own level, is better in its class.

    Shape: the raw output `(batch, points, columns)`, or a dict of its parts, to a dict: `"boxes"`,
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
        candidates: Number of boxes that suppression looks at; without it, three times
            `max_detections` positions are compared with those beside them.
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

    def call(self, inputs):
        if not isinstance(inputs, dict) and self.proposals:
            inputs = inputs[:, -self.proposals :]
        branch = inputs if isinstance(inputs, dict) else self.code.split(inputs)[-1]
        count = 3 * self.max_detections if self.is_free else self.candidates
        if branch["logits"].shape[1] is None:  # perhaps fewer than that
            branch = {key: lengthened(x, count) for key, x in branch.items()}
        logits = branch["logits"]
        best, places = ops.top_k(ops.max(logits, axis=-1), min(count, logits.shape[1] or count))
        chosen = {key: take(x, places) for key, x in branch.items()}
        boxes = self.code.corners(chosen["boxes"], chosen["points"])
        classes = largest(chosen["logits"])
        scores = ops.sigmoid(best)
        scores = ops.where((scores >= self.score) & (best > NOTHING), scores, -1.0)
        if self.is_free:
            scores = ops.where(peaks(chosen["points"], classes), scores, -1.0)
            scores, places = ops.top_k(scores, min(self.max_detections, scores.shape[1]))
            classes = take(classes[..., None], places)[..., 0]
            return self.padded(take(boxes, places), scores, classes)
        apart = boxes if self.agnostic else by_class(boxes, classes, scores)
        places, count = suppress(apart, scores, self.max_detections, self.iou)
        kept = ops.arange(self.max_detections, dtype="int32")[None] < count[:, None]
        scores = ops.where(kept, take(scores[..., None], places)[..., 0], -1.0)
        classes = take(classes[..., None], places)[..., 0]
        return self.padded(take(boxes, places), scores, classes)

    def agreement(self, expected, actual):
        """Return how far two answers say the same: what a file of 8 bits is judged by."""
        return agreement(expected, actual)

    def aligned(self, expected, actual):
        """Return `actual` with near ties in the order of `expected`, for a file of floats."""
        return aligned(expected, actual, self.score)

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
        shape = (
            {k: v.shape for k, v in inputs.items()} if isinstance(inputs, dict) else inputs.shape
        )
        kinds = {"classes": "int32", "count": "int32"}
        return {
            key: keras.KerasTensor(value, kinds.get(key, "float32"))
            for key, value in self.compute_output_shape(shape).items()
        }


def peaks(points, classes):
    """Return which of positions, the best first, have no better one of their class beside them.

    Beside a position are the eight around it on its level.
    """
    places, strides = points[..., :2], points[..., 2]
    apart = ops.abs(places[:, :, None] - places[:, None]) / strides[:, :, None, None]
    beside = ops.all(apart < 1.5, axis=-1) & (strides[:, :, None] == strides[:, None])
    order = np.arange(points.shape[1])
    better = ops.convert_to_tensor((order[:, None] > order)[None])
    same = classes[:, :, None] == classes[:, None]
    return ~ops.any(beside & same & better, axis=-1)


def by_class(boxes, classes, scores):
    """Return boxes moved so far that those of two classes cannot overlap, image by image."""
    real = ops.where(scores[..., None] >= 0, boxes, 0.0)
    low, high = ops.min(real, axis=(1, 2)), ops.max(real, axis=(1, 2))
    far = (high - low + 1)[:, None, None]
    return real - low[:, None, None] + ops.cast(classes, boxes.dtype)[..., None] * far


def lengthened(x, count):
    """Return `(batch, rows, columns)` with more rows, whose logits are those of nothing."""
    return ops.concatenate([x, ops.repeat(0 * x[:, :1] + NOTHING, count, axis=1)], axis=1)


def take(x, places):
    """Return the rows of `(batch, rows, columns)` at places, `(batch, number)`."""
    if x.shape[0] == 1:  # of a file, whose runtime gathers from one image
        return ops.take(x[0], places[0], axis=0)[None]
    batch, rows, columns = ops.shape(x)
    starts = ops.arange(batch, dtype="int32")[:, None] * rows
    return ops.take(ops.reshape(x, (-1, columns)), ops.cast(places, "int32") + starts, axis=0)
