"""What MediaPipe Tasks read in a file: task, normalisation, labels, threshold."""

import math
import warnings
from dataclasses import dataclass
from numbers import Real

TASKS = ("classification", "segmentation", "detection")
ACTIVATIONS = ("none", "sigmoid", "softmax")
LABELS = "labels.txt"
DETECTIONS = ("location", "category", "score", "number_of_detections")
RANKS = {"classification": (2, 4), "segmentation": (4,)}
REPAIRS = {
    "classification": "Give the model that heads.deploy makes without a threshold.",
    "segmentation": "Give the model that heads.for_task makes, or one of raw scores.",
    "detection": "Give the model that heads.for_task makes.",
}


@dataclass(frozen=True)
class Metadata:
    """How MediaPipe Tasks feed a file and read its answers.

    A picture of any size is resized, and of each pixel, 0 to 255 and red first, `(pixel - mean) /
    std` goes into the file. A model that holds its normalisation as its first layers needs neither.

    Args:
        task: `"classification"` for `ImageClassifier`, `"segmentation"` for `ImageSegmenter`, or
            `"detection"` for `ObjectDetector`.
        mean: What is taken off a pixel, one number or one for each channel.
        std: What the rest is divided by.
        score_threshold: Least score that is told, of classes and boxes; an app may say another.
        activation: What makes probabilities of a segmentation's answers: `"none"`, `"sigmoid"` or
            `"softmax"`.
        name: The model's name.
        description: What it is for, in words.

    Raises:
        ValueError: If an argument is out of its range.
    """

    task: str
    mean: float | tuple = 0.0
    std: float | tuple = 1.0
    score_threshold: float | None = None
    activation: str = "none"
    name: str | None = None
    description: str | None = None

    def __post_init__(self):
        if self.task not in TASKS:
            raise ValueError(f"`task` must be one of {', '.join(TASKS)}. Received: {self.task!r}.")
        mean, std = _numbers("mean", self.mean), _numbers("std", self.std)
        if min(std) <= 0:
            raise ValueError(f"`std` must be above 0. Received: std={self.std!r}.")
        count = max(len(mean), len(std))
        object.__setattr__(self, "mean", mean * (count // len(mean)))
        object.__setattr__(self, "std", std * (count // len(std)))
        least = self.score_threshold
        if least is not None and (not _is_number(least) or not 0 <= least <= 1):
            raise ValueError(
                f"`score_threshold` must lie in [0, 1]. Received: score_threshold={least!r}."
            )
        if least is not None and self.task == "segmentation":
            raise ValueError("A segmentation has no score threshold. Received: one. Leave it out.")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"`activation` must be one of {', '.join(ACTIVATIONS)}. "
                f"Received: activation={self.activation!r}."
            )
        if self.activation != "none" and self.task != "segmentation":
            raise ValueError(
                "`activation` belongs to a segmentation; other files answer with probabilities. "
                f"Received: activation={self.activation!r} for {self.task}."
            )
        for key in ("name", "description"):
            if not isinstance(getattr(self, key), (str, type(None))):
                raise ValueError(f"`{key}` must be text. Received: {getattr(self, key)!r}.")

    def to_dict(self):
        plain = {**vars(self), "mean": list(self.mean), "std": list(self.std)}
        return {key: value for key, value in plain.items() if value is not None}


def metadata_of(value):
    """Return a `Metadata`: itself, of a task's name alone, or of a dict of its arguments."""
    if isinstance(value, Metadata):
        return value
    if isinstance(value, dict):
        return Metadata(**value)
    return Metadata(value)


def checked_labels(labels):
    """Return names of classes as a list of text, each a line of a file.

    Raises:
        ValueError: If they are no list, or one is empty or of several lines.
    """
    if labels is None:
        return None
    if isinstance(labels, (bytes, dict)) or not hasattr(labels, "__iter__"):
        raise ValueError(f"`labels` must be a list of names. Received: labels={labels!r}.")
    labels = [str(label) for label in labels]
    wrong = [label for label in labels if not label.strip() or len(label.splitlines()) > 1]
    if wrong:
        raise ValueError(f"A label is one line of text, not empty. Received: {wrong[0]!r}.")
    return labels


def check_fit(metadata, inputs, outputs, labels=None, classes=None):
    """Raise where a task cannot read a file of these `signature.Tensor`s.

    Args:
        metadata: A `Metadata`.
        inputs, outputs: `Tensor`s; sizes that are not known yet are `None`.
        labels: Names of the classes, or `None`.
        classes: Number of classes, where the outputs' shapes do not tell it.
    """
    task = metadata.task
    x = inputs[0]
    if len(inputs) != 1 or len(x.shape) != 4 or x.shape[0] != 1 or x.shape[3] not in (3, None):
        raise ValueError(
            "A task takes one input, an image (1, height, width, 3). "
            f"Received: {_shown(inputs)}. A file of other inputs has no metadata."
        )
    if x.dtype not in ("float32", "uint8"):
        raise ValueError(f"A task's image is of float32 or uint8. Received: {x.dtype}.")
    if x.dtype == "uint8" and (set(metadata.mean), set(metadata.std)) != ({0.0}, {1.0}):
        raise ValueError(
            "An image of uint8 goes into the file as it is. Received: "
            f"mean={list(metadata.mean)}, std={list(metadata.std)}. Leave them out, and begin the "
            "model with keras.layers.Rescaling."
        )
    fits = _are_detections if task == "detection" else _is_map
    if not fits(task, outputs):
        rule = {
            "classification": "one output (1, classes) of float32 or uint8",
            "segmentation": "one output (1, height, width, classes) of float32",
            "detection": f"the outputs {', '.join(DETECTIONS)} of float32",
        }[task]
        raise ValueError(
            f"A file for {task} has {rule}. Received: {_shown(outputs)}. {REPAIRS[task]}"
        )
    if task == "detection":
        if labels is None:
            raise ValueError("A detector's classes have names. Received: labels=None.")
    else:
        classes = outputs[0].shape[-1]
    if labels is not None and classes not in (None, len(labels)):
        raise ValueError(f"`labels` must name {classes} classes. Received: {len(labels)} labels.")


def check_range(metadata, samples):
    """Warn where samples of a float image are not what a task would feed."""
    if samples.dtype.kind != "f":
        return
    pairs = list(zip(metadata.mean, metadata.std))
    low, high = min((0 - m) / s for m, s in pairs), max((255 - m) / s for m, s in pairs)
    slack, least, most = 0.05 * (high - low), float(samples.min()), float(samples.max())
    if least < low - slack or most > high + slack or most - least < 0.02 * (high - low):
        warnings.warn(
            f"A task would feed numbers from {low:.4g} to {high:.4g}, by `mean` and `std` of the "
            f"metadata, and the samples go from {least:.4g} to {most:.4g}. Give those that the "
            "model was trained with, or samples as an app has them.",
            stacklevel=3,
        )


def _is_map(task, outputs):
    x, kinds = outputs[0], {"float32", "uint8"} if task == "classification" else {"float32"}
    flat = task == "segmentation" or all(side in (1, None) for side in x.shape[:-1])
    return len(outputs) == 1 and len(x.shape) in RANKS[task] and x.dtype in kinds and flat


def _are_detections(task, outputs):
    ranks = {x.name: len(x.shape) for x in outputs}
    right = dict(zip(DETECTIONS, (3, 2, 2, 1)))
    return ranks == right and all(x.dtype == "float32" for x in outputs)


def _shown(tensors):
    return ", ".join(f"{x.name} {list(x.shape)} {x.dtype}" for x in tensors)


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(name, value):
    numbers = tuple(value) if hasattr(value, "__iter__") else (value,)
    if len(numbers) not in (1, 3) or not all(map(_is_number, numbers)):
        raise ValueError(
            f"`{name}` is one number, or one for red, green and blue. Received: {name}={value!r}."
        )
    return tuple(map(float, numbers))
