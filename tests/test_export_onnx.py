"""ONNX files: names, batches, kinds of model, refusals, the command line."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

import export
import heads
from blocks import RepConv
from export.commands import main

for name in ("onnx", "onnxruntime", "tf2onnx"):
    pytest.importorskip(name, reason="needs pip install keras-blocks[onnx]")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(5, 8, 8, 3)).astype("float32")
TABLE = rng.normal(size=(5, 4)).astype("float32")


def two_inputs(**kwargs):
    """A model of a dict of inputs that gives a dict; GELU, a branch that fuses, dropout."""
    image, table = keras.Input((8, 8, 3), name="image"), keras.Input((4,), name="table")
    x = RepConv(4, strides=2, name="rep", **kwargs)(image)
    x = layers.Conv2D(4, 3, activation="gelu", **kwargs)(layers.Dropout(0.5)(x))
    x = layers.GlobalAveragePooling2D(**kwargs)(x)
    x = layers.LayerNormalization(**kwargs)(layers.Concatenate()([x, table]))
    scores = layers.Dense(3, activation="softmax", dtype="float32", name="probabilities")(x)
    value = layers.Dense(1, dtype="float32", name="amount")(x)
    return keras.Model({"image": image, "table": table}, {"value": value, "scores": scores})


def session_of(path):
    import onnxruntime

    return onnxruntime.InferenceSession(str(path))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model, and its file."""
    folder, model = tmp_path_factory.mktemp("made"), two_inputs()
    given = {"image": IMAGES, "table": TABLE}
    return model, export.to_onnx(model, folder / "deep" / "leaf.onnx", inputs=given)


def test_a_file_answers_as_keras_does(made):
    model, bundle = made
    session = session_of(bundle.path)
    assert {x.name: x.shape for x in session.get_inputs()} == {
        "image": ["batch", 8, 8, 3],
        "table": ["batch", 4],
    }
    assert {x.name: x.shape for x in session.get_outputs()} == {
        "scores": ["batch", 3],
        "value": ["batch", 1],
    }
    expected = model.predict({"image": IMAGES, "table": TABLE}, verbose=0)
    for count in (1, 5):
        given = {"image": IMAGES[:count], "table": TABLE[:count]}
        scores, value = session.run(["scores", "value"], given)
        np.testing.assert_allclose(scores, expected["scores"][:count], atol=1e-6)
        np.testing.assert_allclose(value, expected["value"][:count], atol=1e-6)
    assert bundle.ops["Conv"] == 2 and "Erf" in bundle.ops  # fused, and GELU


def test_the_facts_beside_it(made):
    bundle = made[1]
    assert sorted(x.name for x in bundle.path.parent.iterdir()) == ["leaf.json", "leaf.onnx"]
    facts = json.loads(bundle.path.with_suffix(".json").read_text())
    assert facts["parity"]["passed"] and facts["parity"]["samples"] == 5
    assert {"name": "image", "shape": [None, 8, 8, 3], "dtype": "float32"} in facts["inputs"]
    assert facts["versions"]["opset"] >= 13 and facts["versions"]["tf2onnx"]
    assert "leaf.onnx" in str(bundle) and "Conv 2" in str(bundle)


def test_verify_knows_another_model(made):
    model, bundle = made
    inputs = {"image": IMAGES, "table": TABLE}
    assert export.verify(model, bundle.path, inputs).passed
    other = two_inputs()
    other.set_weights([1.5 * w for w in model.get_weights()])  # drawn anew they may be the same
    with pytest.raises(export.ParityError, match="relative .* must be at most"):
        export.verify(other, bundle.path, inputs)
    with pytest.raises(ValueError, match="float32 and has no signature. Received"):
        export.verify(model, bundle.path, inputs, precision="int8")
    cut = bundle.path.with_name("cut.onnx")
    cut.write_bytes(bundle.path.read_bytes()[:-200])
    try:
        with pytest.raises(ValueError, match="whole .onnx file is needed. Received"):
            export.verify(model, cut, inputs)
    finally:
        cut.unlink()


def test_mixed_precision_and_a_batch_of_one(tmp_path):
    model = two_inputs(dtype="mixed_bfloat16")
    bundle = export.to_onnx(model, tmp_path / "m.onnx", batch=1)
    assert {x.shape[0] for x in bundle.inputs + bundle.outputs} == {1}
    assert {x.dtype for x in bundle.inputs} == {"float32"}
    assert bundle.parity.samples == 8


