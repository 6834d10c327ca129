"""Models of mixed precision: what the float32 copy keeps, and what is refused."""

import keras
import numpy as np
import pytest
from keras import layers

import export

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
x = (5 * np.random.default_rng(0).normal(size=(40, 4)) + 30).astype("float32")


@pytest.fixture(autouse=True)
def mixed():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


class Scaled(layers.Layer):
    """A layer with state that is neither configuration nor weight."""

    factor = 1.0

    def call(self, x):
        return x * self.factor


class Unsaid(layers.Layer):
    """A layer whose configuration Keras cannot tell."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


class Own(keras.Model):
    """A functional model whose constructor takes other arguments."""

    def __init__(self, units):
        image = keras.Input((4,))
        super().__init__(image, layers.Dense(units)(image), name="own")


def model_of(layer):
    image = keras.Input((4,))
    return keras.Model(image, layers.Dense(3, dtype="float32", name="y")(layer(image)))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_adapted_layers_keep_what_they_know(precision, tmp_path):
    known = layers.Normalization()
    known.adapt(x)
    model, path = model_of(known), tmp_path / "m.tflite"
    export.to_tflite(model, path, precision, calibration=x, measure=False)
    expected = ((x - x.mean(0)) / x.std(0)) @ np.asarray(model.layers[-1].kernel)
    actual = export.predict(path, x)["y"]
    np.testing.assert_allclose(actual, expected, atol=0.05 * np.abs(expected).max())
    assert export.verify(model, path, x, precision=precision).passed


def test_adapted_bins(tmp_path):
    bins = layers.Discretization(num_bins=4, output_mode="one_hot")
    bins.adapt(x.ravel())
    image = keras.Input((1,))
    model = keras.Model(image, layers.Dense(3, name="y")(bins(image)))
    try:
        export.to_tflite(model, tmp_path / "m.tflite", inputs=x[:, :1], measure=False)
    except export.ExportError as error:  # no kernel: said, and not lost in silence
        assert error.op
    else:
        answers = export.predict(tmp_path / "m.tflite", x[:, :1])["y"]
        assert len(np.unique(answers.round(4), axis=0)) == 4


def test_state_that_is_lost_is_an_error(tmp_path):
    layer = Scaled(name="scaled")
    model, path = model_of(layer), tmp_path / "m.tflite"
    export.to_tflite(model, path, inputs=x, measure=False)
    layer.factor = 3.0
    for leave in (
        lambda: export.verify(model, path, x),
        lambda: export.to_tflite(model, tmp_path / "n.tflite", measure=False),
    ):
        with pytest.raises(export.ExportError, match="state that is neither .* in float32"):
            leave()
    assert not (tmp_path / "n.tflite").exists()


def test_values_too_small_for_half_precision_are_not_lost_state(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    image = keras.Input((4,))
    model = keras.Model(image, layers.Rescaling(1e-9)(layers.Dense(3)(image)))
    assert export.to_tflite(model, tmp_path / "m.tflite", measure=False).parity.passed


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: model_of(layers.Lambda(lambda x: x * 2, name="twice")), "twice"),
        (lambda: model_of(Unsaid(lambda x: x * 2, name="unsaid")), "unsaid"),
        (lambda: Own(3), "own"),
    ],
)
def test_layers_that_cannot_be_made_again(make, name, tmp_path):
    with pytest.raises(
        export.ExportError, match=f"Received: '{name}' of type .*model in float32"
    ) as error:
        export.to_tflite(make(), tmp_path / "m.tflite", measure=False)
    assert error.value.layer == name
    assert list(tmp_path.iterdir()) == []


def test_an_unnamed_input_has_the_name_of_its_layer(tmp_path):
    model, path = model_of(layers.Dense(4)), tmp_path / "m.tflite"
    bundle = export.to_tflite(model, path, measure=False)
    assert [tensor.name for tensor in bundle.inputs] == [model.layers[0].name]
    model.save(tmp_path / "m.keras")
    assert export.verify(keras.models.load_model(tmp_path / "m.keras"), path, x).passed


def test_names_that_differ_are_said(tmp_path):
    model, path = model_of(layers.Dense(4)), tmp_path / "m.tflite"
    export.to_tflite(model, path, measure=False)
    other = model_of(layers.Dense(4))
    with pytest.raises(ValueError, match=f"inputs .*'{other.layers[0].name}'.*keras.Input"):
        export.verify(other, path, x)
