"""The benchmarks of boxes and masks on made-up data: batches, splits, resuming, tables."""

import json

import keras
import numpy as np
import pytest

import heads
from benchmarks.clock import trained
from benchmarks.detection import __main__ as detection
from benchmarks.detection import data as cells
from benchmarks.detection import networks, training
from benchmarks.segmentation import __main__ as segmentation
from benchmarks.segmentation import data as maps
from benchmarks.segmentation.training import confusion
from tests.slow import slow
from tests.test_detection_export import scenes

pytest.importorskip("pycocotools", reason="needs the extra: pip install keras-blocks[detection]")


def squares(count=8, side=32):
    """Images of a bright square, and its box."""
    rng = np.random.default_rng(0)
    images, targets = np.zeros((count, side, side, 3), "uint8"), np.full((count, 3, 5), -1.0)
    for i in range(count):
        left, top, width, height = rng.integers(2, 12, 4)
        images[i, top : top + height, left : left + width] = 255
        targets[i, 0] = [left, top, left + width, top + height, 1]
    return images, targets.astype("float32")


def test_boxes_follow_their_pixels_and_epochs_their_number():
    images, targets = squares()
    batches = cells.Batches(images, targets, 4, mosaic=0.0, seed=1)
    first = [batches[i] for i in range(len(batches))]
    for x, y in first:
        for image, (left, top, right, bottom, kind) in zip(x[..., 0], y[:, 0]):
            inside = np.argwhere(image > 150)
            assert [*inside.min(0), *(inside.max(0) + 1)] == [top, left, bottom, right]
            assert kind == 1
    batches.draw(1)
    second = batches[0]
    batches.draw(0)
    np.testing.assert_array_equal(first[0][0], batches[0][0])
    assert not np.array_equal(first[0][0], second[0])


def test_masks_follow_their_pixels():
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, (6, 24, 32)).astype("uint8")
    images = np.where(masks, 200, 50).astype("uint8")[..., None]
    batches = maps.Batches(images, masks, 3, (16, 16), (1.0, 1.0), turns=True, repeats=2)
    assert len(batches) == 4
    for i in range(len(batches)):
        x, y = batches[i]
        assert x.shape == (3, 16, 16, 1) and y.shape == (3, 16, 16)
        for image, mask in zip(x[..., 0], y):
            assert image[mask == 1].min() > image[mask == 0].max()


def test_parts_are_resized_with_their_masks():
    rows = np.arange(12)
    image = np.tile(rows[:, None, None], (1, 12, 1)).astype("float32")
    mask = np.tile(rows[:, None], (1, 12))
    x, y = maps.resized(image, mask, 0, 24)
    assert x.shape == (24, 12, 1) and y.shape == (24, 12) and y.dtype == mask.dtype
    np.testing.assert_allclose(x[1:-1, 0, 0], np.arange(0.25, 11, 0.5))
    assert np.abs(x[..., 0] - y).max() <= 0.5
    again = maps.resized(x, y, 0, 12)[1]
    np.testing.assert_array_equal(again, mask)
    batches = maps.Batches(image[None], mask[None], 1, (12, 12), (0.5, 1.0))
    for epoch in range(5):
        batches.draw(epoch)
        (image,), (ids,) = batches[0]
        assert image.shape == (12, 12, 1) and ids.shape == (12, 12) and len(np.unique(ids)) >= 6


def test_folds_are_contiguous_and_of_the_smaller_class(monkeypatch):
    masks = np.ones((30, 4, 4), "uint8")
    masks[:, 0] = 0
    found = {"images": np.arange(30)[:, None, None] * np.ones((30, 4, 4)), "masks": masks}
    monkeypatch.setattr(maps, "load", lambda name: found)
    seen = []
    for fold in range(maps.FOLDS):
        splits = maps.membranes(fold)
        test = splits["test"][0][:, 0, 0, 0].astype(int)
        assert (np.diff(test) == 1).all() and len(splits["train"][0]) == 24
        assert splits["test"][1].mean() == 0.25
        seen += test.tolist()
    assert seen == list(range(30))


