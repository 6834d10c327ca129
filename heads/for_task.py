"""The model whose file an app's ready-made task reads."""

import keras

from heads.deployment import deploy
from heads.detection.base import ANSWERS, boxes_of
from heads.detection.relative import RelativeBoxes
from heads.graph import functional_graph, heads_of


def for_task(model, **options):
    """Return the model that answers as MediaPipe Tasks read it: `ImageClassifier` and its kin.

    Classes are answered by their probabilities, masks by those of every pixel, and boxes as shares
    of the image's sides, all in floats. `export.to_tflite(…, metadata="detection")` writes its
    file.

    Args:
        model: A model of images with one head, made by `heads.attach`.
        **options: Options of the head's decoder, such as `score=0.3`.

    Returns:
        A functional `keras.Model` as `heads.deploy` gives. Of classes and masks the output is
        `"probabilities"`; of boxes `"location"`, `"category"`, `"score"` and
        `"number_of_detections"`: see `heads.detection.relative`.

    Raises:
        ValueError: If the model has several heads, or one that no task reads.
    """
    found = heads_of(model)
    (name, head), *others = found.items()
    known = head.options()
    if others:
        raise ValueError(
            f"A task reads one head. Received: a model with {', '.join(found)}. Make a model of "
            "one of its outputs."
        )
    if "max_detections" in known:
        return _detector(model, head, options)
    if "probabilities" in known:
        answer = deploy(model, **options | {"probabilities": True})
        (key,) = (key for key in answer.output if key.endswith("probabilities"))
        return keras.Model(answer.input, {"probabilities": answer.output[key]}, name=model.name)
    if head.answer_name != "probabilities":
        raise ValueError(
            "A task reads classes, masks or boxes. "
            f"Received: {name!r} of type {type(head).__name__}. Export what heads.deploy makes."
        )
    return deploy(model, **options)


def _detector(model, head, options):
    images = [x for x in functional_graph(model).inputs if len(x.shape) == 4]
    if len(images) != 1:
        raise ValueError(
            f"A detector for a task has one image as its input. Received: {len(images)}."
        )
    answer = boxes_of(model, **options)
    decoder = head.decoder(**options)
    layer = RelativeBoxes(
        decoder.num_classes,
        decoder.score,
        decoder.proposals,
        dtype="float32",
        name=f"{head.name}_relative",
    )
    given = {"image": images[0], **{key: answer.output[key] for key in ANSWERS}}
    outputs = {
        key: keras.layers.Identity(dtype="float32", name=key)(x) for key, x in layer(given).items()
    }
    return keras.Model(answer.input, outputs, name=model.name)
