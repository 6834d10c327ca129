"""The examples run, and say clearly what is wrong with a user's folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import heads  # noqa: F401  so that Keras knows the layers of saved models

pytest.importorskip("matplotlib", reason="needs the extra: pip install keras-blocks[examples]")
pytest.importorskip("sklearn", reason="needs the extra: pip install keras-blocks[examples]")
Image = pytest.importorskip("PIL.Image", reason="needs pip install keras-blocks[examples]")

from examples import letters  # noqa: E402  after the check that they can be
from examples.data import load, read_folder  # noqa: E402
from tests.slow import slow  # noqa: E402

ROOT = Path(__file__).parent.parent
ONE_TRIAL = ("--trials", 1, "--search-epochs", 1, "--epochs", 1)
EPOCHS = ("--first-epochs", 1, "--epochs", 1)


def make_folder(root, counts, side=12):
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (side, side, 3), dtype="uint8")
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def run(example, *arguments):
    """Return what an example of the command line, in a process of its own, said."""
    return subprocess.run(
        [sys.executable, "-m", f"examples.{example}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )


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
    done = run("quickstart", "--data", folder, "--side", 12, "--out", out, *ONE_TRIAL)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("report.html", "model.keras", "model.tflite", "model_int8.tflite"):
        assert (out / name).exists()
    facts = json.loads((out / "model_int8.json").read_text())
    assert facts["size"] == (out / "model_int8.tflite").stat().st_size
    assert facts["labels"] == ["a", "b"] and facts["precision"] == "int8"
    page = (out / "report.html").read_text()
    assert "<svg" in page and "http" not in page.replace("http://www.w3.org", "")


def test_letters_are_drawn_as_the_digits_are():
    images, labels, names = letters.load(each=2)
    again, _, _ = letters.load(each=2)
    assert images.shape == (2 * len(names), 8, 8, 1) and labels.max() == len(names) - 1
    np.testing.assert_array_equal(images, again)
    assert images.min() == 0 and images.max() == 16 and (images.max((1, 2)) > 8).all()
    assert 3 < images.mean() < 7  # of the digits: 4.9


@slow
def test_transfer_from_letters_to_digits(tmp_path):
    """The whole way, with an epoch of each: both ways are tested, and the files are there."""
    done = run("transfer", "--out", tmp_path, "--limit", 200, "--seeds", 1, *EPOCHS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "5 labels of each of 10 classes" in done.stdout
    scores = re.search(r"from scratch (0\.\d{4}), pretrained (0\.\d{4})", done.stdout).groups()
    gain = float(re.search(r"Gain ([+-]0\.\d{4}) on 40 test images", done.stdout)[1])
    assert gain == pytest.approx(float(scores[1]) - float(scores[0]), abs=1e-4)
    assert keras.saving.load_model(tmp_path / "model.keras").output_shape == (None, 10)
    levels = keras.saving.load_model(tmp_path / "backbone.keras").output
    assert {level: x.shape[-1] for level, x in levels.items()} == {"P0": 16, "P1": 32, "P2": 64}


@slow
def test_transfer_needs_images_of_one_shape(tmp_path):
    folder = make_folder(tmp_path / "images", {"a": 6, "b": 6})
    done = run("transfer", "--data", folder, "--out", tmp_path / "out")
    assert done.returncode == 1 and "(8, 8, 1) of --first letters" in done.stderr
