"""What is said of a model before it is converted, and what is rewritten: equal to the model."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import blocks
import export
from export.commands import main
from export.convert import convert
from export.findings import lacking
from export.preflight import prepared
from tests.slow import slow

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
rng = np.random.default_rng(0)


def model_of(function, shape=(8,), dtype="float32"):
    x = keras.Input(shape, dtype=dtype, name="x")
    return keras.Model(x, function(x))


def pairs(function):
    return lambda x: function(x, x)


def axes(x):
    return ops.reshape(x, (-1, *(2,) * 7))


# What needs an operation that LiteRT does not have: shape, type, that operation.
REFUSED = {
    "tan": (ops.tan, (8,), "float32", "Tan"),
    "arctan": (ops.arctan, (8,), "float32", "Atan"),
    "arcsin": (ops.arcsin, (8,), "float32", "Asin"),
    "arccos": (ops.arccos, (8,), "float32", "Acos"),
    "arcsinh": (ops.arcsinh, (8,), "float32", "Asinh"),
    "arccosh": (ops.arccosh, (8,), "float32", "Acosh"),
    "arctanh": (ops.arctanh, (8,), "float32", "Atanh"),
    "sinh": (ops.sinh, (8,), "float32", "Sinh"),
    "cosh": (ops.cosh, (8,), "float32", "Cosh"),
    "erf": (ops.erf, (8,), "float32", "Erf"),
    "erfc": (ops.erfc, (8,), "float32", "Erfc"),
    "erfinv": (ops.erfinv, (8,), "float32", "Erfinv"),
    "i0": (ops.i0, (8,), "float32", "BesselI0"),
    "cumprod": (lambda x: ops.cumprod(x, 1), (8,), "float32", "Cumprod"),
    "signbit": (ops.signbit, (8,), "float32", "BitwiseAnd"),
    "nanargmax": (lambda x: ops.nanargmax(x, 1), (8,), "float32", "BitwiseAnd"),
    "nonzero": (lambda x: ops.nonzero(x)[0], (8,), "float32", "Unpack"),
    "bitwise_and": (pairs(ops.bitwise_and), (8,), "int32", "BitwiseAnd"),
    "bitwise_or": (pairs(ops.bitwise_or), (8,), "int32", "BitwiseOr"),
    "bitwise_not": (ops.bitwise_not, (8,), "int32", "Invert"),
    "left_shift": (pairs(ops.left_shift), (8,), "int32", "LeftShift"),
    "bincount": (lambda x: ops.bincount(x, minlength=5), (8,), "int32", "DenseBincount"),
    "fft": (lambda x: ops.fft((x, x))[0], (8,), "float32", "Complex"),
    "fft2": (lambda x: ops.fft2((x, x))[0], (8, 8), "float32", "Complex"),
    "ifft2": (lambda x: ops.ifft2((x, x))[0], (8, 8), "float32", "Complex"),
    "irfft": (lambda x: ops.irfft((x, x)), (5,), "float32", "Complex"),
    "istft": (lambda x: ops.istft((x, x), 8, 4, 8), (7, 5), "float32", "Complex"),
    "bicubic": (lambda x: ops.image.resize(x, (4, 4), "bicubic"), (8, 8, 3), "float32", "Res"),
    "lanczos3": (layers.UpSampling2D(2, interpolation="lanczos3"), (4, 4, 3), "float32", "Scale"),
    "antialias": (layers.Resizing(4, 4, antialias=True), (8, 8, 3), "float32", "Scale"),
    "affine": (
        lambda x: ops.image.affine_transform(x, ops.ones((1, 8))),
        (8, 8, 3),
        "float32",
        "ImageProjectiveTransformV3",
    ),
    "rgb_to_hsv": (ops.image.rgb_to_hsv, (8, 8, 3), "float32", "RGBToHSV"),
    "hsv_to_rgb": (ops.image.hsv_to_rgb, (8, 8, 3), "float32", "HSVToRGB"),
    "unfold": (lambda x: ops.unfold(x, 2), (3, 4, 4), "float32", "ExtractImagePatches"),
    "max pool": (layers.MaxPooling3D(2), (4, 4, 4, 2), "float32", "MaxPool3D"),
    "average pool": (lambda x: ops.average_pool(x, 2), (4, 4, 4, 2), "float32", "AvgPool3D"),
    "groups": (layers.Conv3D(4, 2, groups=2), (4, 4, 4, 2), "float32", "Conv3D"),
    "dilated": (layers.Conv3D(4, 2, dilation_rate=2), (4, 4, 4, 2), "float32", "SpaceToBatchND"),
    "dilated transpose": (
        layers.Conv2DTranspose(4, 2, dilation_rate=2),
        (4, 4, 2),
        "float32",
        "Conv2DBackpropInput",
    ),
    "searchsorted": (
        lambda x: ops.searchsorted(ops.arange(5, dtype="float32"), ops.reshape(x, (-1,))),
        (8,),
        "float32",
        "LowerBound",
    ),
    "diagonal": (
        lambda x: ops.diagonal(x, axis1=1, axis2=2),
        (4, 4),
        "float32",
        "MatrixDiagPartV3",
    ),
    "hashing": (layers.Hashing(5), (4,), "int64", "AsString"),
    "lookup": (layers.IntegerLookup(vocabulary=[1, 2]), (4,), "int64", "LookupTableFindV2"),
    "multi hot": (layers.CategoryEncoding(5), (4,), "int32", "DenseBincount"),
    "bins": (
        layers.Discretization([0.0, 1.0], output_mode="multi_hot"),
        (4,),
        "float32",
        "DenseBincount",
    ),
    "transpose": (
        lambda x: ops.transpose(axes(x), (0, 2, 1, 4, 3, 6, 5, 7)),
        (128,),
        "float32",
        "Transpose",
    ),
    "in_top_k": (
        lambda x: ops.in_top_k(ops.zeros((1,), "int32"), x, 2),
        (8,),
        "float32",
        "InTopKV2",
    ),
    "det": (ops.det, (4, 4), "float32", "MatrixDeterminant"),
    "inv": (ops.inv, (4, 4), "float32", "MatrixInverse"),
    "solve": (pairs(ops.solve), (4, 4), "float32", "MatrixSolve"),
    "triangular": (pairs(ops.solve_triangular), (4, 4), "float32", "MatrixTriangularSolve"),
    "cholesky": (ops.cholesky, (4, 4), "float32", "Cholesky"),
    "eigh": (lambda x: ops.eigh(x)[0], (4, 4), "float32", "SelfAdjointEigV2"),
    "svd": (lambda x: ops.svd(x)[1], (4, 4), "float32", "Svd"),
    "qr": (lambda x: ops.qr(x)[0], (4, 4), "float32", "Qr"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_lacks_a_kernel_is_refused_and_has_a_repair(name):
    function, shape, dtype, op = REFUSED[name]
    [refused] = export.preflight(model_of(function, shape, dtype)).refused
    assert refused.op.startswith(op) and refused.op in refused.what and refused.instead


@slow
@on_tensorflow
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_does_not_convert(name):
    function, shape, dtype, op = REFUSED[name]
    with pytest.raises(export.ExportError, match=op):
        convert(model_of(function, shape, dtype))


FINE = {
    "argmax of whole numbers": (lambda x: ops.argmax(x, 1), (8,), "int32"),
    "resize": (lambda x: ops.image.resize(x, (4, 4)), (8, 8, 3), "float32"),
    "nearest": (layers.Resizing(4, 4, "nearest", antialias=True), (8, 8, 3), "float32"),
    "one hot": (layers.CategoryEncoding(5, output_mode="one_hot"), (1,), "int32"),
    "bins": (layers.Discretization([0.0, 1.0]), (4,), "float32"),
    "groups": (layers.Conv2D(4, 2, groups=2, dilation_rate=2), (4, 4, 2), "float32"),
    "volumes": (layers.Conv3D(4, 2), (4, 4, 4, 2), "float32"),
    "pool": (layers.MaxPooling2D(2), (4, 4, 2), "float32"),
    "largest": (layers.GlobalMaxPooling3D(), (4, 4, 4, 2), "float32"),
    "roll": (lambda x: ops.roll(x, 2, 1), (8, 3), "float32"),
    "rfft": (lambda x: ops.rfft(x)[0], (8,), "float32"),
    "arctan2": (pairs(ops.arctan2), (8,), "float32"),
    "gelu": (ops.gelu, (8,), "float32"),
    "attention": (lambda x: layers.MultiHeadAttention(2, 4)(x, x), (4, 8), "float32"),
}


@pytest.mark.parametrize("name", FINE)
def test_what_converts_is_not_listed(name):
    found = export.preflight(model_of(*FINE[name]))
    assert found.findings == [] and found.unseen is None
    assert "nothing found" in str(found)


@on_tensorflow
def test_a_refusal_comes_before_the_conversion(tmp_path, monkeypatch):
    def ask(*args, **kwargs):
        raise AssertionError("the converter was asked")

    monkeypatch.setattr("export.convert.worker.ask", ask)
    inner = keras.Sequential([keras.Input((4, 8)), layers.Dense(3)], name="inner")
    x = keras.Input((4, 8))
    heads = layers.MultiHeadAttention(2, 4, flash_attention=True, name="heads")
    model = keras.Model(x, inner(heads(x, x)))
    with pytest.raises(export.ExportError, match="in layer 'heads' .*flash_attention=False") as e:
        export.to_tflite(model, tmp_path / "m.tflite")
    assert (e.value.layer, e.value.op) == ("heads", "FlashAttention")
    assert list(tmp_path.iterdir()) == []


def test_the_table_names_layer_finding_and_substitute():
    image = keras.Input((4, 4, 3))
    inner = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.UpSampling2D(2, interpolation="bicubic", name="up")],
        name="neck",
    )
    found = export.preflight(keras.Model(image, inner(image), name="m"))
    assert str(found).splitlines() == [
        "preflight of m (float32)",
        "layer    finding                            instead",
        "neck.up  refused: no kernel: ResizeBicubic  interpolation='bilinear'",
    ]
    assert found.to_dict()["findings"][0]["layer"] == "neck.up"


def kinds(found):
    return {kind: [x.layer for x in getattr(found, kind)] for kind in KINDS}


KINDS = ("refused", "slow", "inexact", "rewritten")


def test_what_is_slow_or_inexact_is_told_by_precision():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="first")(image)
    x = layers.DepthwiseConv2D(3, name="second")(x)
    x = layers.Reshape((4, 16), name="rows")(x)
    x = layers.GRU(4, name="loop")(x)
    x = layers.Dense(300, activation="softmax", name="wide")(x)
    model = keras.Model(image, ops.top_k(x, 3)[1])
    empty = {"refused": [], "inexact": [], "rewritten": [], "slow": ["loop"]}
    assert kinds(export.preflight(model)) == empty
    assert kinds(export.preflight(model, "dynamic"))["slow"] == ["loop", "second"]
    found = export.preflight(model, "int8")
    assert not found.refused + found.slow and kinds(found)["rewritten"] == ["loop"]
    assert len(found.inexact) == 1 and "ranks" in found.inexact[0].what


def test_open_sizes_text_and_narrow_types_are_findings():
    x = keras.Input((None, 3), name="x")
    loop = keras.Model(x, layers.LSTM(4, name="loop")(x))
    [refused] = export.preflight(loop, "int8").refused
    assert "input_shape=" in refused.what
    assert kinds(export.preflight(loop, "int8", (6, 3)))["rewritten"] == ["loop"]
    [refused] = export.preflight(loop, "int8", (600, 3)).refused
    assert (refused.layer, refused.op) == ("loop", "While")
    narrow = model_of(layers.Dense(2, dtype="mixed_bfloat16"))
    assert "in float32" in export.preflight(narrow).rewrites[0]
    words = keras.Input((4,), dtype="string", name="words")
    text = keras.Model(words, layers.StringLookup(vocabulary=["a"])(words))
    assert "Text" in export.preflight(text).refused[0].what
    with pytest.raises(ValueError, match="Received: precision='int4'"):
        export.preflight(narrow, "int4")


def test_a_stateful_layer_is_refused():
    x = keras.Input(batch_shape=(1, 5, 3))
    found = export.preflight(keras.Model(x, layers.GRU(4, stateful=True, name="it")(x)))
    assert found.refused[0].op == "AssignVariableOp" and found.refused[0].layer == "it"


def scores(x):
    return {
        "best": ops.argmax(x, axis=-1),
        "least": ops.argmin(x, axis=1, keepdims=True),
        "middle": ops.argmax(x, axis=-2),
    }


@pytest.mark.parametrize("ties", [False, True])
def test_places_of_the_largest_are_keras_s(ties):
    model = model_of(scores, (4, 5, 6))
    runs, found = prepared(model, "float32")
    x = rng.normal(size=(3, 4, 5, 6)).astype("float32")
    x = np.round(x) + 0.0 if ties else x  # without -0.0, which Keras ranks below 0.0
    expected, actual = model(x), runs(x)
    assert sorted(actual) == sorted(expected) and len(found.rewrites) == 3
    for name in expected:
        assert actual[name].shape == expected[name].shape and "int32" in str(actual[name].dtype)
        np.testing.assert_array_equal(actual[name], expected[name])


def recurrent(ids):
    """Masks, both directions, states, a shared layer and one in a nested model."""
    x = layers.Embedding(9, 6, mask_zero=True, name="table")(ids)
    plain = layers.Embedding(9, 6, name="plain")(ids)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(plain)
    shared = layers.GRU(4, name="shared")
    rows, state = layers.SimpleRNN(6, return_sequences=True, return_state=True, name="s")(x)
    net = keras.Sequential([keras.Input((5, 6)), layers.GRU(2, go_backwards=True)], name="net")
    last = layers.LSTM(4, name="last")(rows)
    again = {"masked": shared(x), "again": shared(plain)}
    return {"both": both, "last": last, "state": state, "net": net(plain), **again}


def test_unrolled_layers_answer_as_loops_do():
    model = model_of(recurrent, (5,), "int32")
    runs, found = prepared(model, "int8")
    ids = rng.integers(0, 3, (7, 5))
    expected, actual = model(ids), runs(ids)
    assert sorted(actual) == sorted(expected) and not found.refused
    assert sum("unrolled, 5 steps" in line for line in found.rewrites) == 5
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], atol=1e-6)
    assert not any(x.unroll for x in model._flatten_layers() if isinstance(x, layers.RNN))


@on_tensorflow
def test_a_loop_becomes_an_int8_file(tmp_path):
    model = model_of(lambda x: layers.GRU(4, name="gru")(x), (None, 3))
    samples = rng.normal(size=(32, 5, 3)).astype("float32")
    bundle = export.to_tflite(
        *(model, tmp_path / "m.tflite", "int8"),
        calibration=samples,
        input_shape=(5, 3),
        measure=False,
    )
    assert "WHILE" not in bundle.ops and bundle.parity.passed
    line = "gru: unrolled, 5 steps: int8 holds no loop"
    assert bundle.rewrites == bundle.to_dict()["rewrites"] == [line] and line in str(bundle)


def twice(x):
    return 2 * x


@on_tensorflow
def test_odd_names_and_functions_of_no_name_convert(tmp_path):
    x = keras.Input((8, 8, 3), name="x")
    y = layers.Conv2D(4, 3, activation=twice, use_bias=False, name="m(x) [1]")(x)
    y = layers.Conv2D(4, 3, name="_é")(layers.SpatialDropout2D(0.2, name="idle")(y))
    y = layers.ReLU()(layers.BatchNormalization(name="norm")(y))
    model = keras.Model(x, {"best": ops.argmax(y, -1), "map": y}, name="odd (1)")
    bundle = export.to_tflite(model, tmp_path / "m.tflite", measure=False)
    assert [x.name for x in bundle.outputs] == ["best", "map"]
    assert set(bundle.ops) <= {"CONV_2D", "MUL", "TOPK_V2", "RESHAPE"}  # `norm` in none of its own
    said = " ".join(bundle.rewrites)
    assert "m(x) [1]: called 'm_x___1_'" in said and "argmax of floats by top_k" in said
    assert "norm: folded" in said and "idle: left out" in said


def test_functions_that_no_name_leads_to_are_copied():
    model = model_of(layers.Dense(2, activation=lambda x: 3 * x))
    x = rng.normal(size=(2, 8)).astype("float32")
    np.testing.assert_array_equal(blocks.flatten(model)(x), model(x))


class Own(layers.Layer):
    """A layer of which no second can be made."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return ops.erf(self.factor.value * x)

    def get_config(self):
        return {}


