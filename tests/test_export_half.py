"""Numbers beyond float16: weights are refused, what a file computes is told."""

import keras
import numpy as np
import pytest
from keras import layers

import export

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
X = np.random.default_rng(0).random((8, 6)).astype("float32")


def network(inner="linear", last="linear"):
    keras.utils.set_random_seed(0)
    x = keras.Input((6,), name="x")
    y = layers.Activation(inner, name="inner")(layers.Dense(6, name="first")(x))
    return keras.Model(x, layers.Activation(last, name="last")(layers.Dense(3, name="second")(y)))


def test_a_weight_beyond_it_is_refused(tmp_path):
    """The converter writes 65504 in its place."""
    model = network()
    kernel, bias = model.get_layer("second").get_weights()
    kernel[0, 0] = 1e6
    model.get_layer("second").set_weights([kernel, bias])
    with pytest.raises(export.ExportError, match="1e[+]06 among the weights 'kernel'") as error:
        export.to_tflite(model, tmp_path / "m.tflite", "float16", measure=False)
    assert error.value.layer == "second" and list(tmp_path.iterdir()) == []
    kernel[0, 0] = 65504.0
    model.get_layer("second").set_weights([kernel, bias])
    export.to_tflite(model, tmp_path / "m.tflite", "float16", inputs=X / 100, measure=False)


def test_statistics_of_a_normalization_may_be(tmp_path):
    x = keras.Input((6,), name="x")
    norm = layers.BatchNormalization()
    model = keras.Model(x, norm(layers.Dense(6)(x)))
    norm.moving_variance.assign(np.full(6, 1e6))
    export.to_tflite(model, tmp_path / "m.tflite", "float16", inputs=X, measure=False)


@pytest.mark.parametrize(
    ("inner", "last", "wanted"),
    [
        (keras.ops.square, keras.ops.sqrt, "layer 'inner'"),
        ("relu", keras.ops.square, "output 'last'"),
    ],
    ids=["inside", "at the end"],
)
def test_numbers_beyond_it_are_told(inner, last, wanted, tmp_path):
    model = network(inner, last)
    second = model.get_layer("second")
    second.set_weights([np.abs(x) for x in second.get_weights()])
    export.to_tflite(model, tmp_path / "m.tflite", "float16", inputs=X, measure=False)
    with pytest.warns(UserWarning, match=f"ends at 65504.*Received: .* in {wanted}.*infinite"):
        export.to_tflite(model, tmp_path / "m.tflite", "float16", inputs=X * 999, measure=False)


def test_a_mask_of_a_large_negative_number_is_not(tmp_path):
    """Infinite is what it stands for; a constant beyond float16 the converter cuts."""
    x = keras.Input((4, 6), name="x")
    mask = layers.Rescaling(-6e4, offset=-6e4, name="mask")(
        keras.ops.cast(x[..., :4] > 0.9, "float32")
    )
    model = keras.Model(x, keras.ops.softmax(layers.Dense(4)(x) + mask))
    export.to_tflite(
        model, tmp_path / "m.tflite", "float16", inputs=X[:, None].repeat(4, 1), measure=False
    )
