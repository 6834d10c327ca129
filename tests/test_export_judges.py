"""Detectors in files: of mixed precision, inside of other models, at the bounds of suppression."""

import keras
import numpy as np
import pytest

import export
import heads
from export import judges
from heads.detection.decode import BoxDecoder
from tests.slow import some_slow
from tests.test_benchmark_detection import tiny
from tests.test_detection_export import ERRORS, ROWS, answer, judged, scenes

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs KERAS_BACKEND=tensorflow"
)


@pytest.mark.parametrize("policy", some_slow(["mixed_bfloat16", "mixed_float16"], "mixed_bfloat16"))
def test_a_detector_of_mixed_precision_becomes_a_file(policy, tmp_path):
    x, y = scenes(32)
    keras.config.set_dtype_policy(policy)
    try:
        model = tiny("", 2)
        model.compile(keras.optimizers.Adam(5e-3), loss=heads.losses(model), jit_compile=False)
        model.fit(x, y, batch_size=16, epochs=15, shuffle=False, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    answer = heads.deploy(model, score=0.01)
    path = tmp_path / "boxes.tflite"
    assert export.to_tflite(answer, path, inputs=x, measure=False).parity.passed


def test_a_copy_that_lost_its_state_is_still_found(monkeypatch, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = tiny("", 2)
    finally:
        keras.config.set_dtype_policy("float32")
    rebuilt = export.reference.rebuilt

    def other(given):
        copy = rebuilt(given)
        copy.set_weights(
            [w + 0.3 * np.random.default_rng(0).normal(size=w.shape) for w in copy.get_weights()]
        )
        return copy

    monkeypatch.setattr(export.reference, "rebuilt", other)
    answer = heads.deploy(model, score=0.01)
    with pytest.raises(export.ExportError, match="rebuilt in float32"):
        export.to_tflite(answer, tmp_path / "x.tflite", inputs=scenes(8)[0], measure=False)


def test_a_detector_inside_of_another_model_is_judged_as_by_itself(tmp_path):
    inner = heads.deploy(tiny("", 2), score=0.0, max_detections=20)
    x = scenes(16)[0]
    image = keras.Input((32, 32, 1))
    nested = keras.Model(image, inner(keras.layers.Rescaling(1.0)(image)))
    line = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Rescaling(1.0), inner])
    for model in (inner, nested, line):
        values = export.reference.answers(model, {"image": x})
        ((layer, names, _),) = judges.judged(model, values, values)
        assert sorted(names) == sorted(layer.answers)
        assert set(judges.shares_of(model, values, values).values()) == {1.0}
        before = judges.before(model)([x])
        assert {tuple(part.shape[1:]) for part in before.values()} >= {(80, 2), (80, 3)}
    assert export.to_tflite(nested, tmp_path / "x.tflite", inputs=x, measure=False).parity.passed


def test_boxes_that_do_not_touch_stay_at_an_overlap_of_none(tmp_path):
    answer = heads.deploy(tiny("", 2), score=0.0, iou=0.0, max_detections=30)
    x = scenes(8)[0]
    path = tmp_path / "boxes.tflite"
    assert export.to_tflite(answer, path, inputs=x, measure=False).parity.passed
    assert export.predict(path, x)["count"].max() > 1


def proposing(max_detections=4, name="boxes"):
    """A model that answers with the boxes of 20 proposals, and its input."""
    table = keras.Input((30, 10))  # logits, distances and points
    options = {"score": 0.2, "max_detections": max_detections, "name": name}
    return keras.Model(table, BoxDecoder(2, bins=0, proposals=20, **options)(table))


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_no_answer_or_says_something_else_is_not_excused(name, monkeypatch):
    right = answer(ROWS, [0.9, 0.9, 0.21, 0], [0, 1, 0, -1], 3)
    given = proposing(), right, answer(*ERRORS[name]), monkeypatch
    if name in ("one less", "one more"):  # as other proposals would
        for odd in (
            answer(ROWS, [0.9, 0.9, 0.21, 0.19], [0, 1, 0, 1], 4),
            answer(ROWS, [0.9, 0.9, 0.21, 0.205], [0, 1, 0, 2], 4),
        ):  # below the threshold, and of a class that there is not
            with pytest.raises(export.ParityError):
                judged(proposing(), right, odd, monkeypatch)
        assert {x.apart for x in judged(*given).outputs} == {1}
        return
    with pytest.raises(export.ParityError):
        judged(*given)


def test_a_part_of_another_detectors_answer_keeps_its_bound(monkeypatch):
    one, two = proposing(name="one"), proposing(name="two")
    outputs = {**one(one.input), "others": two(one.input)["boxes"]}
    model = keras.Model(one.input, outputs)
    right = answer(ROWS, [0.9, 0.9, 0.21, 0], [0, 1, 0, -1], 3) | {"others": ROWS[None]}
    other = answer(*ERRORS["one more"]) | {"others": ROWS[None]}
    assert judged(model, right, other, monkeypatch).passed
    with pytest.raises(export.ParityError, match="others: relative"):
        judged(model, right, {**other, "others": ROWS[None] * 1.01}, monkeypatch)


@pytest.mark.parametrize("case", ["one", "wide", "two", "other boxes", "one stage", "tolerance"])
def test_of_proposals_one_image_in_ten_may_have_other_boxes(case, monkeypatch):
    """Which of two nearly equal ones is looked at is rounding's choice."""
    stages = {"proposals": 20, "bins": 0} if case != "one stage" else {"bins": 0}
    table = keras.Input((30, 10))  # logits, distances and points
    decoder = BoxDecoder(2, **stages, score=0.0, max_detections=20)
    answer = keras.Model(table, decoder(table))
    corners = 20.0 * np.arange(20)[:, None] + [0, 0, 9, 9]
    one = {"boxes": corners, "scores": np.linspace(0.9, 0.02, 20), "classes": np.ones(20, int)}
    expected = {name: np.float32([x] * 16) for name, x in one.items()}
    expected["classes"] = expected["classes"].astype("int32")
    expected["count"] = np.full(16, 20, "int32")
    found = {key: value.copy() for key, value in expected.items()}
    rows = range(15) if case == "other boxes" else [-1]
    found["boxes"][: 2 if case == "two" else 1, list(rows)] += 10.0
    monkeypatch.setattr(export.reference, "answers", lambda *_: expected)
    monkeypatch.setattr(export.reference, "run", lambda *_: found)
    given = (
        answer,
        "",
        {},
        "float32",
        1e-6 if case == "tolerance" else 1e-3 if case == "wide" else None,
    )
    if case not in ("one", "wide"):
        with pytest.raises(export.ParityError, match="relative"):
            export.reference.checked(*given)
        return
    parity = export.reference.checked(*given)
    assert {part.apart for part in parity.outputs} == {1} and "apart 1" in str(parity)
