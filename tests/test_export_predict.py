"""What a file answers to any number of samples."""

import keras
import numpy as np
import pytest

import export


@pytest.fixture(scope="module")
def two_inputs(tmp_path_factory):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    y = keras.layers.Dense(4, name="y")(keras.layers.Concatenate()([a, b]))
    model = keras.Model([a, b], y)
    path = tmp_path_factory.mktemp("file") / "two.tflite"
    export.to_tflite(model, path, measure=False)
    return model, path


def test_all_samples_are_answered_in_order(two_inputs):
    model, path = two_inputs
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(300, 3)), rng.normal(size=(300, 2))
    expected = model.predict([a, b], verbose=0)
    (actual,) = export.predict(path, {"b": b, "a": a}).values()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "inputs",
    [
        np.zeros((2, 3)),
        [np.zeros((2, 3)), np.zeros((2, 2))],
        {"a": np.zeros((2, 3))},
        {"a": np.zeros((0, 3)), "b": np.zeros((0, 2))},
        {"a": np.zeros((5, 3)), "b": np.zeros((4, 2))},
        {"a": np.zeros((300, 3)), "b": np.zeros((256, 2))},
        {"a": 7, "b": np.zeros((1, 2))},
    ],
)
def test_wrong_inputs_say_what_was_received(two_inputs, inputs):
    with pytest.raises(ValueError, match="Received: "):
        export.predict(two_inputs[1], inputs)


def test_one_sample_of_several_inputs_and_a_home_path(two_inputs, monkeypatch):
    model, path = two_inputs
    monkeypatch.setenv("HOME", str(path.parent))
    a, b = np.arange(3.0), np.arange(2.0)
    (actual,) = export.predict(f"~/{path.name}", {"a": a, "b": b}).values()
    np.testing.assert_allclose(actual, np.asarray(model([a[None], b[None]])), rtol=1e-5)


def test_a_long_single_sample_is_not_cut(tmp_path):
    image = keras.Input((300,), name="x")
    export.to_tflite(keras.Model(image, image * 2), tmp_path / "m.tflite", measure=False)
    (actual,) = export.predict(tmp_path / "m.tflite", np.arange(300.0)).values()
    np.testing.assert_array_equal(actual, 2 * np.arange(300.0)[None])


def test_relative_paths_follow_the_folder(two_inputs, monkeypatch):
    """The worker stays where it was started."""
    model, path = two_inputs
    expected = export.predict(path, {"a": np.ones((2, 3)), "b": np.ones((2, 2))})
    monkeypatch.chdir(path.parent)
    actual = export.predict(path.name, {"a": np.ones((2, 3)), "b": np.ones((2, 2))})
    np.testing.assert_array_equal(actual["y"], expected["y"])
    export.to_tflite(model, "new/again.tflite", measure=False)
    assert export.verify(model, "new/again.tflite", [np.ones((2, 3)), np.ones((2, 2))]).passed
