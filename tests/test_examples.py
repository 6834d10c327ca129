"""The quickstart runs, and says clearly what is wrong with a user's folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra: pip install keras-blocks[examples]")
Image = pytest.importorskip("PIL.Image", reason="needs pip install keras-blocks[examples]")

from examples.data import load, read_folder  # noqa: E402  after the check that it can be

ROOT = Path(__file__).parent.parent


def make_folder(root, counts, side=12):
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (side, side, 3), dtype="uint8")
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def test_a_folder_is_read_by_class(tmp_path):
    make_folder(tmp_path, {"cat": 6, "dog": 7})
    images, labels, names = read_folder(tmp_path, side=8)
    assert images.shape == (13, 8, 8, 3) and names == ["cat", "dog"]
    assert np.bincount(labels).tolist() == [6, 7]


def test_what_cannot_be_read_is_named_skipped_and_counted(tmp_path, capsys):
    make_folder(tmp_path, {"cat": 6, "dog": 6})
    (tmp_path / "dog" / "broken.png").write_bytes(b"no image")
    (tmp_path / "dog" / "notes.txt").write_text("sit")
    images, labels, _ = read_folder(tmp_path, side=8)
    said = capsys.readouterr().out
    assert len(images) == len(labels) == 12
    assert f"skipped {tmp_path}/dog/broken.png" in said and f"{tmp_path}/dog/notes.txt" in said
    assert "12 images of 2 classes" in said and "2 skipped" in said


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"cat": 6}, "at least two subfolders"),
        ({}, "at least two subfolders"),
        ({"cat": 6, "dog": 4}, "at least 5 readable images"),
    ],
)
def test_folders_that_cannot_be_split_end_with_a_message(tmp_path, counts, message):
    with pytest.raises(SystemExit, match=message) as raised:
        load(str(make_folder(tmp_path, counts)))
    assert "Received: " in str(raised.value)


def test_no_such_folder(tmp_path):
    with pytest.raises(SystemExit, match="digits, cifar10, fashion_mnist or a folder"):
        load(str(tmp_path / "nowhere"))


def test_a_failed_download_says_how_to_go_on(monkeypatch):
    def fail():
        raise Exception("URL fetch failure on https://…: None -- no network")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    with pytest.raises(SystemExit, match="(?s)cifar10 failed: URL fetch failure.*--data digits"):
        load("cifar10")


def test_splits_are_stratified_and_reproducible():
    first, second = load("digits", limit=500), load("digits", limit=500)
    train, val, test, names = first
    assert [len(y) for _, y in first[:3]] == [300, 100, 100] and len(names) == 10
    assert np.bincount(test[1]).min() >= 8
    for (a, _), (b, _) in zip(first[:3], second[:3]):
        np.testing.assert_array_equal(a, b)


def test_quickstart_from_images_to_a_report(tmp_path):
    """The whole way, with one trial and an epoch: every file is there and says the truth."""
    folder, out = make_folder(tmp_path / "images", {"a": 30, "b": 30}), tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "examples.quickstart", "--data", str(folder), "--side", "12"]
        + ["--out", str(out), "--trials", "1", "--search-epochs", "1", "--epochs", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("report.html", "model.keras", "model.tflite", "model_int8.tflite"):
        assert (out / name).exists()
    facts = json.loads((out / "model_int8.json").read_text())
    assert facts["size"] == (out / "model_int8.tflite").stat().st_size
    assert facts["labels"] == ["a", "b"] and facts["precision"] == "int8"
    page = (out / "report.html").read_text()
    assert "<svg" in page and "http" not in page.replace("http://www.w3.org", "")
