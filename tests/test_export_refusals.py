"""What cannot leave says where it stands and what to use instead."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import export
from export import advice
from export.advice import layer_at
from export.preflight import prepared

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)


class Applied(layers.Layer):
    """A layer whose inner layer is fine and whose own operation, hidden by a weight, may not be."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function
        self.inner = layers.Dense(3, name="inner")

    def build(self, shape):
        self.inner.build(shape)
        self.add_weight(name="hides")

    def call(self, x):
        return self.function(self.inner(x))


def refused(model, path, **kwargs):
    with pytest.raises(export.ExportError) as error:
        export.to_tflite(model, path / "m.tflite", **{"measure": False, **kwargs})
    assert list(path.iterdir()) == []
    return error.value


FUNCTIONS = {
    "BitwiseAnd": (lambda x: ops.argmax(x, -1), "ops.top_k(x, 1)[1]"),
    "Erf": (ops.erf, "keras.ops.gelu"),
    "Erfinv": (ops.erfinv, "polynomial"),
    "ResizeBicubic": (lambda x: ops.image.resize(x, (4, 4), "bicubic"), "bilinear"),
    "ScaleAndTranslate": (
        lambda x: ops.image.resize(x, (4, 4), antialias=True),
        "antialias=False",
    ),
    "RGBToHSV": (ops.image.rgb_to_hsv, "max, min, where"),
    "ImageProjectiveTransformV3": (
        lambda x: ops.image.affine_transform(x, ops.ones((1, 8))),
        "map_coordinates",
    ),
    "Complex": (lambda x: ops.fft2((x[..., 0], x[..., 0]))[0], "rfft"),
    "LowerBound": (
        lambda x: ops.searchsorted(ops.arange(5, dtype="float32"), ops.reshape(x, (-1,))),
        "sum of comparisons",
    ),
    "MatrixDiagPartV3": (lambda x: ops.diagonal(x, axis1=1, axis2=2), "ops.eye(n)"),
    "Transpose": (
        lambda x: ops.transpose(
            ops.reshape(x, (-1, 2, 2, 2, 2, 2, 2, 3)), (0, 2, 1, 4, 3, 6, 5, 7)
        ),
        "at most 6 axes",
    ),
}


@pytest.mark.parametrize("op", FUNCTIONS)
def test_operations_without_a_kernel(op, tmp_path):
    function, repair = FUNCTIONS[op]
    image = keras.Input((8, 8, 3), name="image")
    stage = keras.Sequential([keras.Input((8, 8, 3)), Applied(function, name="culprit_2")])
    model = keras.Model(image, stage(layers.Dense(3, name="culprit")(image)))
    error = refused(model, tmp_path)
    assert (error.layer, error.op) == ("culprit_2", op)
    assert f"{op} in layer 'culprit_2'" in str(error) and repair in str(error)
    assert "Received: " in str(error) and len(str(error)) < 700
    assert op in error.details


def test_an_operation_outside_any_layer_has_no_layer(tmp_path):
    x = keras.Input((4,))
    error = refused(keras.Model(x, ops.signbit(layers.Dense(3)(x))), tmp_path)
    assert (error.layer, error.op) == (None, "BitwiseAnd")


@pytest.mark.parametrize(
    ("layer", "shape", "dtype", "op"),
    [
        (layers.MaxPooling3D(name="it"), (4, 4, 4, 2), "float32", "MaxPool3D"),
        (layers.AveragePooling3D(2, name="it"), (4, 4, 4, 2), "float32", "AvgPool3D"),
        (layers.Hashing(5, name="it"), (4,), "int64", "AsString"),
        (layers.CategoryEncoding(5, name="it"), (4,), "int32", "DenseBincount"),
        (
            layers.IntegerLookup(vocabulary=[1, 2, 3], name="it"),
            (4,),
            "int64",
            "LookupTableFindV2",
        ),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, keras.Layer) else "",
)
def test_layers_without_a_kernel(layer, shape, dtype, op, tmp_path):
    x = keras.Input(shape, dtype=dtype)
    error = refused(keras.Model(x, layer(x)), tmp_path)
    assert (error.layer, error.op) == ("it", op)
    assert "instead: " in str(error)


def test_every_repair_is_about_one_operation():
    assert all(name.isidentifier() and text for name, text in advice.INSTEAD.items())


def test_flash_attention(tmp_path):
    x = keras.Input((4, 8))
    heads = layers.MultiHeadAttention(2, 4, flash_attention=True, name="heads")
    error = refused(keras.Model(x, heads(x, x)), tmp_path)
    assert error.layer == "heads"
    assert "flash_attention=False" in str(error) and "\x1b" not in str(error)


