"""Augmentation keeps shape, range and meaning, and mixes targets as it mixes images."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

import tuning
from tuning.augment import NOTHING, STRENGTHS, _mixes


def images(count=32, side=16, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, side, side, channels)).astype("uint8")


def batches(augment, x, y, size=16):
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(size).map(augment)
    return [(a.numpy(), b.numpy()) for a, b in dataset]


@pytest.mark.parametrize("low, high", [(0, 255), (-1, 1)])
def test_everything_keeps_shape_and_range_and_changes_every_image(low, high):
    x = (low + (high - low) * (images() / 255)).astype("float32")
    augment = tuning.augmentation("strong", value_range=(low, high), num_classes=4, seed=1)
    for found, targets in batches(augment, x, np.arange(32) % 4):
        assert found.shape == (16, 16, 16, 3) and found.dtype == np.float32
        assert found.min() >= low and found.max() <= high and found.std() > 0.05 * (high - low)
        np.testing.assert_allclose(targets.sum(-1), 1, rtol=1e-5)


def test_none_gives_images_and_targets_as_they_are():
    x, y = images(), np.arange(32)
    found = batches(tuning.augmentation("none"), x, y, 32)
    np.testing.assert_array_equal(found[0][0], x)
    np.testing.assert_array_equal(found[0][1], y)


@pytest.mark.parametrize("name", [n for n in NOTHING if n not in ("flip", "mix_up", "cut_mix")])
def test_each_name_changes_pixels_and_never_targets(name):
    x, y = images(16), np.arange(16)
    ((found, targets),) = batches(tuning.augmentation("none", **{name: 0.5}, seed=3), x, y)
    assert np.mean(np.any(found != x, axis=(1, 2, 3))) > 0.25
    np.testing.assert_array_equal(targets, y)


def test_a_flip_is_a_mirror_and_a_shift_moves_whole_pixels():
    x = images(64)
    ((found, _),) = batches(tuning.augmentation("none", flip="horizontal"), x, np.arange(64), 64)
    kept, mirrored = (
        np.array([np.array_equal(a, b) for a, b in zip(found, z)]) for z in (x, x[:, :, ::-1])
    )
    assert (kept | mirrored).all() and 10 < mirrored.sum() < 54
    ((found, _),) = batches(tuning.augmentation("none", shift=0.125), x, np.arange(64), 64)
    moves = set()
    for before, after in zip(x, found):
        fits = [
            (i, j)
            for i in range(-2, 3)
            for j in range(-2, 3)
            if np.array_equal(np.roll(before, (i, j), (0, 1))[2:-2, 2:-2], after[2:-2, 2:-2])
        ]
        assert len(fits) == 1
        moves.update(fits)
    assert len(moves) > 10


def test_an_erased_rectangle_has_its_probability_and_is_grey():
    x = np.full((400, 8, 8, 1), 255, "uint8")
    ((found, _),) = batches(tuning.augmentation("none", erase=0.3), x, np.arange(400), 400)
    assert set(np.unique(found)) == {127.5, 255}
    assert 0.2 < np.mean(np.any(found == 127.5, axis=(1, 2, 3))) < 0.4


@pytest.mark.parametrize("mix", ["mix_up", "cut_mix"])
def test_targets_are_mixed_as_images_are(mix):
    """Images of one value each: what an image's pixels hold is what its target must say."""
    classes = np.arange(32) % 2
    x = np.broadcast_to(255.0 * classes[:, None, None, None], (32, 16, 16, 1))
    ((found, targets),) = batches(
        tuning.augmentation("none", **{mix: 1.0}, num_classes=2, seed=2), x, classes, 32
    )
    np.testing.assert_allclose(found.mean((1, 2, 3)) / 255, targets[:, 1], atol=0.15)
    assert np.mean((targets > 0.01) & (targets < 0.99)) > 0.2
    whole = np.isin(found, (0, 255)).all()
    assert whole == (mix == "cut_mix")
    if mix == "mix_up":
        np.testing.assert_allclose(found.mean((1, 2, 3)) / 255, targets[:, 1], atol=1e-3)


def test_of_both_mixes_a_batch_has_one_by_chance():
    classes = np.arange(400) % 2
    x = np.broadcast_to(255.0 * classes[:, None, None, None], (400, 8, 8, 1))
    augment = tuning.augmentation("none", mix_up=1.0, cut_mix=1.0, num_classes=2, seed=0)
    whole = [np.isin(found, (0, 255)).all() for found, _ in batches(augment, x, classes, 10)]
    assert 10 <= sum(whole) <= 30


