"""What the heads that find boxes share."""

import re

import keras
import numpy as np
from keras import layers

from blocks import BiFPN, FeaturePyramid, PathAggregation
from heads.base import Head
from heads.deployment import deploy
from heads.detection.decode import BoxDecoder
from heads.detection.pack import outside, problems
from heads.embedding import Renamed
from heads.graph import answers_by_name, heads_of

ANSWERS = ("boxes", "classes", "count", "scores")
NECKS = {"pyramid": FeaturePyramid, "path_aggregation": PathAggregation, "bifpn": BiFPN}


class BoxHead(Head):
    """A head that answers with boxes, and learns from what `heads.pack_boxes` makes.

    A subclass sets `code`, which knows its raw output, and `decoded`, the arguments of its
    `BoxDecoder`.
    """

    by_batch = True

    def check_beside(self, inputs, targets):
        return outside(targets, [x.shape[1:3] for x in inputs if x.ndim == 4])

    def check(self, targets):
        return problems(targets, self.code.num_classes)

    def doubts(self, targets):
        return missing_classes(targets, self.code.num_classes)

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
            self.code.num_classes,
            **self.decoded,
            score=score,
            iou=iou,
            max_detections=max_detections,
            candidates=candidates,
            agnostic=agnostic,
            dtype="float32",
            name=f"{self.name}_decoder",
        )

    def renamed(self, layer):
        """Return a layer of the head's for the answer, under a name that no other head's has."""
        return Renamed(layer, name=f"{self.name}_{layer.name}")


def boxes_of(model, **options):
    """Return the model that answers with the boxes of the one head that finds some."""
    found = [name for name, head in heads_of(model).items() if "max_detections" in head.options()]
    if len(found) != 1:
        raise ValueError(
            "A model with one head that answers with boxes is needed, as DetectionHead does. "
            f"Received: a model with {', '.join(heads_of(model))}."
        )
    (name,) = found
    if not answers_by_name(model):
        return deploy(model, **options)
    answer = deploy(model, **({name: options} if options else {}))
    return keras.Model(answer.input, {key: answer.output[f"{name}_{key}"] for key in ANSWERS})


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
        return layers.Identity(name=kwargs["name"], dtype=kwargs["dtype"].name)
    if neck != "pyramid":  # whose convolutions have neither
        kwargs |= {"norm": norm, "activation": activation}
    return NECKS[neck](filters, **kwargs)


def check_depth(depth):
    """Raise where a number of convolutions is none."""
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 0:
        raise ValueError(f"`depth` must be a whole number from 0. Received: depth={depth!r}.")


def check_levels(levels, neck):
    """Raise where a neck is unknown, or the levels are not those that it can mix."""
    if neck is not None and neck not in NECKS:
        raise ValueError(
            f"`neck` must be None or one of {', '.join(NECKS)}. Received: neck={neck!r}."
        )
    least = 1 if neck is None else 2
    names = isinstance(levels, (list, tuple)) and all(
        isinstance(x, str) and re.fullmatch(r"P\d+", x) for x in levels
    )
    numbers = [int(x[1:]) for x in levels] if names else []
    if len(numbers) < least or numbers != [*range(numbers[0], numbers[0] + len(numbers))]:
        raise ValueError(
            f"`levels` must be at least {least} neighbours, fine to coarse, as ['P3', 'P4', 'P5'] "
            f"(one alone with neck=None). Received: levels={levels!r}."
        )
