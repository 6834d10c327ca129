"""What reviewers found: small images, images in files, several heads, boxes elsewhere."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import heads
from heads import pixels
from heads.detection.assign import TaskAligned
from heads.detection.base import boxes_of
from heads.detection.decode import BoxDecoder, by_class
from heads.detection.proposals import Proposals
from heads.detection.ssd_loss import match
from tests.test_detection_parts import array


def open_model(head, side=None):
    x = image = keras.Input((side, side, 1))
    maps = {}
    for level in (1, 2, 3):
        x = layers.Conv2D(4, 3, 2, "same", activation="relu")(x)
        maps[f"P{level}"] = x
    return heads.attach(keras.Model(image, maps), head)


SMALL = {"levels": ["P2", "P3"], "filters": 4, "depth": 1}


@pytest.mark.parametrize(
    "head",
    [
        lambda: heads.RCNNHead(2, **SMALL, proposals=20, pool=2, hidden=4),
        lambda: heads.DetectionHead(2, **SMALL),
        lambda: heads.SSDHead(2, **SMALL),
    ],
    ids=["rcnn", "anchor-free", "ssd"],
)
def test_open_sides_train_on_images_smaller_than_their_numbers_of_boxes(head):
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    head = head()
    model = open_model(head)
    model.compile("sgd", loss=head.loss())
    batches = [
        (np.ones((2, side, side, 1), "float32"), np.float32([[[1, 1, 6, 6, 1]]] * 2))
        for side in (40, 8, 16)
    ]
    spec = (tf.TensorSpec((2, None, None, 1)), tf.TensorSpec((2, 1, 5)))
    data = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)
    data = data.apply(tf.data.experimental.assert_cardinality(3))
    assert np.isfinite(model.fit(data, shuffle=False, verbose=0).history["loss"][0])
    assert all(np.isfinite(array(w)).all() for w in model.weights)


def test_proposals_are_finite_whatever_the_first_stage_says():
    branch = {"boxes": np.full((1, 3, 4), np.nan), "logits": np.zeros((1, 3, 1))}
    branch["points"] = np.ones((1, 3, 4))
    found = Proposals(4)({k: np.float32(v) for k, v in branch.items()})
    assert np.isfinite(array(found["boxes"])).all()


def test_a_raw_output_of_two_stages_is_decoded_as_it_is_deployed():
    keras.utils.set_random_seed(0)
    head = heads.RCNNHead(2, **SMALL, proposals=6, pool=2, hidden=4)
    model = open_model(head, 32)
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    options = {"score": 0.0, "max_detections": 5}
    found, expected = head.decoder(**options)(model(x)), heads.deploy(model, **options)(x)
    for key, value in expected.items():
        np.testing.assert_allclose(array(found[key]), array(value), rtol=1e-4, atol=1e-4)


def test_boxes_beside_their_image_are_told():
    head = heads.SSDHead(2, **SMALL)
    x, y = np.zeros((2, 32, 32, 1)), np.zeros((2, 1, 5), "float32")
    y[0, 0], y[1, 0] = [2, 2, 30, 33, 1], [2, 2, 30, 64, 1]
    with pytest.raises(ValueError, match=r"lie in its image, 32 x 32. Received: .*64.* at row 1"):
        heads.check_targets((x, y), head)
    heads.check_targets((x[:1], np.concatenate([y[:1], y[:1] * [1, 1, 1, 1, 0]], 1)), head)


def test_no_anchor_has_a_box_that_it_does_not_touch():
    anchors = np.float32([[[8, 8, 8, 8], [24, 8, 8, 8]]])
    far = np.float32([[[500, 500, 600, 600], [20, 4, 27, 12]]])
    assert array(match(far, np.ones((1, 2), bool), anchors, 0.5))[0].tolist() == [
        [False, False],
        [False, True],
    ]


def test_of_ties_one_position_learns_a_box():
    points = np.float32([[[4, 4, 8], [12, 4, 8], [4, 12, 8], [12, 12, 8]]])
    box, one = np.float32([[[0, 0, 16, 16]]]), np.ones((1, 1, 1), "float32")
    scores, found = np.full((1, 4, 1), 0.1, "float32"), np.zeros((1, 4, 4), "float32")
    found[..., 2:] = 16
    _, targets = TaskAligned(1)(box, one, scores, found, points)
    assert (array(targets) > 0).sum() == 1


def test_classes_are_kept_apart_by_their_own_image():
    rng = np.random.default_rng(0)
    low = rng.uniform(-50, 900, (2, 6, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 300, (2, 6, 2))], -1).astype("float32")
    classes, scores = np.arange(6)[None] * np.ones((2, 1), "int32"), np.ones((2, 6), "float32")
    moved = array(by_class(boxes, classes, scores))
    for rows in moved:
        order = np.argsort(classes[0])
        assert (rows[order][1:, 0] > rows[order][:-1, 2]).all()
    alone = array(by_class(boxes[:1], classes[:1], scores[:1]))
    np.testing.assert_array_equal(moved[:1], alone)
    sides = boxes[..., 2:] - boxes[..., :2]
    np.testing.assert_allclose(moved[..., 2:] - moved[..., :2], sides, atol=1e-2)
    with pytest.raises(ValueError, match="`score` must lie"):
        BoxDecoder(2, score=2)


def test_images_are_read_upright_and_not_cut_off(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (4, 6, 3)).astype("uint8")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
    assert pixels.sides(tmp_path / "a.png") == (6, 4)
    np.testing.assert_array_equal(pixels.read(tmp_path / "a.png"), np.rot90(image, -1))
    Image.fromarray(np.full((4, 4), 40_000, "uint16")).save(tmp_path / "b.png")
    for function in (pixels.read, pixels.sides):
        with pytest.raises(ValueError, match="b.png: Images have 8 bits a channel. Received: mode"):
            function(tmp_path / "b.png")


def test_detect_takes_one_file_and_forgets_what_was_filled(tmp_path):
    Image.fromarray(np.zeros((10, 20, 3), "uint8")).save(tmp_path / "a.png")

    def model(images):
        boxes = np.float32([[[0, 0, 4, 4], [2, 9, 8, 12]]])  # the second one is below the image
        one = {"boxes": boxes, "scores": np.float32([[0.9, 0.8]]), "classes": np.array([[0, 1]])}
        return {**one, "count": np.array([2])}

    (found,) = heads.detect(model, tmp_path / "a.png", size=(16, 16), letterbox=True)
    assert found["boxes"].tolist() == [[0, 0, 5, 5]] and found["classes"].tolist() == [0]


def test_boxes_of_one_head_among_others():
    x = keras.Input((32, 32, 1))
    maps = {f"P{i}": layers.Conv2D(4, 3, 2**i, "same")(x) for i in (2, 3)}
    parts = {"cells": heads.DetectionHead(2, **SMALL), "kind": heads.ClassificationHead(2)}
    model = heads.attach(keras.Model(x, maps), parts)
    assert set(boxes_of(model, score=0.1).output) == {"boxes", "classes", "count", "scores"}
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    y = np.float32([[[1, 1, 9, 9, 1]]] * 2)
    targets = {"cells": y, "kind": np.array([0, 1])}
    model.compile("sgd", loss=heads.losses(model))
    history = model.fit(image, targets, callbacks=[heads.CocoScores((image, targets))], verbose=0)
    assert "val_map" in history.history
    assert len(heads.detect(model, image, score=0.01)) == 2
    with pytest.raises(ValueError, match="must have a box to find"):
        model.fit(
            image,
            targets,
            callbacks=[heads.CocoScores((image, {**targets, "cells": y * 0 - 1}))],
            verbose=0,
        )


def test_lists_of_images_and_of_boxes():
    def packed(boxes, labels):
        return heads.pack_boxes(boxes, labels, max_boxes=2).shape

    assert packed([[], []], [[], []]) == (2, 2, 5)
    assert packed([], []) == (2, 5)
    assert packed([[1, 1, 2, 2]], [0]) == (2, 5)
    assert packed([[], [[1, 2, 3, 4]]], [[], [1]]) == (2, 2, 5)


def test_tensors_keep_their_order_and_ragged_ones_their_type():
    import tensorflow as tf

    boxes = tf.ragged.constant([[[0, 0, 2, 2], [0, 0, 9, 9]], []], ragged_rank=1, dtype="int32")
    labels = tf.ragged.constant([[3, 4], []], dtype="int64")
    for keep_largest in (False, True):
        found = heads.pack_boxes(boxes, labels, max_boxes=3, keep_largest=keep_largest)
        assert array(found)[0, :, 4].tolist() == [3, 4, -1]
    cut = heads.pack_boxes(boxes, labels, max_boxes=1, keep_largest=True)
    assert array(cut)[0].tolist() == [[0, 0, 9, 9, 4]]


def test_names_of_files_with_dots_and_of_categories(tmp_path):
    for name in ("img.v1", "img"):
        Image.fromarray(np.zeros((20, 20, 3), "uint8")).save(tmp_path / f"{name}.jpg")
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    text = f"<annotation><object><name>a</name>{box}</object></annotation>"
    (tmp_path / "img.v1.xml").write_text(text)
    assert heads.DetectionFiles.voc(tmp_path, tmp_path).paths == [tmp_path / "img.v1.jpg"]
    content = {"images": [], "annotations": []}
    content["categories"] = [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="names of their own. Received: .*c.json with a, a"):
        heads.DetectionFiles.coco(tmp_path / "c.json", tmp_path)