def test_what_cannot_be_copied_is_not_looked_into():
    class Factor:
        value = 2.0

    model = model_of(Own(Factor(), name="own"))
    with pytest.raises(ValueError, match="Received: 'own' of type Own, of which no second"):
        blocks.flatten(model)
    found = export.preflight(model)
    assert "'own'" in found.unseen and "not looked into" in str(found) and not found.refused


def test_a_layer_of_somebody_else_is_not_judged_by_its_name():
    class Erf(layers.Layer):
        def call(self, x):
            return 2 * x

    model = model_of(Erf())
    node = model.layers[1]._inbound_nodes[0]
    assert lacking(node) is None


def test_command_line(tmp_path, capsys):
    path = str(tmp_path / "m.keras")
    model_of(lambda x: layers.GRU(2, name="gru")(x), (None, 3)).save(path)
    words = ["preflight", path, "--precision", "int8", "--input-shape"]
    assert main([*words, "5", "3"]) == 0
    assert "gru    rewritten: unrolled, 5 steps" in capsys.readouterr().out
    assert main([*words, "900", "3"]) == 2
    told = capsys.readouterr()
    assert "refused: a loop" in told.out and "does not convert" in told.err


@on_tensorflow
@pytest.mark.parametrize(
    ("shapes", "misread"),
    [
        ([(8, 16), (8, 1)], True),
        ([(8, 8), (8, 1)], True),
        ([(8, 1), (1, 8)], True),
        ([(1, 8), (8, 1)], True),
        ([(6, 8, 6), (6, 1, 1)], True),
        ([(8, 1), (1, 8), (8, 8)], True),
        ([(8, 1), (8, 8)], False),
        ([(8, 8), (1, 8)], False),
        ([(4, 4, 8), (1, 1, 8)], False),
        ([(4, 4, 4), (4, 4, 1)], False),
        ([(5,), (5,)], False),
    ],
    ids=str,
)
@pytest.mark.parametrize("layer", [None, layers.Add, layers.Average])
def test_a_sum_in_a_batch_of_one_is_the_sum(shapes, misread, layer, tmp_path):
    """Keras adds the second as a bias, along the last axis if that is as long."""
    inputs = [keras.Input(shape, name=f"x{i}") for i, shape in enumerate(shapes)]
    if not layer and len(inputs) > 2:
        pytest.skip("an operation adds two")
    y = layer(name="y")(inputs) if layer else inputs[0] + inputs[1]
    given = {x.name: rng.normal(size=(3, *x.shape[1:])).astype("float32") for x in inputs}
    rewrites, answer = summed(inputs, y, given, tmp_path)
    assert any("for a bias" in x for x in rewrites) == misread
    expected = sum(given.values()) / (len(given) if layer is layers.Average else 1)
    assert np.allclose(answer, expected, atol=1e-6)