def test_scores_of_maps_are_those_of_all_pixels():
    found = [np.array([[0, 1], [1, 1]]), np.array([[1, 1]])]
    true = [np.array([[0, 0], [1, 1]]), np.array([[1, 0]])]
    dice = confusion(heads.MaskDice(1), found, true)
    assert float(dice.result()) == pytest.approx(2 * 3 / (5 + 3))
    iou = confusion(heads.MaskIoU(2), found, true)
    assert float(iou.result()) == pytest.approx((1 / 3 + 3 / 5) / 2)


def tiny(name, classes):
    keras.utils.set_random_seed(0)
    x = image = keras.Input((32, 32, 1))
    levels = {}
    for level in (1, 2, 3):
        x = keras.layers.Conv2D(8, 3, 2, "same", activation="relu")(x)
        levels[f"P{level}"] = x
    options = {"levels": ["P2", "P3"], "filters": 8, "depth": 1}
    return heads.attach(keras.Model(image, levels), heads.DetectionHead(classes, **options))


def test_the_network_alone_is_what_boxes_are_decoded_from():
    model = tiny("", 2)
    answer = heads.deploy(model, score=0.1)
    network = networks.network_of(answer)
    x = scenes(2)[0]
    parts, raw = network(x), model(x)
    (head,) = heads.graph.heads_of(model).values()
    (branch,) = head.code.split(raw)
    for key, value in parts.items():
        np.testing.assert_allclose(value, branch[key], atol=1e-5)


class Dots(keras.utils.PyDataset):
    """Numbers drawn anew by each epoch, in batches."""

    batch = 4

    def draw(self, epoch):
        self.x = np.random.default_rng(epoch).normal(size=(2, 4, 3)).astype("float32")

    def __init__(self):
        super().__init__()
        self.draw(0)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.x[i].sum(-1, keepdims=True)


class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 3:
            raise KeyboardInterrupt


def test_a_stopped_training_ends_as_if_it_had_not_been(tmp_path, capsys):
    def line(folder, *callbacks):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        optimizer = keras.optimizers.AdamW(0.1, use_ema=True, ema_momentum=0.5)
        model.compile(optimizer, loss="mse")
        return trained(model, Dots(), folder, epochs=3, callbacks=callbacks)

    whole, facts = line(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        line(tmp_path / "parts", Stop())
    parts, again = line(tmp_path / "parts")
    np.testing.assert_allclose(whole.get_weights()[0], parts.get_weights()[0], rtol=1e-5)
    assert again["epochs"] == 3 and again["loss"] == pytest.approx(facts["loss"], rel=1e-5)
    average = whole.optimizer._model_variables_moving_average[0]
    np.testing.assert_allclose(whole.get_weights()[0], average)
    assert "parts: epoch 3 of 3, loss" in capsys.readouterr().err
    (tmp_path / "parts" / "model.keras").unlink()  # killed before the model was written
    late, _ = line(tmp_path / "parts")
    np.testing.assert_allclose(whole.get_weights()[0], late.get_weights()[0], rtol=1e-5)
    read, _ = line(tmp_path / "parts", Stop())
    np.testing.assert_allclose(whole.get_weights()[0], read.get_weights()[0], rtol=1e-5)


@slow
def test_a_detector_from_scratch_to_its_row(monkeypatch, tmp_path, capsys):
    splits = {part: scenes(16, seed=i) for i, part in enumerate(cells.SPLITS)}
    monkeypatch.setattr(cells, "read", lambda: (splits, ["light", "dark"]))
    monkeypatch.setattr(training, "detector", tiny)
    words = ["--heads", "anchor-free", "--epochs", "2", "--rounds", "0", "--folder", str(tmp_path)]
    detection.main(detection.parse([*words, "--batch", "8"]))
    first = capsys.readouterr().out
    assert "| anchor-free |" in first and "16 test images" in first
    monkeypatch.setattr(training, "detector", None)  # a second call reads what was kept
    detection.main(detection.parse([*words, "--batch", "8"]))
    assert capsys.readouterr().out.split("\n\n")[1] == first.split("\n\n")[1]
    kept = json.loads((tmp_path / "anchor-free-2-0" / "test.json").read_text())
    assert kept["float32"]["map50"] == pytest.approx(kept["keras"]["map50"], abs=1e-6)
    assert kept["epochs"] == 2 and kept["wall_minutes"] >= 0


def test_names_are_folders():
    assert segmentation.plain("DeepLabV3+") == "deeplabv3plus"
    assert detection.parse(["--heads"]).heads == []
