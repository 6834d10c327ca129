"""Files that leave: names, precisions, kinds of model, and the facts beside them."""

import hashlib
import json

import keras
import numpy as np
import pytest
from keras import layers, ops

import export

rng = np.random.default_rng(0)
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
pytestmark = on_tensorflow


def classifier(**kwargs):
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, **kwargs)(image)
    x = layers.BatchNormalization(**kwargs)(x)
    x = layers.GlobalAveragePooling2D(**kwargs)(layers.ReLU(**kwargs)(x))
    x = layers.Dropout(0.5, **kwargs)(x)
    return keras.Model(
        image, layers.Dense(4, activation="softmax", name="scores", **kwargs)(x), name="classifier"
    )


IMAGES = rng.normal(size=(60, 8, 8, 3)).astype("float32")


def runner(path):
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path)).get_signature_runner()


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8"])
def test_precisions(precision, tmp_path):
    model, path = classifier(), tmp_path / "deep" / "leaf.tflite"
    bundle = export.to_tflite(
        model, path, precision, calibration=IMAGES, labels="abcd", measure=False
    )
    answer = runner(path)
    assert bundle.path == path and bundle.precision == precision and bundle.parity.passed
    assert bundle.parity.samples == 60
    assert {str(np.dtype(x["dtype"])) for x in answer.get_input_details().values()} == {"float32"}
    assert ("QUANTIZE" in bundle.ops) is (precision == "int8")
    assert ("DEQUANTIZE" in bundle.ops) is (precision in ("float16", "int8"))
    reference = np.asarray(model(IMAGES))
    actual = np.concatenate([answer(image=x[None])["scores"] for x in IMAGES])
    assert bundle.parity.outputs[0].max_abs == pytest.approx(np.abs(actual - reference).max())
    assert np.abs(actual - reference).max() < {"float32": 1e-6, "float16": 1e-3}.get(
        precision, 0.05
    )


def test_the_facts_beside_it(tmp_path):
    model, path = classifier(), tmp_path / "leaf.tflite"
    bundle = export.to_tflite(model, path, labels=["a", "b", "c", "d"])
    assert sorted(x.name for x in tmp_path.iterdir()) == ["leaf.json", "leaf.tflite"]
    facts = json.loads((tmp_path / "leaf.json").read_text())
    assert facts["file"] == "leaf.tflite" and facts["precision"] == "float32"
    assert facts["size"] == path.stat().st_size
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["labels"] == ["a", "b", "c", "d"]
    assert facts["inputs"] == [{"name": "image", "shape": [1, 8, 8, 3], "dtype": "float32"}]
    assert facts["outputs"] == [{"name": "scores", "shape": [1, 4], "dtype": "float32"}]
    assert facts["parity"]["passed"] is True
    assert facts["ops"] == dict(bundle.ops) and facts["ops"]["CONV_2D"] == 1
    assert facts["versions"]["keras"] == keras.__version__
    assert facts["measurement"]["macs"] == 9 * 27 * 8 + 8 * 4 == bundle.measurement.macs
    assert [x["threads"] for x in facts["measurement"]["latency"]] == [1, 2]
    text = str(bundle)
    for word in ("leaf.tflite", "float32", "CONV_2D 1", "scores", "parameters", "median", "parity"):
        assert word in text
    assert len(text.splitlines()) < 20


def several():
    image, ids = keras.Input((8, 8, 3), name="image"), keras.Input((5,), dtype="int32", name="ids")
    row = keras.Input((4,), name="a.row")
    seen = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    read = layers.GlobalAveragePooling1D()(layers.Embedding(10, 4)(ids))
    both = layers.Concatenate()([seen, read, row])
    return image, ids, row, both


def test_lists_have_the_names_of_inputs_and_layers(tmp_path):
    image, ids, row, x = several()
    model = keras.Model(
        [image, ids, row], [layers.Dense(3, name="age")(x), layers.Dense(2, name="sex")(x)]
    )
    bundle = export.to_tflite(model, tmp_path / "m.tflite", measure=False)
    assert {(x.name, x.shape, x.dtype) for x in bundle.inputs} == {
        ("image", (1, 8, 8, 3), "float32"),
        ("ids", (1, 5), "int32"),
        ("a.row", (1, 4), "float32"),
    }
    assert {(x.name, x.shape) for x in bundle.outputs} == {("age", (1, 3)), ("sex", (1, 2))}
    assert {x.name for x in bundle.parity.outputs} == {"age", "sex"}


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_dicts_have_the_names_of_their_keys(tmp_path):
    image, ids, row, x = several()
    inputs = {"picture": image, "words": ids, "row": row}
    outputs = {
        "boxes": layers.Dense(3, name="head_of_boxes")(x),
        "task": {"ids": ops.top_k(layers.Dense(5)(x), 2)[1], "sure": layers.Dense(2)(x) > 0},
    }
    calibration = {
        "picture": IMAGES[:32],
        "words": rng.integers(0, 10, (32, 5)),
        "row": rng.normal(size=(32, 4)),
    }
    bundle = export.to_tflite(
        keras.Model(inputs, outputs),
        tmp_path / "m.tflite",
        "int8",
        calibration=calibration,
        tolerance={"equal": 0.5, "sqnr_db": 15},
        measure=False,
    )
    assert {x.name for x in bundle.inputs} == set(inputs)
    assert {x.name: x.dtype for x in bundle.outputs} == {
        "boxes": "float32",
        "task_ids": "int32",
        "task_sure": "bool",
    }


