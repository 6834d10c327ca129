"""The story of transfer runs from labels to files, in a tiny form."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra: pip install keras-blocks[examples]")

from examples.transfer import few  # noqa: E402  after the check that it can be

ROOT = Path(__file__).parent.parent


def test_few_labels_are_as_many_of_each_class_and_differ_by_seed():
    labels = np.repeat(np.arange(4), 25)
    places = few(labels, 3, seed=0)
    assert np.bincount(labels[places]).tolist() == [3, 3, 3, 3] and len(set(places)) == 12
    assert set(places) != set(few(labels, 3, seed=1))


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "examples.transfer", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )


def test_transfer_runs_and_says_what_it_made(tmp_path):
    numbers = ["--limit", "300", "--first-epochs", "1", "--epochs", "3", "--seeds", "1"]
    done = run("--out", str(tmp_path), *numbers)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "5 images each of 5, 6, 7, 8, 9" in done.stdout
    *_, gain, files, after = done.stdout.strip().splitlines()
    assert gain.startswith("Gain: ") and after.startswith("Next: ")
    for path in files.removeprefix("Files: ").split(", "):
        assert Path(path).exists()
    answer = keras.saving.load_model(tmp_path / "model.keras")
    shares = answer.predict(np.zeros((1, 8, 8, 1)), verbose=0)["probabilities"]
    assert shares.shape == (1, 5) and shares.sum() == pytest.approx(1, rel=1e-5)
