"""What assignment costs of a training step, and suppression of a large answer."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import export
import heads
from benchmarks.detection.data import Batches
from benchmarks.detection.networks import detector
from benchmarks.timing import interleaved
from heads.detection.assign import TaskAligned
from heads.detection.decode import BoxDecoder
from heads.detection.loss import valid_rows

POINTS, CLASSES, BINS = 8400, 80, 16  # of a detector at 640 x 640 with the classes of COCO


def assignment(splits, names, batch, rounds):
    """Return the share of a training step that task-aligned assignment takes."""
    model = detector("anchor-free", len(names))
    model.compile("adam", loss=heads.losses(model), jit_compile=False)
    x, y = Batches(*splits["train"], batch)[0]
    raw, code = model.predict_on_batch(x), heads.losses(model).code

    @tf.function
    def assign(targets, raw):
        boxes, ids, _ = valid_rows(targets, raw, code)
        classes = tf.one_hot(tf.cast(ids, "int32"), code.num_classes)
        (branch,) = code.split(raw)
        found = code.corners(branch["boxes"], branch["points"])
        scores = tf.sigmoid(branch["logits"])
        return TaskAligned()(boxes, classes, scores, found, branch["points"])

    given = tf.constant(y), tf.constant(raw)
    pair = [lambda: assign(*given), lambda: model.train_on_batch(x, y)]
    found = interleaved(pair, rounds, warm_up=2)
    return {
        "points": raw.shape[1],
        "boxes": y.shape[1],
        "batch": batch,
        "assignment_ms": 1e3 * found["ours_seconds"],
        "step_ms": 1e3 * found["theirs_seconds"],
        "share": found["ratio"],
        "share_quartiles": found["ratio_quartiles"],
    }


def suppression(rounds):
    """Return how long 8,400 points of 80 classes take to become boxes, beside TensorFlow's own."""
    rng = np.random.default_rng(0)
    side = 80
    places = np.stack(np.meshgrid(*[np.arange(side) * 8.0 + 4] * 2), -1).reshape(-1, 2)
    places = places[rng.integers(0, len(places), POINTS)]
    points = np.concatenate([places, np.full((POINTS, 1), 8.0)], -1)[None].astype("float32")
    boxes = rng.normal(size=(1, POINTS, 4 * BINS)).astype("float32")
    logits = rng.normal(-4.0, 1.5, size=(1, POINTS, CLASSES)).astype("float32")
    parts = {"boxes": boxes, "logits": logits, "points": points}
    inputs = {key: keras.Input(x.shape[1:], batch_size=1, name=key) for key, x in parts.items()}
    decoder = BoxDecoder(CLASSES, BINS, score=0.01, iou=0.6, name="decoder")
    model = keras.Model(inputs, decoder(inputs))
    given = {key: tf.constant(x) for key, x in parts.items()}  # what stands inside is computed once
    corners = tf.constant(decoder.code.corners(boxes, points)[:, :, None])
    scores = tf.sigmoid(logits)

    @tf.function
    def ours(given):
        return decoder(given)

    @tf.function
    def theirs(corners, scores):  # suppression alone, the boxes decoded before
        return tf.image.combined_non_max_suppression(
            corners, scores, 100, 100, iou_threshold=0.6, score_threshold=0.01, clip_boxes=False
        )

    pair = [lambda: ours(given), lambda: theirs(corners, scores)]
    found = interleaved(pair, rounds, warm_up=2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "decoder.tflite")
        export.to_tflite(model, path, inputs=parts, measure=False)
        latency = export.measure(path, runs=20, threads=(1,)).latency[0]
    return {
        "points": POINTS,
        "classes": CLASSES,
        "decoder_ms": 1e3 * found["ours_seconds"],
        "combined_non_max_suppression_ms": 1e3 * found["theirs_seconds"],
        "ratio": found["ratio"],
        "ratio_quartiles": found["ratio_quartiles"],
        "file_ms": latency["median_ms"],
    }
