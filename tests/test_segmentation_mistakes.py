"""What users get wrong with masks, heads and pictures, and what they are told."""

import keras
import numpy as np
import pytest

import heads

MAPS = {"image": (1, 32, 32, 3), "P1": (1, 16, 16, 4), "P2": (1, 8, 8, 4)}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: heads.UNetHead(300), "none of the classes, 0 to 299. Received: ignore_label=255"),
        (lambda: heads.UNetHead(1, ignore_label=0), "Received: ignore_label=0"),
        (lambda: heads.UNetHead(2, loss=["dice", "focal"]), "Received: .'dice', 'focal'"),
        (lambda: heads.UNetHead(2, loss={"boundary": {"tolerance": 1.5}}), "tolerance=1.5"),
        (lambda: heads.UNetHead(2, loss={"focal": {"label_smoothing": 1}}), "label_smoothing=1"),
        (lambda: heads.LRASPPHead(2, "P3", "P3"), "Levels must be names"),
        (lambda: heads.PyramidSegmentationHead(2, ["P2"]), "at least two levels"),
    ],
)
def test_arguments_that_cannot_work_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_other_heads_than_unet_have_no_volumes():
    with pytest.raises(TypeError, match="rank"):
        heads.DeepLabHead(2, "P2", "P1", rank=3)


def test_levels_go_from_fine_to_coarse():
    features = {key: np.zeros(shape, "float32") for key, shape in MAPS.items()}
    with pytest.raises(ValueError, match="from fine to coarse. Received: .*P2.*8.*P1.*16"):
        heads.UNetHead(2, ["P2", "P1"], 4)(features)


def test_white_that_is_ignored_is_doubted():
    head = heads.UNetHead(1, ["P1", "P2"], 4)
    masks = np.where(np.eye(8), 255, 0)[None]
    with pytest.warns(UserWarning, match=r"1 of 2 classes are in no mask: 1. If 255 is class 1"):
        heads.check_targets(masks, head)


@pytest.mark.parametrize("ids", [np.full((4, 4), -1), np.ones((4, 4)), np.array([[0, -1, 3, 5]])])
def test_pictures_of_what_is_no_class_map_are_refused(ids):
    with pytest.raises(ValueError, match="whole numbers"):
        heads.overlay(np.zeros((*ids.shape, 3)), ids)


def test_pictures_may_ignore_a_negative_label():
    heads.overlay(np.zeros((4, 4, 3)), np.full((4, 4), -1), ignore_label=-1)


@pytest.mark.parametrize("shape", [(2,), (2, 9, 7), (2, 9, 7, 1)])
def test_scores_take_weights_of_images_and_of_positions(shape):
    rng = np.random.default_rng(0)
    ids, weights = rng.integers(0, 2, (2, 9, 7)), np.ones(shape, "float32")
    logits = rng.normal(size=(2, 9, 7, 1)).astype("float32")
    plain, weighted = heads.MaskIoU(1), heads.MaskIoU(1)
    plain.update_state(ids, logits)
    weighted.update_state(ids, logits, weights)
    assert float(plain.result()) == pytest.approx(float(weighted.result()))
    if len(shape) > 1:
        with pytest.raises(ValueError, match="one an image"):
            heads.BoundaryF1(1).update_state(ids, logits, weights)


def test_images_that_a_model_cannot_read_are_refused():
    image = keras.Input((8, 8, 1))
    features = {"P1": keras.layers.Conv2D(2, 1)(image), "P2": keras.layers.Conv2D(2, 1, 2)(image)}
    model = heads.attach(keras.Model(image, features), heads.UNetHead(2, ["P1", "P2"], 2))
    with pytest.raises(ValueError, match="images of 1 channels. Received: 3"):
        heads.segment(model, np.zeros((8, 8, 3)))
    with pytest.raises(ValueError, match=r"same channels. Received: \[1, 3\]"):
        heads.segment(model, [np.zeros((8, 8, 1)), np.zeros((8, 8, 3))])
    with pytest.raises(ValueError, match="at least one"):
        heads.segment(model, np.zeros((0, 8, 8, 1)))
    head = heads.DetectionHead(2, levels=["P1", "P2"], filters=8, depth=1)
    detector = heads.attach(keras.Model(image, features), head)
    with pytest.raises(ValueError, match="images of 1 channels. Received: 3"):
        heads.detect(detector, [np.zeros((8, 8, 3))])
