"""Boxes as shares of an image's sides, which MediaPipe's `ObjectDetector` reads."""

import numpy as np
from keras import KerasTensor, layers, ops

from blocks.base import PlainArguments, register
from heads.detection.agreement import agreement, aligned, mostly_equal


@register
class RelativeBoxes(PlainArguments, layers.Layer):
    """The answer of a detector in floats, with boxes as shares of the image's sides.

    Shape: a dict of `"image"`, `(batch, height, width, channels)`, and what a `BoxDecoder` gives,
    to a dict: `"location"`, `(batch, rows, 4)`, left, top, right and bottom from 0 to 1;
    `"category"` and `"score"`, `(batch, rows)`; `"number_of_detections"`, `(batch,)`. Behind that
    number all is 0. What lies outside of the image is cut off: MediaPipe would move the box inside.

    Args:
        num_classes: Number of classes.
        score: Least score of a box.
        proposals: As in `BoxDecoder`, of which this is the end.

    >>> answer = {"image": np.ones((1, 8, 4, 3)), "boxes": np.array([[[1.0, 0, 2, 4]]])}
    >>> answer |= {"scores": np.ones((1, 1)), "classes": np.ones((1, 1)), "count": np.ones((1,))}
    >>> RelativeBoxes(2)(answer)["location"].numpy().tolist()
    [[[0.25, 0.0, 0.5, 0.5]]]
    """

    stays_float = True  # in int8 files
    answers = ("category", "location", "number_of_detections", "score")

    def __init__(self, num_classes, score=0.0, proposals=0, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.score, self.proposals = num_classes, score, proposals

    def call(self, inputs):
        height, width = (ops.cast(side, "float32") for side in ops.shape(inputs["image"])[1:3])
        shares = inputs["boxes"] / ops.stack([width, height, width, height])
        return {
            "location": ops.clip(shares, 0.0, 1.0),
            "category": ops.cast(ops.maximum(inputs["classes"], 0), "float32"),
            "score": inputs["scores"],
            "number_of_detections": ops.cast(inputs["count"], "float32"),
        }

    def agreement(self, expected, actual):
        """Return how far two answers say the same: what a file of 8 bits is judged by."""
        return agreement(_absolute(expected), _absolute(actual))

    def aligned(self, expected, actual):
        """Return `actual` with near ties in the order of `expected`, for a file of floats."""
        made = aligned(_absolute(expected), _absolute(actual), self.score)
        return {
            "location": made["boxes"],
            "category": np.maximum(made["classes"], 0),
            "score": made["scores"],
            "number_of_detections": made["count"],
        }

    def excuses(self, expected, actual):
        """Return whether answers may differ by the choice of proposals, as `BoxDecoder` does."""
        given = _absolute(expected), _absolute(actual)
        return self.proposals > 0 and mostly_equal(*given, self.score, self.num_classes)

    def compute_output_shape(self, input_shape):
        return {
            "location": input_shape["boxes"],
            "category": input_shape["classes"],
            "score": input_shape["scores"],
            "number_of_detections": input_shape["count"],
        }

    def compute_output_spec(self, inputs):
        shapes = self.compute_output_shape({key: x.shape for key, x in inputs.items()})
        return {key: KerasTensor(shape, "float32") for key, shape in shapes.items()}


def _absolute(answer):
    """Return an answer's arrays by the names of a `BoxDecoder`, classes behind the count -1."""
    rows = np.arange(answer["category"].shape[1])
    is_box = rows < answer["number_of_detections"][:, None]
    return {
        "boxes": answer["location"],
        "classes": np.where(is_box, answer["category"], -1),
        "scores": answer["score"],
        "count": answer["number_of_detections"],
    }