@pytest.mark.parametrize("kind", ["sequential", "recurrent", "ids"])
def test_kinds_of_model(kind, tmp_path):
    if kind == "sequential":
        model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(2, 3)])
    elif kind == "recurrent":
        x = keras.Input((5, 3), name="x")
        model = keras.Model(x, [layers.GRU(4)(x), layers.LSTM(3, return_sequences=True)(x)])
    else:
        x = keras.Input((5,), dtype="int32", name="ids")
        model = keras.Model(x, ops.top_k(layers.Dense(4)(layers.Embedding(9, 3)(x)), 2)[1])
    shape = (8, 6, 3) if kind == "sequential" else None
    bundle = export.to_onnx(model, tmp_path / "m.onnx", input_shape=shape, opset=17)
    assert bundle.parity.passed and bundle.versions["opset"] == 17
    assert bundle.inputs[0].dtype == ("int32" if kind == "ids" else "float32")


@pytest.mark.parametrize(("batch", "op"), [("dynamic", "Loop"), (1, "NonMaxSuppression")])
def test_boxes(batch, op, tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(4, 3, 4, padding="same")(image)
    maps = {"P2": x, "P3": layers.Conv2D(4, 3, 2, padding="same")(x)}
    head = heads.DetectionHead(2, levels=["P2", "P3"], filters=4, depth=1, neck=None, bins=2)
    model = heads.deploy(heads.attach(keras.Model(image, maps), head), score=0.0, max_detections=6)
    images = rng.normal(size=(5, 16, 16, 3))
    assert model.predict(images, verbose=0)["count"].max() > 2
    bundle = export.to_onnx(model, tmp_path / "m.onnx", inputs=images, batch=batch)
    assert bundle.ops[op] and {x.name for x in bundle.outputs} == set(model.output)


def test_what_onnx_lacks_is_named(tmp_path):
    x = keras.Input((8,), name="x")
    model = keras.Model(x, ops.argmax(layers.Dense(4, name="dense")(x)))
    with pytest.raises(export.ExportError, match="ONNX only. Received: .*Bitcast.*top_k"):
        export.to_onnx(model, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("batch", ["dynamic", 1])
def test_it_is_rewritten_as_files_of_tflite_are(batch, tmp_path):
    x, y = keras.Input((8, 8), name="x"), keras.Input((8, 1), name="y")
    model = keras.Model([x, y], [ops.argmax(x, -1), x + y])
    given = {"x": rng.normal(size=(5, 8, 8)), "y": rng.normal(size=(5, 8, 1))}
    bundle = export.to_onnx(model, tmp_path / "m.onnx", inputs=given, batch=batch)
    assert len(bundle.rewrites) == 2 and bundle.ops["TopK"] == 1
    assert bundle.parity.passed and bundle.parity.samples == 5


def test_wrong_arguments(tmp_path, monkeypatch):
    x = keras.Input((40,), name="x")
    model = keras.Model(x, layers.Dense(20, "gelu")(x))
    for arguments in ({"batch": 2}, {"batch": True}, {"opset": 0}, {"tolerance": "small"}):
        with pytest.raises(ValueError, match="Received: "):
            export.to_onnx(model, tmp_path / "m.onnx", **arguments)
    with pytest.raises(ValueError, match=r"end in '.onnx'. Received"):
        export.to_onnx(model, tmp_path / "m.tflite")
    with pytest.raises(export.ExportError, match="opset"):
        export.to_onnx(model, tmp_path / "m.onnx", opset=99)
    with pytest.raises(export.ParityError, match="relative .* must be at most"):
        export.to_onnx(model, tmp_path / "m.onnx", tolerance=0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(export.ExportError, match=r"no onnx, onnxruntime, tf2onnx.*\[onnx\]"):
        export.to_onnx(model, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    x = keras.Input((4,), name="x")
    keras.Model(x, layers.Dense(2, name="y")(x)).save("leaf.keras")
    np.save("samples.npy", rng.normal(size=(3, 4)).astype("float32"))
    assert main(["convert", "leaf.keras", "leaf.onnx", "--inputs", "samples.npy"]) == 0
    assert "leaf.onnx" in capsys.readouterr().out
    words = ["--model", "leaf.keras", "--inputs", "samples.npy"]
    assert main(["verify", "leaf.onnx", *words]) == 0
    assert main(["convert", "leaf.keras", "two.onnx", "--precision", "int8"]) == 2
    assert "for .tflite files" in capsys.readouterr().err and not Path("two.onnx").exists()
