"""Detectors in files: floats to the last digit, 8 bits by what they say."""

import keras
import numpy as np
import pytest
from keras import layers

import export
import heads
from export import reference
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
    return small()


def small(**kwargs):
    """A detector of `scenes`, trained."""
    keras.utils.set_random_seed(0)
    image, levels = keras.Input((32, 32, 1), name="image"), {}
    x = image
    for level, filters in enumerate((8, 16, 24), start=1):
        x = layers.Conv2D(filters, 3, 2, padding="same", activation="relu", name=f"conv{level}")(x)
        levels[f"P{level}"] = x
    kwargs |= {"filters": 16, "depth": 1, "bins": 8, "activation": "relu6", "neck": "pyramid"}
    head = heads.DetectionHead(2, levels=["P2", "P3"], **kwargs)
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


def test_without_suppression_8_bits_find_the_same(tmp_path):
    """The decoder stays in floats: of 8 bits, no peak would be one, or every position."""
    x, y = scenes(64, seed=1)
    trained = small(nms_free=True)
    for score, rows in ((0.05, 10), (0.005, 70)):
        model = heads.deploy(trained, score=score, max_detections=rows)
        path = tmp_path / "boxes.tflite"
        export.to_tflite(model, path, "int8", calibration=scenes(64)[0], inputs=x, measure=False)
        found, expected = export.predict(path, x), model.predict(x, verbose=0)
        assert agreement(expected, found) > 0.95
        assert heads.coco_scores(found, y)["map50"] > 0.9
        np.testing.assert_array_equal(found["count"], (found["classes"] >= 0).sum(axis=1))
        assert abs(found["count"].mean() - expected["count"].mean()) < 0.2 * rows
        assert not of_8_bits(path, "decoder")


def of_8_bits(path, scope):
    """Return the operations of a layer that answer in 8 bits, but for what quantizes."""
    from ai_edge_litert.interpreter import Interpreter

    reader = Interpreter(str(path))
    tensors = {x["index"]: x for x in reader.get_tensor_details()}
    return [
        x["op_name"]
        for x in reader._get_ops_details()
        if x["op_name"] not in ("QUANTIZE", "CONCATENATION", "RESHAPE", "CONV_2D")
        and any(
            scope in tensors[i]["name"] and tensors[i]["dtype"] == np.int8 for i in x["outputs"]
        )
    ]


def test_a_file_of_another_detector_is_refused(trained, tmp_path):
    x, _ = scenes(32)
    model = heads.deploy(trained, score=0.2, max_detections=10)
    other = keras.models.clone_model(trained)
    export.to_tflite(
        heads.deploy(other, score=0.0, max_detections=10), tmp_path / "a.tflite", measure=False
    )
    for precision, figure in (("float32", "relative"), ("int8", "agreement 0")):
        with pytest.raises(export.ParityError, match=f"boxes: {figure}"):
            export.verify(model, tmp_path / "a.tflite", x, precision=precision)


ROWS = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60], [0, 0, 0, 0]], "float32")
TIES = {
    "changed places": (ROWS[[1, 0, 2, 3]], [0.9, 0.9, 0.21, 0], [1, 0, 0, -1], 3),
    "one more at the threshold": (
        np.concatenate([ROWS[:3], [[5, 5, 9, 9]]]),
        [0.9, 0.9, 0.21, 0.20001],
        [0, 1, 0, 1],
        4,
    ),
    "rounded": (ROWS * 1.00005, [0.90004, 0.9, 0.21, 0], [0, 1, 0, -1], 3),
}
ERRORS = {
    "moved": (ROWS * [1, 1.01, 1, 1], [0.9, 0.9, 0.21, 0], [0, 1, 0, -1], 3),
    "another score": (ROWS, [0.899, 0.9, 0.21, 0], [0, 1, 0, -1], 3),
    "another class": (ROWS, [0.9, 0.9, 0.21, 0], [0, 0, 0, -1], 3),
    "the worst first": (ROWS[[2, 1, 0, 3]], [0.21, 0.9, 0.9, 0], [0, 1, 0, -1], 3),
    "one less": (ROWS[[0, 1, 3, 3]], [0.9, 0.9, 0, 0], [0, 1, -1, -1], 2),
    "one more": (
        np.concatenate([ROWS[:3], [[5, 5, 9, 9]]]),
        [0.9, 0.9, 0.21, 0.205],
        [0, 1, 0, 1],
        4,
    ),
    "another count": (ROWS, [0.9, 0.9, 0.21, 0], [0, 1, 0, -1], 2),
    "what is behind": (ROWS, [0.9, 0.9, 0.21, 0.7], [0, 1, 0, -1], 3),
    "a gap": (ROWS[[0, 1, 3, 2]], [0.9, 0.9, 0, 0.21], [0, 1, -1, 0], 3),
    "no number": (ROWS, [0.9, 0.9, np.nan, 0], [0, 1, 0, -1], 3),
    "none": (ROWS[[3, 3, 3, 3]], [0, 0, 0, 0], [-1, -1, -1, -1], 0),
}