def test_seeds_repeat_and_without_one_keras_s_counts():
    x, y = images(), np.arange(32) % 4
    made = [batches(tuning.augmentation("medium", seed=s), x, y)[0][0] for s in (1, 1, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    assert (made[0] != made[2]).any()
    again = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        again.append(batches(tuning.augmentation("medium"), x, y)[0][0])
    np.testing.assert_array_equal(*again)


def test_rows_and_columns_of_targets_and_weights():
    x = images(16)
    augment = tuning.augmentation("light", cut_mix=1.0, num_classes=4)
    rows = np.eye(4, dtype="float32")[np.arange(16) % 4]
    assert batches(augment, x, rows)[0][1].shape == (16, 4)
    assert batches(augment, x, np.arange(16)[:, None] % 4)[0][1].shape == (16, 4)
    found = tuning.augmentation("light")(x, np.arange(16), np.ones(16))
    assert len(found) == 3


@pytest.mark.parametrize(
    ("kwargs", "received"),
    [
        ({"strength": "huge"}, "strength='huge'"),
        ({"strngth": 1}, "strngth"),
        ({"shift": -0.1}, "shift=-0.1"),
        ({"erase": 2}, "erase=2"),
        ({"mix_up": None}, "mix_up=None"),
        ({"flip": "diagonal"}, "flip='diagonal'"),
        ({"flip": True}, "flip=True"),
        ({"value_range": (1, 0)}, r"value_range=\(1, 0\)"),
        ({"value_range": 255}, "value_range=255"),
        ({"num_classes": 0}, "num_classes=0"),
    ],
)
def test_wrong_arguments_are_refused(kwargs, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        tuning.augmentation(**kwargs)


@pytest.mark.parametrize(
    ("augment", "batch", "message"),
    [
        ({"cut_mix": 1.0}, (images(4), np.arange(4)), "num_classes=None"),
        ({"cut_mix": 1.0, "num_classes": 3}, (images(4), np.zeros((4, 2))), "num_classes=3"),
        ({"cut_mix": 1.0, "num_classes": 4}, (images(4), np.arange(4), np.ones(4)), "three parts"),
        ({"rand_augment": 0.1}, (images(4, channels=1), np.arange(4)), "rand_augment=0"),
        ({}, (images(4)[0], 1), "Batch the dataset first"),
    ],
)
def test_what_cannot_be_augmented_is_refused_when_mapped(augment, batch, message):
    with pytest.raises(ValueError, match=message):
        tuning.augmentation("none", **augment)(*batch)


@pytest.mark.parametrize(
    ("augment", "batch", "message"),
    [
        (
            {"erase": 1.0},
            (np.full((4, 8, 8, 3), 0.9, "float32"), np.arange(4)),
            r"255.0\).* \[0.9\]",
        ),
        ({"erase": 1.0, "value_range": (0, 1)}, (images(4), np.arange(4)), r"value_range=\(0.0, 1"),
        ({"contrast": 0.1, "value_range": (0, 1)}, (images(4) - 9.0, np.arange(4)), "Received: v"),
        ({"cut_mix": 1.0, "num_classes": 4}, (images(4), np.arange(1, 5)), "num_classes=4"),
        ({"mix_up": 1.0, "num_classes": 4}, (images(4), -np.arange(4)), "num_classes=4"),
        ({"mix_up": 1.0, "num_classes": 4}, (images(4), np.arange(4) / 2), r"Received:\] \[0 0.5"),
    ],
)
def test_what_cannot_be_augmented_is_refused_at_its_batch(augment, batch, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tuning.augmentation("none", **augment)(*batch)
    dataset = tf.data.Dataset.from_tensors(batch).map(tuning.augmentation("none", **augment))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(dataset)


def test_dark_batches_are_augmented():
    augment = tuning.augmentation("none", erase=1.0)
    for value in (np.float32(0), np.uint8(1)):
        found, _ = augment(np.full((4, 8, 8, 3), value), np.arange(4))
        assert np.max(found) == 127.5


def test_every_strength_names_everything():
    assert all(set(row) == set(NOTHING) for row in STRENGTHS.values())


@pytest.mark.parametrize("name", ["contrast", "brightness", "erase"])
@pytest.mark.parametrize("low, high", [(0, 1), (-1, 1)])
def test_what_asks_for_the_range_keeps_it_alone(name, low, high):
    x = (low + (high - low) * (images() / 255)).astype("float32")
    augment = tuning.augmentation("none", **{name: 0.2}, value_range=(low, high), seed=1)
    for found, _ in batches(augment, x, np.arange(32)):
        assert low <= found.min() < low + 0.2 and high - 0.2 < found.max() <= high


def test_alpha_of_cut_mix_is_not_the_most_of_a_range():
    (cut,) = _mixes({**NOTHING, "cut_mix": 0.7}, random.Random(0))
    assert tuple(cut.factor) == (0.7, 0.7)
