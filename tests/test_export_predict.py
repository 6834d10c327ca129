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
    ],
)
def test_wrong_inputs_say_what_was_received(two_inputs, inputs):
    with pytest.raises(ValueError, match="Received: "):
        export.predict(two_inputs[1], inputs)
