"""What a file costs to run, and the docstring that says so."""

import doctest
import json
import sys

import keras
import pytest
from keras import layers

import export

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)


def classifier():
    image = keras.Input((8, 8, 3), name="image")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, strides=2)(image))
    return keras.Model(image, layers.Dense(4, name="scores")(x))


def test_the_example_in_the_docstring_runs():
    module = sys.modules["export.measure"]  # the package's `measure` is the function
    assert doctest.testmod(module).attempted == 3
    assert doctest.testmod(module).failed == 0


def test_measure_of_a_file_and_of_a_model(tmp_path):
    model, path = classifier(), tmp_path / "m.tflite"
    export.to_tflite(model, path, measure=False)
    of_file = export.measure(path, runs=7, threads=(1,))
    assert of_file.size == path.stat().st_size and of_file.ops["CONV_2D"] == 1
    assert of_file.params is None and of_file.macs is None
    [times] = of_file.latency
    assert (times["threads"], times["runs"]) == (1, 7)
    assert 0 < times["min_ms"] <= times["median_ms"] == of_file.latency_ms
    # Python, NumPy and LiteRT, not the gigabyte of the process that started it.
    assert 20e6 < of_file.peak_memory < 150e6
    assert export.measure(path, runtime=False).latency == []
    of_model = export.measure(model, runtime=True, runs=3, threads=(1,))
    assert of_model.size == path.stat().st_size and of_model.ops == of_file.ops
    assert of_model.params == 8 * 27 + 8 + 8 * 4 + 4
    saved = json.loads(of_model.save(tmp_path / "facts.json").read_text())
    assert saved["ops"] == of_model.ops and saved["ops"]["CONV_2D"] == 1
    assert saved["macs"] == of_model.macs and saved["layers"][0]["kind"] == "Conv2D"
    assert "1 thread " in str(of_model) and "trainable" in str(of_model)
    with pytest.raises(FileNotFoundError, match="Received: path="):
        export.measure(tmp_path / "none.tflite")


def test_operations_of_all_subgraphs_are_counted(tmp_path):
    x = keras.Input((5, 3), name="x")
    model = keras.Model(x, layers.LSTM(2)(x))
    bundle = export.to_tflite(model, tmp_path / "m.tflite", measure=False)
    assert bundle.ops["WHILE"] == 1
    assert bundle.ops["TANH"] == 2 and bundle.ops["LOGISTIC"] == 3  # inside the loop


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"runs": 0}, "`runs` must be .* Received: runs=0"),
        ({"runs": 1.5}, "Received: runs=1.5"),
        ({"runs": "x"}, "Received: runs='x'"),
        ({"threads": (0,)}, r"`threads` must list .* Received: threads=\(0,\)"),
        ({"threads": 2}, "Received: threads=2"),
        ({"threads": ()}, r"Received: threads=\(\)"),
        ({"model_or_file": 5}, "the path of a file is measured. Received: int"),
        ({"model_or_file": layers.Dense(2)}, "Received: Dense"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        export.measure(**{"model_or_file": classifier(), **wrong})