@pytest.mark.parametrize("wrap", [lambda x: x, layers.Bidirectional], ids=["plain", "both ways"])
def test_int8_of_a_loop_is_refused_and_unrolled_is_not(wrap, tmp_path):
    samples = np.random.default_rng(0).normal(size=(32, 5, 3))

    def model(length=5, **kwargs):
        x = keras.Input((length, 3), name="x")
        return keras.Model(x, wrap(layers.GRU(4, name="gru", **kwargs))(x))

    with pytest.raises(export.ExportError) as caught:
        prepared(model(300), "int8")
    error = caught.value
    assert error.layer in ("gru", "forward_gru", "bidirectional") and error.op == "While"
    assert "unroll=True" in str(error)
    path = tmp_path / "m.tflite"
    bundle = export.to_tflite(
        model(unroll=True), path, "int8", calibration=samples, tolerance=15, measure=False
    )
    assert "WHILE" not in bundle.ops


class Own(keras.Model):
    """A subclassed model."""

    def __init__(self):
        super().__init__(name="own")
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def built(model):
    model(np.ones((1, 3), "float32"))
    return model


def deferred():
    model = keras.Sequential([layers.Dense(2)])
    model(np.ones((2, 3), "float32"))
    return model


def quantized():
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(4, name="narrow")(x))
    model.get_layer("narrow").quantize("int8")
    return model


def model_of(*shape, **kwargs):
    x = keras.Input(shape or (3,), **kwargs)
    return keras.Model(x, layers.Dense(2)(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Own(), "has not been built.*Received: 'own'"),
        (lambda: built(Own()), "functional or Sequential.*Received: 'own' of type Own"),
        (lambda: keras.Sequential([layers.Dense(2)]), "has not been built"),
        (lambda: layers.Dense(2), "Received: Dense"),
        (lambda: model_of(name="two words"), "Received: 'two words'. Rename"),
        (lambda: model_of(name="self"), "Received: 'self'"),
        (lambda: model_of(name="lambda"), "Received: 'lambda'"),
        (lambda: model_of(batch_size=4, name="x"), r"one sample a call.*'x' of shape \(4, 3\)"),
        (deferred, r"shape \(2, 3\).*begin a Sequential with keras.Input"),
        (
            lambda: model_of(None, 3, name="x"),
            r"fixed sizes. Received: input 'x' of shape \(None, 3\).*input_shape=, .*\(96, 3\)",
        ),
        (quantized, "quantized by Keras.*'narrow'.*before quantize"),
        (
            lambda: keras.Model(
                *(lambda x: (x, layers.StringLookup(vocabulary=["a"])(x)))(
                    keras.Input((4,), dtype="string", name="words")
                )
            ),
            "Text stays outside.*'words'",
        ),
    ],
)
def test_models_that_cannot_leave(make, message, tmp_path):
    assert refused(make(), tmp_path)
    with pytest.raises(export.ExportError, match=message):
        export.to_tflite(make(), tmp_path / "m.tflite")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((9, 4), r"must fit input 'x' of shape \(None, 3\).*Received: \(9, 4\)"),
        ((9,), r"Received: \(9,\)"),
        ({"y": (9, 3)}, r"among \['x'\]. Received: \['y'\]"),
    ],
)
def test_wrong_sizes(given, message, tmp_path):
    with pytest.raises(export.ExportError, match=message):
        export.to_tflite(model_of(None, 3, name="x"), tmp_path / "m.tflite", input_shape=given)


def test_one_shape_for_two_inputs(tmp_path):
    a, b = keras.Input((None,), name="a"), keras.Input((None,), name="b")
    with pytest.raises(export.ExportError, match=r"dict by name .*\['a', 'b'\]"):
        export.to_tflite(keras.Model([a, b], a + b), tmp_path / "m.tflite", input_shape=(3,))


def test_wrong_words(tmp_path):
    with pytest.raises(ValueError, match="Received: precision='int4'"):
        export.to_tflite(model_of(), tmp_path / "m.tflite", "int4")
    with pytest.raises(ValueError, match=r"end in '.tflite'. Received: path=.*m.lite"):
        export.to_tflite(model_of(), tmp_path / "m.lite")
    assert list(tmp_path.iterdir()) == []


def test_scopes_are_read_back_to_layers():
    x = keras.Input((3,))
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(3, name="d_1")], name="net")
    model = keras.Model(x, inner(layers.Dense(3, name="d")(x)), name="outer")
    assert layer_at("outer_1/d_1/MatMul", model) == "d"
    assert layer_at("outer_1/net_1/d_1_1/MatMul", model) == "d_1"
    assert layer_at("outer_1/net_3/Mul", model) == "net"
    assert layer_at("outer_1/Mul", model) is None
