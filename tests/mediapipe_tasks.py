"""Load files with MediaPipe Tasks and tell how far they are from Keras, a line of JSON each.

Run by a Python that has mediapipe: `python mediapipe_tasks.py IMAGES FILE …`. Beside each file
lie Keras's answers, with the suffix `.npz`; the name of a file begins with its task.
"""

import json
import sys
from pathlib import Path

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def classification(base, images, expected):
    errors, labels, scores = [], {}, []
    options = vision.ImageClassifierOptions(base_options=base)
    with vision.ImageClassifier.create_from_options(options) as task:
        for image, row in zip(images, expected["probabilities"]):
            for x in task.classify(image).classifications[0].categories:
                errors.append(abs(x.score - row[x.index]))
                labels[x.index] = x.category_name
                scores.append(x.score)
    return {
        "error": float(max(errors)),
        "labels": [labels[i] for i in sorted(labels)],
        "least": float(min(scores)),
    }


def segmentation(base, images, expected):
    errors, same = [], []
    options = vision.ImageSegmenterOptions(
        base_options=base, output_category_mask=True, output_confidence_masks=True
    )
    with vision.ImageSegmenter.create_from_options(options) as task:
        for image, maps in zip(images, expected["probabilities"]):
            found = task.segment(image)
            masks = [x.numpy_view().reshape(maps.shape[:2]) for x in found.confidence_masks]
            errors.append(np.abs(np.stack(masks, -1) - maps).max())
            classes = found.category_mask.numpy_view().reshape(maps.shape[:2])
            same.append((classes == maps.argmax(-1)).mean())
        labels = list(task.labels)
    return {"error": float(max(errors)), "same": float(min(same)), "labels": labels}


def detection(base, images, expected):
    errors, pixels, found = [0.0], [0.0], 0
    options = vision.ObjectDetectorOptions(base_options=base)
    with vision.ObjectDetector.create_from_options(options) as task:
        for i, image in enumerate(images):
            detections = task.detect(image).detections
            found += len(detections)
            for j, x in enumerate(detections):
                box = x.bounding_box
                ours = [box.origin_x, box.origin_y]
                ours += [box.origin_x + box.width, box.origin_y + box.height]
                sides = np.array([image.width, image.height] * 2)
                pixels.append(np.abs(ours - expected["location"][i, j] * sides).max())
                errors.append(abs(x.categories[0].score - expected["score"][i, j]))
    return {
        "error": float(max(errors)),
        "pixels": float(max(pixels)),
        "found": found,
        "expected": int(expected["number_of_detections"].sum()),
    }


TASKS = {x.__name__: x for x in (classification, segmentation, detection)}


def main(images, *files):
    kind = mediapipe.ImageFormat.SRGB
    pictures = [mediapipe.Image(image_format=kind, data=x) for x in np.load(images)]
    for file in files:
        task = Path(file).stem.split("_")[0]
        with np.load(Path(file).with_suffix(".npz")) as arrays:
            told = TASKS[task](BaseOptions(model_asset_path=file), pictures, dict(arrays))
        print(json.dumps({"task": task, **told}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
