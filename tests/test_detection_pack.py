"""Packed boxes: every format, in NumPy and in tf.data, and what is wrong with them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from heads.detection.pack import FORMATS, pack_boxes, problems, unpack_boxes

SIZE = (40, 60)
BOXES = [
    np.array([[2.0, 3, 10, 20], [30, 5, 50, 39]], "float32"),
    np.zeros((0, 4), "float32"),
    np.array([[0.0, 0, 60, 40]], "float32"),
]
LABELS = [np.array([1, 0]), np.array([], "int64"), np.array([2])]
PACKED = np.array(
    [
        [[2, 3, 10, 20, 1], [30, 5, 50, 39, 0], [0, 0, 0, 0, -1]],
        [[0, 0, 0, 0, -1]] * 3,
        [[0, 0, 60, 40, 2], [0, 0, 0, 0, -1], [0, 0, 0, 0, -1]],
    ],
    "float32",
)


def padded(source="xyxy"):
    """As Keras's layers give them: padding of class -1."""
    boxes = np.zeros((3, 4, 4), "float32")
    labels = np.full((3, 4), -1)
    for i, (some, ids) in enumerate(zip(BOXES, LABELS)):
        boxes[i, 1 : 1 + len(some)] = some  # not in front
        labels[i, 1 : 1 + len(ids)] = ids
    if source != "xyxy":
        convert = keras.utils.bounding_boxes.convert_format
        boxes = np.array(
            keras.ops.convert_to_numpy(
                convert(boxes, "xyxy", source, height=SIZE[0], width=SIZE[1])
            )
        )
    return {"boxes": boxes, "labels": labels}


@pytest.mark.parametrize("source", [x for x in FORMATS if x != "rel_center_yxhw"])
def test_every_format_of_keras_is_read(source):
    given = padded(source)
    packed = pack_boxes(given, max_boxes=3, source=source, image_size=SIZE)
    np.testing.assert_allclose(packed, PACKED, atol=1e-4)
    assert packed.dtype == np.float32


def test_lists_arrays_ragged_tensors_and_single_images():
    np.testing.assert_array_equal(pack_boxes(BOXES, LABELS, max_boxes=3), PACKED)
    for boxes, labels, packed in zip(BOXES, LABELS, PACKED):
        np.testing.assert_array_equal(pack_boxes(boxes, labels, max_boxes=3), packed)
    given = padded()
    np.testing.assert_array_equal(pack_boxes(**given, max_boxes=3), PACKED)
    ragged = tf.ragged.constant([x.tolist() for x in BOXES], ragged_rank=1, inner_shape=(4,))
    ids = tf.ragged.constant([x.tolist() for x in LABELS], dtype="int32")
    np.testing.assert_array_equal(pack_boxes(ragged, ids, max_boxes=3), PACKED)


@pytest.mark.parametrize("batched", [True, False])
def test_it_maps_over_data_sets(batched):
    given = padded("rel_yxyx")
    dataset = tf.data.Dataset.from_tensor_slices(given)
    dataset = dataset.batch(3) if batched else dataset
    mapped = dataset.map(lambda x: pack_boxes(x, max_boxes=5, source="rel_yxyx", image_size=SIZE))
    assert mapped.element_spec.shape[-2:] == (5, 5)
    found = np.concatenate([np.reshape(x, (-1, 5, 5)) for x in mapped])
    np.testing.assert_allclose(found[:, :3], PACKED, atol=1e-4)
    assert (found[:, 3:] == [0, 0, 0, 0, -1]).all()


def test_too_many_boxes_are_told_or_cut():
    with pytest.raises(ValueError, match="`max_boxes`. Received: 2 for image 0"):
        pack_boxes(BOXES, LABELS, max_boxes=1)
    largest = pack_boxes(BOXES, LABELS, max_boxes=1, keep_largest=True)
    np.testing.assert_array_equal(largest[:, 0], [PACKED[0, 1], PACKED[1, 0], PACKED[2, 0]])
    dataset = tf.data.Dataset.from_tensors(padded())
    with pytest.raises(tf.errors.InvalidArgumentError, match="max_boxes"):
        list(dataset.map(lambda x: pack_boxes(x, max_boxes=1)))
    (found,) = dataset.map(lambda x: pack_boxes(x, max_boxes=1, keep_largest=True))
    np.testing.assert_array_equal(found, largest)


def test_unpacking_gives_them_back():
    boxes, labels = unpack_boxes(PACKED)
    for a, b in zip(boxes + labels, BOXES + LABELS):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"source": "xy"}, "Received: 'xy'"),
        ({"source": "rel_xyxy"}, "need `image_size`"),
        ({"max_boxes": 0}, "max_boxes=0"),
        ({"labels": None}, "labels=None"),
        ({"labels": LABELS[:2]}, "3 and 2 images"),
        ({"labels": LABELS[::-1]}, r"shapes \(2, 4\) and \(1,\) for image 0"),
    ],
)
def test_what_does_not_fit_is_told(args, message):
    with pytest.raises(ValueError, match=message):
        pack_boxes(**{"boxes": BOXES, "labels": LABELS, "max_boxes": 3, **args})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1, 1, np.nan, 5, 0], "finite numbers. Received: .* at row 1"),
        ([5, 1, 4, 5, 0], "left < right and top < bottom. Received: .* at row 1"),
        ([1, 1, 4, 5, 3], "from 0 to 2, or -1 for no box. Received: .* at row 1"),
        ([1, 1, 4, 5, 0.5], "whole numbers"),
        ([1, 1, 4, 5, -2], "whole numbers"),
    ],
)
def test_problems_name_the_row(row, message):
    import re

    targets = PACKED.copy()
    targets[0, 1] = row
    (found,) = problems(targets, 3)
    assert re.search(message, found)


def test_problems_of_whole_arrays():
    assert problems(PACKED, 3) == []
    assert "such as source=" in problems(PACKED / [60, 40, 60, 40, 1], 3)[0]
    assert "shape (3, 15)" in problems(PACKED.reshape(3, 15), 3)[0]
    nothing = np.full((2, 3, 5), [0, 0, 0, 0, -1.0])
    assert problems(nothing, 3) == []


def test_sizes_of_images_may_be_tensors():
    boxes, images = np.array([[[0.5, 0.25, 1.0, 0.5]]] * 2, "float32"), np.zeros((2, 40, 80, 3))
    options = {"max_boxes": 1, "source": "rel_xyxy"}

    def whole(x, boxes):
        return pack_boxes(boxes, tf.zeros((1,)), image_size=tf.shape(x)[:2], **options)

    def apart(x, boxes):
        size = tf.shape(x)[0], tf.shape(x)[1]
        return pack_boxes(boxes, tf.zeros((1,)), image_size=size, **options)

    data = tf.data.Dataset.from_tensor_slices((images, boxes))
    for function in (whole, apart):
        for rows in data.map(function):
            assert rows.numpy().tolist() == [[40, 10, 80, 20, 0]]


def test_a_dict_of_boxes_has_labels():
    with pytest.raises(ValueError, match="Received: boxes, classes"):
        pack_boxes({"boxes": np.zeros((1, 4)), "classes": np.zeros(1)}, max_boxes=2)
