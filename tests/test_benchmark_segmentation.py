"""The benchmark of masks from its data to its rows, on made-up ones."""

import json

import keras
import numpy as np
import pytest

import export
import heads
from benchmarks.segmentation import __main__ as segmentation
from benchmarks.segmentation import data, networks
from tests.slow import slow

NAMES = [f"class{i}" for i in range(11)]


def tiny(shape, head):
    keras.utils.set_random_seed(0)
    x = image = keras.Input(shape)
    levels = {}
    for level in (1, 2):
        x = levels[f"P{level}"] = keras.layers.Conv2D(8, 3, 2, "same", activation="relu")(x)
    return heads.attach(keras.Model(image, levels), head)


def streets(name, shape, classes, void):
    return tiny(shape, heads.UNetHead(classes, ["P1", "P2"], 4, ignore_label=void))


def membranes(name, shape=(None, None, 1)):
    return tiny(shape, heads.UNetHead(1, ["P1", "P2"], 4, ignore_label=None))


def frames(count, seed):
    rng = np.random.default_rng(seed)
    masks = rng.integers(0, 12, (count, 3, 4)).repeat(8, 1).repeat(8, 2).astype("uint8")
    return (20 * masks[..., None] * np.ones(3)).astype("uint8"), masks


@pytest.fixture
def made(monkeypatch):
    """Data and networks small enough to train in seconds, and all that batches were drawn of."""
    splits = {part: frames(8, i) for i, part in enumerate(("train", "valid", "test"))}
    slices = np.random.default_rng(5).integers(0, 2, (10, 256, 256)).astype("uint8")
    drawn = []

    class Seen(data.Batches):
        def __init__(self, images, masks, *args, **kwargs):
            drawn.append(images)
            super().__init__(images, masks, *args, **kwargs)

    monkeypatch.setattr(data, "streets", lambda: (splits, NAMES))
    monkeypatch.setattr(data, "load", lambda _: {"images": 200 * slices, "masks": slices})
    monkeypatch.setattr(data, "Batches", Seen)
    monkeypatch.setattr(networks, "streets", streets)
    monkeypatch.setattr(networks, "membranes", membranes)
    return splits, slices, drawn


def iou(maps, masks):
    found = []
    for c in range(11):
        hits = ((maps == c) & (masks == c)).sum()
        whole = ((maps == c) & (masks != 11)).sum() + (masks == c).sum() - hits
        found += [hits / whole] if whole else []
    return np.mean(found)


@slow
def test_streets_from_scratch_to_their_row(made, tmp_path, monkeypatch, capsys):
    splits, _, drawn = made
    words = ["--streets", "U-Net", "--membranes", "--epochs", "2", "--batch", "4"]
    words += ["--folder", str(tmp_path)]
    segmentation.main(segmentation.parse(words))
    first = capsys.readouterr().out
    assert "8 test frames" in first and "| U-Net |" in first
    folder = tmp_path / "camvid-u-net-2-0"
    kept = json.loads((folder / "test.json").read_text())
    images, masks = splits["test"]
    for precision in ("float32", "int8"):
        (maps,) = export.predict(folder / f"{precision}.tflite", images.astype("float32")).values()
        assert kept[precision]["iou"] == pytest.approx(iou(maps, masks), abs=1e-6)
    assert kept["keras"] == pytest.approx(kept["float32"]["iou"], abs=1e-6)
    assert [x is splits["train"][0] for x in drawn] == [True]  # of nothing else
    monkeypatch.setattr(networks, "streets", None)  # a second call reads what was kept
    segmentation.main(segmentation.parse(words))
    assert capsys.readouterr().out.split("\n\n")[1] == first.split("\n\n")[1]
    with pytest.raises(SystemExit, match="'peak': 0.002.*'peak': 0.1.*Give another --folder"):
        segmentation.main(segmentation.parse([*words, "--peak", "0.1"]))


@slow
def test_membranes_are_scored_over_all_folds(made, tmp_path):
    _, slices, _ = made
    words = ["--streets", "--isbi-epochs", "1", "--folder", str(tmp_path), "--batch", "4"]
    found = segmentation.membrane("U-Net", segmentation.parse(words))
    images, masks = (200 * slices)[..., None].astype("float32"), 1 - slices
    hits = sizes = 0
    for fold in range(data.FOLDS):
        rows = slice(2 * fold, 2 * fold + 2)
        path = tmp_path / f"isbi-u-net-1-0-{fold}" / "float32.tflite"
        (maps,) = export.predict(path, images[rows]).values()
        hits += 2 * ((maps == 1) & (masks[rows] == 1)).sum()
        sizes += (maps == 1).sum() + (masks[rows] == 1).sum()
    assert found["float32"]["dice"] == pytest.approx(hits / max(sizes, 1), abs=1e-6)
    assert len(found["float32"]["by_fold"]) == data.FOLDS


def test_unknown_names_are_told(capsys):
    with pytest.raises(SystemExit):
        segmentation.parse(["--streets", "UNet"])
    assert "UNet: there are U-Net, DeepLabV3+" in capsys.readouterr().err
