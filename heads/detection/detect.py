"""Boxes in images of any size."""

import functools

import keras
import numpy as np

from blocks.base import check_positive
from heads import pixels
from heads.detection.base import ANSWERS, boxes_of
from heads.detection.soft_nms import soft_nms as softened
from heads.segmentation.segment import checked_size, is_raw, of_images, opened, resized

ENOUGH = 300  # boxes that Soft-NMS looks at


def detect(model, images, *, size=None, letterbox=False, batch_size=8, soft_nms=None, **options):
    """Return the boxes in images, in the pixels of each image as it was given.

    An image is resized to what the model takes, and its boxes back.

    Args:
        model: A `keras.Model` made by `heads.attach`, or one that answers, made by `heads.deploy`;
            or a function from a batch of images to the answers of one, such as
            `functools.partial(export.predict, "boxes.tflite")`.
        images: A list of images `(height, width, channels)` of any sizes, with the values that the
            model was trained on, or a batch; or paths of files, a list or one, which are read
            upright, as red, green and blue from 0 to 255.
        size: `(height, width)` that the model takes; by default the model's own. A function and
            a model of open sides need it.
        letterbox: Whether to keep the aspect and fill the rest, to the right and below, with
            zeros. If not, images are stretched.
        batch_size: Number of images at a time.
        soft_nms: Sigma of `heads.soft_nms`, which then takes the place of suppression; for a model
            made by `attach`.
        **options: Options of the decoder, such as `score=0.4`, for a model made by `attach`.

    Returns:
        A list with a dict for each image: `"boxes"`, float32 `(boxes, 4)`, left, top, right and
        bottom, `"scores"`, `(boxes,)`, and `"classes"`, int32 `(boxes,)`, the best first.

    Raises:
        ValueError: If the model does not answer with boxes, or sizes do not fit.

    >>> def model(images):
    ...     one = {"boxes": [[[0, 0, 2, 4]]], "scores": [[0.9]], "classes": [[1]], "count": [1]}
    ...     return {key: np.array(x) for key, x in one.items()}
    >>> detect(model, [np.ones((8, 6, 3))], size=(4, 4))[0]["boxes"].tolist()
    [[0.0, 0.0, 3.0, 8.0]]
    """
    check_positive(batch_size=batch_size)
    soften = None
    if soft_nms is not None:
        if not isinstance(model, keras.Model) or not is_raw(model):
            raise ValueError(
                "`soft_nms` needs a model made by heads.attach: one that answers has left out "
                f"boxes already. Received: {model!r}."
            )
        idle = sorted({"agnostic", "iou"} & set(options))
        if idle:
            raise ValueError(
                "`soft_nms` takes the place of suppression, class by class. "
                f"Received: {', '.join(idle)}, too, which would do nothing."
            )
        most, score = options.get("max_detections", 100), options.get("score", 0.25)
        soften = functools.partial(softened, sigma=soft_nms, score=score, max_detections=most)
        options = {**options, "iou": 1.0, "max_detections": max(ENOUGH, most)}
    predict, own = _predictor(model, options)
    size = checked_size(size, own, True)
    images = [images] if pixels.is_path(images) else images
    found = []
    for start in range(0, len(images), batch_size):
        given = [_read(x) for x in images[start : start + batch_size]]
        fitted = [_fitted(x, size, letterbox) for x in given]
        answers = predict(np.stack([x for x, _ in fitted]))
        if not isinstance(answers, dict) or not set(answers) >= set(ANSWERS):
            raise ValueError(
                f"The model must answer with {', '.join(ANSWERS)}. Received: "
                f"{', '.join(answers) if isinstance(answers, dict) else 'one tensor'}."
            )
        answers = {key: keras.ops.convert_to_numpy(answers[key]) for key in ANSWERS}
        found += [
            _of_image({key: x[i] for key, x in answers.items()}, image.shape, scale)
            for i, (image, (_, scale)) in enumerate(zip(given, fitted))
        ]
    return found if soften is None else [soften(each) for each in found]


def _predictor(model, options):
    """Return the function from a batch to answers, and the sides it takes, or `None`."""
    if not isinstance(model, keras.Model):
        if not callable(model) or options:
            raise ValueError(
                "`model` must be a keras.Model, or a function of a batch of images and no options. "
                f"Received: {model!r} with {options}."
            )
        return model, None
    if is_raw(model):
        model = boxes_of(model, **options)
    elif options:
        raise ValueError(
            f"A model that answers has its options already. Received: {', '.join(options)}. Give "
            "the model that heads.attach made."
        )
    return of_images(model)


def _read(image):
    """Return an image as an array; a path is read."""
    image = np.asarray(opened(image))
    if image.ndim != 3:
        raise ValueError(
            "Images must have the shape (height, width, channels), in a list or a batch. "
            f"Received: shape {image.shape}."
        )
    return image


def _fitted(image, size, letterbox):
    """Return an image of the model's size, and how often its width and height fit into its own."""
    height, width = image.shape[:2]
    if not letterbox:
        return resized(image, size), (width / size[1], height / size[0])
    share = min(size[0] / height, size[1] / width)
    inner = [max(1, round(side * share)) for side in (height, width)]
    small = resized(image, inner)
    missing = [(0, whole - part) for whole, part in zip(size, inner)]
    return np.pad(small, [*missing, (0, 0)]), (width / inner[1], height / inner[0])


def _of_image(answer, shape, scale):
    """Return the boxes of one image in its own pixels."""
    count = int(answer["count"])
    boxes = answer["boxes"][:count] * np.array([*scale, *scale], "float32")
    boxes = np.clip(boxes, 0, [shape[1], shape[0]] * 2).astype("float32")
    seen = (boxes[:, 2:] > boxes[:, :2]).all(-1)  # not beside the image, where it was filled
    return {
        "boxes": boxes[seen],
        "scores": answer["scores"][:count][seen].astype("float32"),
        "classes": answer["classes"][:count][seen].astype("int32"),
    }
