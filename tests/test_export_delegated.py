"""Functions that int8 kernels lack, written otherwise in int8 files alone."""

import keras
import numpy as np
import pytest
from keras import layers

import export
from export.delegated import hard_swish


def model():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, activation="hard_swish")(image)
    x = layers.DepthwiseConv2D(3)(x)
    return keras.Model(image, layers.Activation("hard_silu")(x))


def test_the_formula_is_hard_swish():
    x = np.linspace(-5, 5, 101, dtype="float32")
    np.testing.assert_allclose(hard_swish(x), keras.activations.hard_silu(x), atol=1e-6)


@pytest.mark.parametrize(("precision", "kernels"), [("float32", 2), ("int8", 0)])
def test_hard_swish_is_no_operation_of_int8_files(precision, kernels, tmp_path):
    network, x = model(), np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype("float32")
    bundle = export.to_tflite(
        network, tmp_path / "file.tflite", precision, calibration=x, measure=False
    )
    assert bundle.ops.get("HARD_SWISH", 0) == kernels
    assert network.layers[-1].activation is keras.activations.hard_silu


def test_int8_files_of_it_are_one_part(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    x = np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype("float32")
    export.to_tflite(model(), tmp_path / "file.tflite", "int8", calibration=x, measure=False)
    interpreter = Interpreter(str(tmp_path / "file.tflite"))
    interpreter.allocate_tensors()
    kinds = [op["op_name"] for op in interpreter._get_ops_details()]
    assert kinds.count("DELEGATE") == 1
