"""The figures of a comparison against formulas, and what counts as failed."""

import math

import keras
import numpy as np
import pytest
from keras import layers

import export
from export.parity import compare

rng = np.random.default_rng(0)


def of_one(reference, actual, precision="float32", **kwargs):
    parity = compare({"y": np.asarray(reference)}, {"y": np.asarray(actual)}, precision, **kwargs)
    return parity, parity.outputs[0]


def test_figures_are_the_formulas():
    reference = rng.normal(size=(60, 4)).astype("float32")
    actual = reference + 0.1 * rng.normal(size=(60, 4)).astype("float32")
    _, found = of_one(reference, actual, "int8")
    error = actual.astype("float64") - reference
    assert found.max_abs == np.abs(error).max()
    assert found.relative == pytest.approx(np.abs(error).max() / np.abs(reference).max())
    power = np.mean(reference.astype("float64") ** 2) / np.mean(error**2)
    assert found.sqnr_db == pytest.approx(10 * np.log10(power))
    same = [np.argmax(a) == np.argmax(b) for a, b in zip(reference, actual)]
    assert found.agreement == pytest.approx(np.mean(same)) and 0.5 < found.agreement < 1


@pytest.mark.parametrize(
    ("precision", "noise", "passes"),
    [
        ("float32", 0.9e-5, True),
        ("float32", 1.1e-5, False),
        ("float16", 0.9e-2, True),
        ("float16", 1.1e-2, False),
        ("dynamic", 10 ** (-31 / 20), True),
        ("dynamic", 10 ** (-29 / 20), False),
        ("int8", 10 ** (-21 / 20), True),
        ("int8", 10 ** (-19 / 20), False),
    ],
)
def test_bounds(precision, noise, passes):
    """A reference of ones off by `noise`: its relative error is that, its SQNR -20 log10 of it."""
    reference = np.ones((3, 5, 5))
    parity, found = of_one(reference, reference + noise, precision)
    assert found.sqnr_db == pytest.approx(-20 * math.log10(noise))
    assert parity.passed is passes
    assert bool(parity.failures) is not passes


def test_tolerance_takes_the_place_of_a_bound():
    reference = np.ones((3, 5, 5))
    assert of_one(reference, reference + 1e-3, "float32", tolerance=2e-3)[0].passed
    assert of_one(reference, reference + 0.3, "int8", tolerance=10)[0].passed
    assert not of_one(reference, reference + 1e-6, tolerance={"relative": 1e-7})[0].passed
    with pytest.raises(ValueError, match=r"Received: \['absolute'\]"):
        of_one(reference, reference, tolerance={"absolute": 1})
    with pytest.raises(ValueError, match=r"Received: precision='int4'"):
        of_one(reference, reference, "int4")


def test_best_classes_count_from_fifty_samples_and_for_scores_only():
    reference = np.tile([[1.0, 0.99, 0.0]], (60, 1))
    swapped = np.where(np.arange(60)[:, None] < 12, [[0.99, 1.0, 0.0]], reference)
    assert of_one(reference, swapped, "int8")[0].passed
    parity, found = of_one(reference, swapped, "int8", class_scores=["y"])
    assert found.agreement == 0.8
    assert parity.failures == ["y: agreement 0.8, must be at least 0.9"]
    assert of_one(reference[:49], swapped[:49], "int8", class_scores=["y"])[0].passed
    probabilities = reference / reference.sum(1, keepdims=True)
    assert not of_one(probabilities, swapped / 1.99, "int8")[0].passed


def test_a_tie_agrees():
    reference = np.tile([[0.2, 0.3, 0.5]], (60, 1))
    assert of_one(reference, np.tile([[0.2, 0.4, 0.4]], (60, 1)), "int8")[1].agreement == 1