def summed(inputs, y, given, folder):
    bundle = export.to_tflite(
        keras.Model(inputs, y), folder / "m.tflite", inputs=given, measure=False
    )
    (answer,) = export.predict(bundle.path, given).values()
    return bundle.rewrites, answer


@on_tensorflow
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("first", "second"),
    [("float32", "uint8"), ("int32", "uint8"), ("int32", "int8"), ("int32", "int32")],
)
def test_a_sum_of_other_numbers_is_one_too(first, second, count, tmp_path):
    types = {"x": first, "y": second}
    shapes = {"x": (8, 8), "y": (8, 1)}
    inputs = [keras.Input(shapes[x], dtype=types[x], name=x) for x in types]
    given = {x: rng.integers(0, 9, (count, *shapes[x])).astype(types[x]) for x in types}
    _, answer = summed(inputs, inputs[0] + inputs[1], given, tmp_path)
    assert np.array_equal(answer, given["x"] + given["y"])


@on_tensorflow
def test_a_sum_is_what_keras_gives_where_that_is_known(tmp_path):
    """A constant and a batch that is always 1 are the same in training."""
    x, one = keras.Input((8, 1), name="x"), keras.Input(batch_shape=(1, 8, 1), name="x")
    whole = rng.normal(size=(1, 8, 8)).astype("float32")
    given = {"x": rng.normal(size=(1, 8, 1)).astype("float32")}
    rewrites, answer = summed(x, ops.add(whole, x), given, tmp_path)
    assert rewrites and np.allclose(answer, whole + given["x"], atol=1e-6)
    wide = ops.concatenate([x] * 8, axis=-1)
    kept = ((one, ops.add(whole, one)), (x, ops.add(wide, whole[..., :1])))
    for each, y in (*kept, (x, ops.add(x, whole[..., :1]))):
        _, answer = summed(each, y, given, tmp_path)
        assert np.allclose(answer, keras.Model(each, y)(given["x"]), atol=1e-6)


