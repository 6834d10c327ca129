"""Detectors in files: of mixed precision, inside of other models, at the bounds of suppression."""

import keras
import numpy as np
import pytest

import export
import heads
from export import judges
from tests.test_benchmark_detection import tiny
from tests.test_detection_export import scenes

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs KERAS_BACKEND=tensorflow"
)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
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
