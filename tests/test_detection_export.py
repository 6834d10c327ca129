"""Detectors in files: floats to the last digit, 8 bits by what they say."""

import keras
import numpy as np
import pytest
from keras import layers

import export
import heads
from export.parity import compare
from export.reference import CLOSE, shares_of
from heads.detection.agreement import agreement
from tests.test_detection_parts import boxes


def scenes(count, side=32, seed=0):
    """Bright squares on noise, one class for light and one for dark ones."""
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=0.05, size=(count, side, side, 1)).astype("float32")
    y = np.full((count, 2, 5), [0, 0, 0, 0, -1], "float32")
    for i in range(count):
        size, kind = rng.integers(8, 17), rng.integers(0, 2)
        left, top = rng.integers(0, side - size, 2)
        x[i, top : top + size, left : left + size] += 1 - 2 * kind
        y[i, 0] = [left, top, left + size, top + size, kind]
    return x, y


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    image, levels = keras.Input((32, 32, 1), name="image"), {}
    x = image
    for level, filters in enumerate((8, 16, 24), start=1):
        x = layers.Conv2D(filters, 3, 2, padding="same", activation="relu", name=f"conv{level}")(x)
        levels[f"P{level}"] = x
    head = heads.DetectionHead(
        2, levels=["P2", "P3"], filters=16, depth=1, bins=8, activation="relu6", neck="pyramid"
    )
    model = heads.attach(keras.Model(image, levels), head)
    model.compile(keras.optimizers.Adam(5e-3), loss=head.loss())
    model.fit(*scenes(256), batch_size=16, epochs=8, verbose=0)
    return model


def test_a_small_detector_learns(trained):
    x, y = scenes(64, seed=1)
    answers = heads.deploy(trained, score=0.01).predict(x, verbose=0)
    assert heads.coco_scores(answers, y)["map50"] > 0.9


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8"])
def test_files_find_what_keras_finds(precision, trained, tmp_path):
    x, y = scenes(64, seed=1)
    model = heads.deploy(trained, score=0.2, max_detections=10)
    bundle = export.to_tflite(
        model,
        tmp_path / "boxes.tflite",
        precision,
        calibration=scenes(64)[0],
        inputs=x,
        measure=False,
    )
    assert bundle.ops["NON_MAX_SUPPRESSION_V4"] == 1 and "WHILE" not in bundle.ops
    found, expected = export.predict(bundle.path, x), model.predict(x, verbose=0)
    assert agreement(expected, found) >= (1 if precision == "float32" else 0.95)
    assert heads.coco_scores(found, y)["map50"] > 0.9
    if precision == "int8":
        assert bundle.ops["DEQUANTIZE"] < 10  # the decoder's operations need none between them
        shares = {x.name: x.agreement for x in bundle.parity.outputs}
        assert set(shares) == {"boxes", "scores", "classes", "count"} and min(shares.values()) > 0.9


def test_a_file_of_another_detector_is_refused(trained, tmp_path):
    x, _ = scenes(32)
    model = heads.deploy(trained, score=0.2, max_detections=10)
    other = keras.models.clone_model(trained)
    export.to_tflite(
        heads.deploy(other, score=0.0, max_detections=10), tmp_path / "a.tflite", measure=False
    )
    for precision in ("float32", "int8"):
        with pytest.raises(export.ParityError, match="boxes: agreement 0"):
            export.verify(model, tmp_path / "a.tflite", x, precision=precision)


def test_boxes_near_a_tie_may_change_places_and_no_other_may(trained):
    """As float32 files have them, which round otherwise than Keras."""
    model = heads.deploy(trained, score=0.2, max_detections=3)
    rows = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]], "float32")
    one = answer(rows, [0.9, 0.9, 0.3], [0, 1, 0])
    tie = answer(rows[[1, 0, 2]], [0.9, 0.9, 0.3], [1, 0, 0])
    far = answer(rows + 0.2, [0.9, 0.9, 0.3], [0, 1, 0])
    less = answer(rows, [0.88, 0.9, 0.3], [0, 1, 0])
    names = {"boxes", "scores", "classes"}
    for other, alike in ((tie, True), (far, False), (less, False)):
        shares = shares_of(model, *[{**x, "count": np.array([3])} for x in (one, other)], CLOSE)
        assert set(shares) == names | {"count"}
        assert compare(one, other, "float32", shares=shares).passed == alike
        assert not compare(one, other, "float32").passed


def answer(rows, scores, classes):
    return {"boxes": rows[None], "scores": np.array([scores]), "classes": np.array([classes])}


def test_agreement_knows_no_order_and_weighs_by_score():
    rows = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]], "float32")
    ours = answer(rows, [0.9, 0.8, 0.1], [0, 1, 0])
    assert agreement(ours, answer(rows[[1, 0, 2]] + 0.5, [0.8, 0.9, 0.1], [1, 0, 0])) == 1
    without = answer(rows, [0.9, 0.8, 0.0], [0, 1, -1])
    assert agreement(ours, without) == pytest.approx(3.4 / 3.5)
    assert agreement(ours, answer(rows, [0.9, 0.8, 0.1], [1, 0, 1])) == 0
    assert agreement(ours, answer(rows + 40, [0.9, 0.8, 0.1], [0, 1, 0])) == 0
    double = answer(rows[[0, 0]], [0.5, 0.5], [0, 0])
    assert agreement(answer(rows[:1], [0.5], [0]), double) == pytest.approx(1 / 1.5)
    empty = answer(boxes(2), [0.0, 0.0], [-1, -1])
    assert agreement(ours, empty) == 0
    with pytest.warns(UserWarning, match="no box was found, so nothing was compared"):
        assert agreement(empty, empty) == 1
