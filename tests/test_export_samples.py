"""The forms in which samples come, and what is refused before anything is converted."""

import keras
import numpy as np
import pytest
from keras import layers

import export
from export.samples import MOST, random, take
from export.signature import Tensor

ONE = [Tensor("image", (1, 4, 4, 3), "float32")]
TWO = [Tensor("image", (1, 4, 4, 3), "float32"), Tensor("ids", (1, 5), "int32")]
x = np.random.default_rng(0).random((10, 4, 4, 3))
BYTES = [Tensor("pixels", (1, 2), "uint8")]
ids = np.arange(50).reshape(10, 5)


def batches(*arrays, size=4):
    """Yield tuples of batches, or batches where there is one array."""
    for start in range(0, len(arrays[0]), size):
        part = tuple(array[start : start + size] for array in arrays)
        yield part if len(part) > 1 else part[0]


@pytest.mark.parametrize(
    "data",
    [
        x,
        x.astype("float32"),
        [x],
        {"image": x},
        (x, ids),
        list(batches(x)),
        list(x),
        batches(x, ids),
        batches(x, ids, ids),
        ({"image": part} for part in batches(x)),
        keras.ops.convert_to_tensor(x),
    ],
    ids=[
        "array",
        "float32",
        "list",
        "dict",
        "tuple with targets",
        "list of batches",
        "list of samples",
        "generator with targets",
        "and with weights",
        "generator of dicts",
        "tensor",
    ],
)
def test_forms_for_one_input(data):
    found = take(data, ONE)
    assert list(found) == ["image"]
    assert found["image"].dtype == "float32"
    np.testing.assert_allclose(found["image"], x, rtol=1e-6)


@pytest.mark.parametrize(
    "data",
    [
        [x, ids],
        {"ids": ids, "image": x},
        (([a, b], 0) for a, b in batches(x, ids)),
        (((a, b), 0) for a, b in batches(x, ids)),
        ((x, ids), None),
        (({"image": a, "ids": b}, 0) for a, b in batches(x, ids)),
        ([x, ids], None),
    ],
    ids=[
        "list",
        "dict",
        "generator of lists",
        "inner tuples",
        "inner tuple",
        "generator of dicts",
        "tuple with targets",
    ],
)
def test_forms_for_two_inputs(data):
    found = take(data, TWO)
    assert list(found) == ["image", "ids"]
    np.testing.assert_allclose(found["image"], x, rtol=1e-6)
    np.testing.assert_array_equal(found["ids"], ids)
    assert found["ids"].dtype == "int32"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs TensorFlow")
def test_tf_data():
    import tensorflow as tf

    both = tf.data.Dataset.from_tensor_slices(((x, ids), ids)).batch(3)
    np.testing.assert_array_equal(take(both, TWO)["ids"], ids)
    data = tf.data.Dataset.from_tensor_slices((x, ids))
    for form in (data, data.batch(3), data.batch(3).repeat().prefetch(1)):
        assert len(take(form, ONE)["image"]) in (10, MOST)
        np.testing.assert_allclose(take(form, ONE)["image"][:10], x, rtol=1e-6)


def test_no_more_than_needed_is_drawn():
    drawn = []

    def endless():
        while True:
            drawn.append(1)
            yield x

    assert len(take(endless(), ONE)["image"]) == MOST
    assert len(drawn) == -(-MOST // len(x))
    assert len(take(np.zeros((300, 4, 4, 3)), ONE)["image"]) == MOST


def spoiled(value):
    copy = x.copy()
    copy[7, 1, 2, 0] = value
    return copy


@pytest.mark.parametrize(
    ("data", "inputs", "message"),
    [
        ([], ONE, "at least one sample. Received: none"),
        (np.zeros((0, 4, 4, 3)), ONE, "at least one sample. Received: none"),
        (iter(()), ONE, "at least one sample. Received: none"),
        ((), ONE, "at least one sample. Received: an empty tuple"),
        (iter([()]), ONE, "at least one sample. Received: an empty tuple"),
        (spoiled(np.nan), ONE, r"NaN or infinity in sample 7 of input 'image' \(1 such"),
        (spoiled(np.inf), ONE, r"sample 7 of input 'image'"),
        (batches(spoiled(-np.inf)), ONE, r"sample 7 of input 'image'"),
        (x[..., :2], ONE, r"shape \(4, 4, 3\) for input 'image'. Received: .* \(10, 4, 4, 2\)"),
        ({"picture": x}, ONE, r"\['image'\]. Received: keys \['picture'\]"),
        ({"image": x}, TWO, r"\['image', 'ids'\]. Received: keys \['image'\]"),
        (x, TWO, r"one array for each input: \['image', 'ids'\]. Received: 1"),
        ((x, ids), TWO, "a tuple is read as"),
        ([x, ids[:9]], TWO, r"as many samples in each input. Received: .*'image': 10, 'ids': 9"),
        ([x, ids + 0.5], TWO, r"whole numbers for input 'ids' of type int32. Received: 0.5"),
        ([x, ids + 2**40], TWO, r"'ids' of type int32, -2147483648 to 2147483647. Received: 10995"),
        ([x, -(2.0**40) - ids], TWO, r"'ids' of type int32.*Received: -10995"),
        (np.array([[300, 1]]), BYTES, "'pixels' of type uint8, 0 to 255. Received: 300"),
        (np.array([[1, -1]]), BYTES, "'pixels' of type uint8, 0 to 255. Received: -1"),
        (x.astype(str), ONE, "arrays of numbers. Received: type <U"),
        (x.astype(object), ONE, "arrays of numbers. Received: type object"),
        ({"pixels": [[1, 2], [3]]}, BYTES, "arrays of numbers. Received: "),
        (7, ONE, "an array, a list or dict of arrays, or an iterable of batches. Received: int"),
    ],
)
def test_what_is_refused(data, inputs, message):
    with pytest.raises(ValueError, match=message):
        take(data, inputs)


def test_random_samples_suit_the_types():
    tokens, image = keras.Input((9,), dtype="int32", name="t"), keras.Input((9, 4), name="i")
    small = layers.Embedding(3, 4)(tokens) + layers.Embedding(50, 4)(tokens) + image
    inputs = [
        Tensor("t", (1, 9), "int32"),
        Tensor("u", (1, 9), "uint8"),
        Tensor("b", (1, 9), "bool"),
        Tensor("i", (1, 9, 4), "float32"),
    ]
    found = random(keras.Model([tokens, image], small), inputs)
    assert {name: str(values.dtype) for name, values in found.items()} == {
        "t": "int32",
        "u": "uint8",
        "b": "bool",
        "i": "float32",
    }
    assert set(np.unique(found["t"])) == {0, 1, 2}
    assert found["u"].max() > 200
    again = random(keras.Model([tokens, image], small), inputs)
    assert all(np.array_equal(found[name], again[name]) for name in found)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (None, "typical samples .* Received: calibration=None"),
        ([], "at least one sample"),
        (spoiled(np.nan), "sample 7 of input 'image'"),
        ({"wrong": x}, r"Received: keys \['wrong'\]"),
    ],
)
def test_bad_calibration_is_found_before_conversion(calibration, message, tmp_path, monkeypatch):
    monkeypatch.setattr("export.tflite.convert", lambda *_: pytest.fail("converted"))
    image = keras.Input((4, 4, 3), name="image")
    model = keras.Model(image, layers.Conv2D(2, 3)(image))
    with pytest.raises(ValueError, match=message):
        export.to_tflite(
            model, tmp_path / "new" / "deep" / "m.tflite", "int8", calibration=calibration
        )
    assert list(tmp_path.iterdir()) == []  # no folder either
