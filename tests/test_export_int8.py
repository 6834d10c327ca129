"""What an int8 file computes in 8 bits, and what it leaves in floats."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers, ops

import export

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
MOVES = {"QUANTIZE", "DEQUANTIZE", "RESHAPE", "TRANSPOSE"}


def computed(path):
    """Return the names of a file's operations that give 8 bits, and of those that give floats."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph, kinds = model.subgraphs[0], schema.TensorType
    found = {kinds.INT8: set(), kinds.FLOAT32: set()}
    for operation in graph.operators:
        code = model.operatorCodes[operation.opcodeIndex]
        name = NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
        made = graph.tensors[operation.outputs[0]].type
        found.setdefault(made, set()).add(name)
    return found[kinds.INT8] - MOVES, found[kinds.FLOAT32] - MOVES


def file_of(function, folder, shape=(8, 8, 4), scale=1.0):
    """Return the operations of an int8 file of a dense layer, a function, and a dense layer."""
    keras.utils.set_random_seed(0)
    x = keras.Input(shape, name="x")
    y = layers.Dense(6, name="last")(function(layers.Dense(6, name="first")(x)))
    given = scale * np.random.default_rng(0).normal(size=(40, *shape)).astype("float32")
    path = folder / "m.tflite"
    export.to_tflite(keras.Model(x, y), path, "int8", calibration=given, measure=False)
    return computed(path)


def unit(x):
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), 1e-12))


@pytest.mark.parametrize(
    ("function", "kept"),
    [
        (layers.PReLU(shared_axes=[1, 2]), "PRELU"),
        (layers.Activation("gelu"), "GELU"),
        (layers.Softmax(), "SOFTMAX"),
        (layers.UnitNormalization(), "RSQRT"),
        (unit, "L2_NORMALIZATION"),
        (layers.LayerNormalization(), "SQUARED_DIFFERENCE"),
        (lambda x: ops.matmul(x, ops.swapaxes(x, 2, 3))[..., :6], "BATCH_MATMUL"),
        (lambda x: ops.softmax(ops.where(x > -9, x, -1e4)), "SELECT_V2"),
    ],
    ids=["prelu", "gelu", "softmax", "unit", "l2", "norm", "product", "mask"],
)
def test_what_has_no_quick_kernel_stays_in_floats(function, kept, tmp_path):
    whole, floating = file_of(function, tmp_path)
    assert kept in floating and kept not in whole
    dense = {"FULLY_CONNECTED", "CONV_2D"}
    assert whole & dense and not floating & dense  # before and behind it are 8 bits


@pytest.mark.parametrize(
    "function",
    [
        layers.Activation("relu"),
        layers.Activation("sigmoid"),  # in the middle
        lambda x: ops.mean(x, axis=1, keepdims=True) * x,
        lambda x: ops.matmul(x, np.full((6, 6), 0.1, "float32")),  # by weights
        lambda x: x * ops.cast(ops.where(ops.shape(x)[1] > 3, 2, 1), "float32"),  # of indices
    ],
    ids=["relu", "sigmoid", "mean", "weights", "indices"],
)
def test_all_else_is_in_8_bits(function, tmp_path):
    whole, floating = file_of(function, tmp_path)
    assert whole and not floating


@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "tanh"])
def test_an_answer_is_not_rounded_to_256_steps(activation, tmp_path):
    """Of many classes each would be 0, and a small probability, too."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8,), name="x")
    y = layers.Dense(300, activation=activation, bias_initializer="random_normal")(x)
    given = np.random.default_rng(0).normal(size=(40, 8)).astype("float32")
    path = tmp_path / "m.tflite"
    model = keras.Model(x, y)
    bundle = export.to_tflite(model, path, "int8", calibration=given, measure=False)
    assert bundle.parity.outputs[0].sqnr_db > 30
    (answers,) = export.predict(path, given).values()
    steps = answers * 256
    assert np.abs(steps - np.round(steps)).max() > 0.1


def test_a_mask_leaves_the_others_their_steps(tmp_path):
    """Beside -10,000 all numbers of a normal size would be one step of 256."""
    x = keras.Input((8, 6), name="x")
    hidden = layers.Dense(6)(x)
    y = layers.Softmax(name="p")(ops.where(x > 0, hidden, -1e4))
    given = np.random.default_rng(0).normal(size=(40, 8, 6)).astype("float32")
    given += 0.1 * np.sign(given)  # in 8 bits, too, the same are masked
    model = keras.Model(x, y)
    path = tmp_path / "m.tflite"
    bundle = export.to_tflite(model, path, "int8", calibration=given, measure=False)
    assert bundle.parity.outputs[0].sqnr_db > 30


def test_what_is_joined_takes_no_range_from_the_others(tmp_path):
    """The largest of a window are above -1, which the convolution's inputs are not."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 4), name="x")
    largest = layers.MaxPooling2D(3, 1, padding="same")(x)
    y = layers.Concatenate()([layers.Conv2D(6, 3, padding="same", activation="relu")(x), largest])
    given = np.random.default_rng(0).normal(size=(40, 8, 8, 4)).astype("float32")
    path = tmp_path / "m.tflite"
    bundle = export.to_tflite(keras.Model(x, y), path, "int8", calibration=given, measure=False)
    assert bundle.parity.outputs[0].sqnr_db > 30
