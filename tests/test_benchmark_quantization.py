"""The benchmark of quantization: its parts on made-up images and a network of one layer."""

import keras
import numpy as np
import pytest

import export
from benchmarks.quantization import __main__ as command
from benchmarks.quantization import files, networks

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (64, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="module")
def model():
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, activation="relu")(x))
    return keras.Model(image, keras.layers.Dense(3)(x))


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs", "ignore:.*preserve_all")
def test_every_converter_answers_as_keras(model, tmp_path):
    expected = model.predict(IMAGES, verbose=0)

    def held(path, least):
        (answers,) = export.predict(path, IMAGES).values()
        error = np.square(answers - expected).mean() / np.square(expected).mean()
        assert -10 * np.log10(error) > least, path

    floats = tmp_path / "float32.tflite"
    files.ours(model, floats, "float32", inputs=IMAGES[:4])
    held(floats, 100)
    for name, make in {
        "plain": lambda path: files.converter(model, path, IMAGES),
        "dynamic": lambda path: files.converter(model, path),
        "edge": lambda path: files.edge(floats, path, "static_wi8_ai8", IMAGES),
        "weights": lambda path: files.edge(floats, path, "weight_only_wi8_afp32"),
    }.items():
        make(tmp_path / f"{name}.tflite")
        held(tmp_path / f"{name}.tflite", 10 if name == "edge" else 20)  # it averages its ranges


def test_a_network_is_kept_in_half_precision(model, tmp_path):
    path = tmp_path / "m.npz"
    networks.keep(model, path)
    with np.load(path) as kept:
        arrays = [kept[key] for key in kept.files]
    for array, weight in zip(arrays, model.get_weights(), strict=True):
        assert array.dtype == np.float16
        np.testing.assert_allclose(array, weight, rtol=1e-3, atol=1e-6)


def test_batches_follow_seed_and_epoch_and_are_enlarged():
    images = RNG.integers(0, 255, (300, 32, 32, 3)).astype("uint8")
    first, second = (networks.Drawn(images, np.arange(300), 64) for _ in range(2))
    for batches in (first, second):
        batches.draw(3)
    (some, labels), (same, known) = first[1], second[1]
    np.testing.assert_array_equal(some, same)
    np.testing.assert_array_equal(labels, known)
    assert some.shape == (128, 64, 64, 3)
    second.draw(4)
    assert (second[1][1] != labels).any()


def test_a_table_tells_drops_in_points(capsys):
    row = {"file": "auto", "said": "dynamic", "accuracy": 0.79, "size": 1500, "ratio": 0.5}
    row |= {"ratios": [0.4, 0.6], "made_seconds": 1.0}
    command.show(
        {"name": "n", "keras": 0.8, "params": 1, "macs": 2, "epochs": 2, "peak": 0.1}
        | {"minutes": {"int8, aware": 3}, "noise": [0.9, 1.1], "rows": [row], "made": {}}
    )
    line = capsys.readouterr().out.splitlines()[-1]
    assert line == "| auto (dynamic) | 0.7900 | 1.00 | 2 | 0.50 (0.40 to 0.60) | 1.0 |"