def test_one_layer_that_gives_two_outputs_has_two_names(tmp_path):
    x = keras.Input((5, 3), name="x")
    model = keras.Model(x, layers.LSTM(2, return_state=True, name="lstm")(x))
    bundle = export.to_tflite(model, tmp_path / "m.tflite", measure=False)
    assert {x.name for x in bundle.outputs} == {"lstm", "lstm_1", "lstm_2"}


@pytest.mark.parametrize(
    "make",
    [
        lambda x: keras.Model(x, x),
        lambda x: keras.Model(x, {"same": x, "new": layers.Dense(2)(x)}),
        lambda x: keras.Model([x, keras.Input((2,), name="idle")], layers.Dense(2)(x)),
        lambda x: keras.Sequential([x, layers.Dense(2), layers.Dense(3)]),
        lambda x: keras.Model(x, keras.Sequential([layers.Dense(2)])(x)),
        lambda x: keras.Model(x, layers.Dense(2)(ops.cast(x, "int32"))),
        lambda x: keras.Model(x, ops.reshape(x, (-1, 2, 2))),
    ],
    ids=[
        "identity",
        "input among outputs",
        "idle input",
        "Sequential",
        "nested",
        "cast",
        "reshape",
    ],
)
def test_kinds_of_model(make, tmp_path):
    model = make(keras.Input((4,), name="x"))
    assert export.to_tflite(model, tmp_path / "m.tflite", measure=False).parity.passed


def test_whole_numbers_of_bytes(tmp_path):
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    model = keras.Model(image, layers.Conv2D(2, 3)(layers.Rescaling(1 / 255)(image)))
    bundle = export.to_tflite(model, tmp_path / "m.tflite", measure=False)
    assert bundle.inputs[0].dtype == "uint8"


class Halved(layers.Layer):
    """A layer of somebody's that nobody registered, with a sublayer that was given no type."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(units, name="dense")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x) / 2


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_other_precisions_are_rebuilt_in_float32(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    try:
        image = keras.Input((8, 8, 3), name="image")
        inner = keras.Sequential([layers.Conv2D(4, 3), layers.Dropout(0.5)], name="inner")
        x = layers.GlobalAveragePooling2D()(ops.cast(inner(image), "float16") * 2)
        model = keras.Model(image, Halved(3, name="halved")(x))
        bundle = export.to_tflite(model, tmp_path / "m.tflite", inputs=IMAGES, measure=False)
        assert keras.config.dtype_policy().name == policy
        reference = np.asarray(model(IMAGES)).astype("float32")
    finally:
        keras.config.set_dtype_policy("float32")
    assert [x.dtype for x in bundle.inputs + bundle.outputs] == ["float32", "float32"]
    assert bundle.parity.outputs[0].relative < 1e-5
    answer = runner(tmp_path / "m.tflite")
    actual = np.concatenate([next(iter(answer(image=x[None]).values())) for x in IMAGES])
    np.testing.assert_allclose(actual, reference, atol=0.02 * np.abs(reference).max())
    assert export.verify(model, tmp_path / "m.tflite", IMAGES).passed


def test_open_sizes_are_fixed(tmp_path):
    x = keras.Input((None, None, 3), name="x")
    model, path = keras.Model(x, layers.Conv2D(2, 3, name="y")(x)), tmp_path / "m.tflite"
    for shape in ((9, 7, 3), {"x": (9, 7, 3)}):
        bundle = export.to_tflite(model, path, input_shape=shape, measure=False)
        assert bundle.inputs[0].shape == (1, 9, 7, 3) and bundle.outputs[0].shape == (1, 7, 5, 2)
    assert export.verify(model, path, np.ones((2, 9, 7, 3), "float32")).samples == 2
    bundle = export.to_tflite(model, path, input_shape=(9, 7, 3), inputs=np.ones((2, 9, 7, 3)))
    assert bundle.measurement.macs == 7 * 5 * 27 * 2


def test_labels_must_fit(tmp_path):
    with pytest.raises(ValueError, match=r"shape \(4,\). Received: 3 labels"):
        export.to_tflite(classifier(), tmp_path / "m.tflite", labels="abc")
    assert list(tmp_path.iterdir()) == []


def test_int8_keeps_a_flat_softmax_of_many_classes(tmp_path):
    """In 256 steps between 0 and 1 each of its probabilities would be 0."""
    x = keras.Input((8,), name="x")
    model = keras.Model(x, layers.Dense(1000, activation="softmax", name="flat")(x))
    given = {"calibration": rng.normal(size=(60, 8)), "measure": False}
    assert export.to_tflite(model, tmp_path / "m.tflite", "int8", **given).parity.passed


def test_int8_that_loses_the_classes_does_not_leave(tmp_path):
    """Beside one large number the others are less than one of 256 steps."""
    x = keras.Input((8,), name="x")
    model = keras.Model(x, layers.Dense(8, name="flat")(layers.Dense(8)(x)))
    large, small = model.layers[1:]
    large.kernel.assign(large.kernel * ([3000.0] + [1.0] * 7))
    small.kernel.assign(small.kernel * ([[1 / 3000]] + [[1.0]] * 7))
    samples = rng.normal(size=(60, 8))
    path = tmp_path / "m.tflite"
    with pytest.raises(export.ParityError, match=r"flat: sqnr_db .* at least 20") as error:
        export.to_tflite(model, path, "int8", calibration=samples, measure=False)
    assert "float_layers" in str(error.value)
    assert error.value.parity.samples == 60 and not error.value.parity.passed
    assert list(tmp_path.iterdir()) == []
    tolerance = {"sqnr_db": -10, "agreement": 0}
    bundle = export.to_tflite(
        model, path, "int8", calibration=samples, tolerance=tolerance, measure=False
    )
    assert bundle.parity.passed and path.exists()