FULL = {
    "another last box": (ROWS[[0, 1, 3]] + [[0], [0], [7]], [0.9, 0.8, 0.7], [0, 1, 0], 3),
    "another last class": (ROWS[:3], [0.9, 0.8, 0.7], [0, 1, 1], 3),
}


def judged(model, right, other, monkeypatch, tolerance=None):
    """Judge a file that answers 199 images as Keras does, and one otherwise."""
    many = {key: np.concatenate([x] * 200) for key, x in right.items()}
    one = {key: np.concatenate([x] * 199 + [other[key]]) for key, x in right.items()}
    monkeypatch.setattr(reference, "answers", lambda *_: many)
    monkeypatch.setattr(reference, "run", lambda *_: one)
    return reference.checked(model, "", {}, "float32", tolerance)


@pytest.mark.parametrize("name", [*TIES, *ERRORS])
def test_what_rounding_does_to_boxes_passes_and_nothing_else(name, trained, monkeypatch):
    model = heads.deploy(trained, score=0.2, max_detections=4)
    right = answer(ROWS, [0.9, 0.9, 0.21, 0], [0, 1, 0, -1], 3)
    other = answer(*{**TIES, **ERRORS}[name])
    if name in ERRORS:
        with pytest.raises(export.ParityError):
            judged(model, right, other, monkeypatch)
        return
    assert judged(model, right, other, monkeypatch).samples == 200
    if name == "rounded":  # who asks for more gets it
        with pytest.raises(export.ParityError):
            judged(model, right, other, monkeypatch, 1e-6)


@pytest.mark.parametrize("name", FULL)
def test_the_last_box_of_a_full_list_is_compared_too(name, trained, monkeypatch):
    model = heads.deploy(trained, score=0.2, max_detections=3)
    right = answer(ROWS[:3], [0.9, 0.8, 0.7], [0, 1, 0], 3)
    with pytest.raises(export.ParityError):
        judged(model, right, answer(*FULL[name]), monkeypatch)


def test_a_box_elsewhere_at_the_threshold_is_not_the_same(trained, monkeypatch):
    model = heads.deploy(trained, score=0.2, max_detections=1)
    right = answer(ROWS[:1], [0.20003], [0], 1)
    with pytest.raises(export.ParityError):
        judged(model, right, answer(ROWS[1:2], [0.20003], [0], 1), monkeypatch)


def test_what_stands_beside_boxes_keeps_its_bound(trained, monkeypatch):
    deployed = heads.deploy(trained, score=0.2, max_detections=4)
    outputs = {**deployed.output, "size": layers.Flatten(name="size")(deployed.inputs[0])}
    model = keras.Model(deployed.inputs, outputs)
    right = answer(ROWS, [0.9, 0.9, 0.21, 0], [0, 1, 0, -1], 3) | {"size": np.ones((1, 4))}
    other = answer(*TIES["changed places"])
    parity = judged(model, right, other | {"size": np.full((1, 4), 1.000001)}, monkeypatch)
    assert parity.passed and {x.name: x.relative for x in parity.outputs}["size"] > 0
    with pytest.raises(export.ParityError, match="size: relative"):
        judged(model, right, other | {"size": np.full((1, 4), 1.00005)}, monkeypatch)


@pytest.mark.parametrize("precision", ["float16", "dynamic"])
def test_a_file_of_less_precision_is_no_float32_file(precision, trained, tmp_path):
    x, _ = scenes(32)
    model = heads.deploy(trained, score=0.2, max_detections=10)
    path = tmp_path / "a.tflite"
    export.to_tflite(model, path, precision, inputs=x, measure=False)
    with pytest.raises(export.ParityError):
        export.verify(model, path, x, precision="float32")


def test_a_part_of_a_detectors_answer_is_compared_place_by_place(trained, tmp_path):
    x, _ = scenes(32)
    model = heads.deploy(trained, score=0.2, max_detections=10)
    part = keras.Model(model.inputs, {key: model.output[key] for key in ("boxes", "scores")})
    other = keras.models.clone_model(part)
    path = tmp_path / "a.tflite"
    export.to_tflite(part, path, inputs=x, measure=False)
    with pytest.raises(export.ParityError, match="boxes: relative"):
        export.verify(other, path, x)


def answer(rows, scores, classes, count=None):
    made = {"boxes": rows[None], "scores": np.array([scores]), "classes": np.array([classes])}
    return made if count is None else {**made, "count": np.array([count])}


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