def test_nan_on_one_side_fails_and_on_both_does_not():
    reference = np.array([[1.0, np.nan, np.inf]])
    assert of_one(reference, reference)[0].passed
    for actual in ([[1.0, 2.0, np.inf]], [[np.nan, np.nan, np.inf]], [[1.0, np.nan, -np.inf]]):
        parity, _ = of_one(reference, actual)
        assert not parity.passed
        assert "instead of" in parity.failures[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_answers_no_number_fails(value):
    reference = np.full((3, 2), value)
    parity, _ = of_one(reference, reference)
    assert parity.failures == [
        "y: the model itself answers NaN or infinity only; look for NaN among its weights"
    ]


@pytest.mark.parametrize("value", ["abc", None, float("nan"), -1e-3, {"relative": -1}, [1]])
def test_wrong_bounds(value, model, tmp_path):
    given = {"sqnr_db": value} if value is None else value  # None alone is the default
    with pytest.raises(ValueError, match="`tolerance` must be a number.*Received: "):
        export.to_tflite(model, tmp_path / "new" / "m.tflite", tolerance=given)
    assert list(tmp_path.iterdir()) == []


def test_zeros_are_compared_as_they_are():
    assert of_one(np.zeros((2, 3)), np.full((2, 3), 1e-6))[0].passed
    assert not of_one(np.zeros((2, 3)), np.full((2, 3), 1e-4))[0].passed


def test_whole_numbers_by_the_share_of_equal_ones():
    reference = np.arange(20).reshape(4, 5)
    actual = np.where(reference == 7, 0, reference)
    parity, found = of_one(reference, actual)
    assert found.equal == 0.95 and found.max_abs is None
    assert not parity.passed
    assert of_one(reference, actual, "int8")[0].passed


def test_shapes_and_names_must_be_the_same():
    assert "shape (2, 2)" in of_one(np.ones((2, 3)), np.ones((2, 2)))[0].failures[0]
    with pytest.raises(ValueError, match=r"outputs \['y'\]. Received: \['z'\]"):
        compare({"y": np.ones(2)}, {"z": np.ones(2)}, "float32")


@pytest.fixture(scope="module")
def model():
    x = keras.Input((6,), name="x")
    return keras.Model(x, layers.Dense(3, name="y")(layers.Dense(8, activation="relu")(x)))


def test_verify_runs_the_file_and_finds_a_changed_weight(model, tmp_path):
    path = tmp_path / "model.tflite"
    export.to_tflite(model, path, measure=False)
    x = rng.normal(size=(5, 6)).astype("float32")
    parity = export.verify(model, path, x)
    assert parity.samples == 5 and parity.outputs[0].name == "y"
    assert parity.outputs[0].relative < 1e-6
    bias = model.layers[-1].bias
    bias.assign_add([0, 1e-3, 0])
    with pytest.raises(export.ParityError, match=r"y: relative .*, must be at most 1e-05") as error:
        export.verify(model, path, x)
    bias.assign_sub([0, 1e-3, 0])
    assert error.value.parity.outputs[0].max_abs == pytest.approx(1e-3, rel=1e-3)
    assert export.verify(model, path, x, tolerance=1e-2).passed


def test_verify_says_what_is_wrong_with_its_arguments(model, tmp_path):
    x = np.zeros((2, 6), "float32")
    with pytest.raises(FileNotFoundError, match="Received: path="):
        export.verify(model, tmp_path / "none.tflite", x)
    text = tmp_path / "text.tflite"
    text.write_text("this is no model at all")
    with pytest.raises(ValueError, match="A .tflite file is needed. Received: path="):
        export.verify(model, text, x)
    path = tmp_path / "other.tflite"
    image = keras.Input((4,), name="other")
    export.to_tflite(keras.Model(image, layers.Dense(3)(image)), path, measure=False)
    with pytest.raises(ValueError, match=r"Received: \['other'\]"):
        export.verify(model, path, x)


def test_a_broken_file_is_an_error_and_not_a_crash(model, tmp_path):
    path = tmp_path / "model.tflite"
    export.to_tflite(model, path, measure=False)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    with pytest.raises((export.ExportError, ValueError)):
        export.verify(model, path, np.zeros((2, 6), "float32"))