@on_tensorflow
def test_what_is_rewritten_computes_in_float32_whatever_the_policy(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = [keras.Input(shape, name=f"x{i}") for i, shape in enumerate([(8, 8), (8, 1)])]
        y = ops.argmax((inputs[0] + inputs[1]) * 10, axis=-1)
        given = {x.name: rng.normal(size=(3, *x.shape[1:])).astype("float32") for x in inputs}
        rewrites, answer = summed(inputs, y, given, tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    assert len(rewrites) == 3 and np.array_equal(answer, np.argmax(sum(given.values()), -1))


class Add(layers.Layer):
    def call(self, first, second):
        return ops.subtract(first, -3.0 * second)


@on_tensorflow
@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.argmax(x / (ops.max(ops.abs(x)) + ops.mean(ops.abs(x))), axis=-1),
        lambda x: Add()(x, x[..., :1]),
        lambda x: ops.reshape(x, (1, 64)),
        lambda x: x / ops.sum(ops.abs(x)),
        lambda x: (x * 2) + (x[..., :1] * 2),
    ],
    ids=["scalars", "own", "one", "all", "scaled"],
)
def test_one_sample_answers_as_keras_does(function, tmp_path):
    x = keras.Input((8, 8), name="x")
    given = {"x": rng.normal(size=(1, 8, 8)).astype("float32")}
    summed(x, function(x), given, tmp_path)


@on_tensorflow
def test_what_is_rewritten_says_nothing_of_masks(tmp_path):
    ids, other = keras.Input((8,), dtype="int32", name="ids"), keras.Input((8, 1), name="other")
    y = layers.LSTM(3)(layers.Add()([layers.Embedding(5, 8, mask_zero=True)(ids), other]))
    given = {"ids": rng.integers(0, 5, (4, 8)), "other": rng.normal(size=(4, 8, 1))}
    rewrites, answer = summed([ids, other], y, given, tmp_path)
    assert len(rewrites) == 1
