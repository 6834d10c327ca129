"""The matrix of exports: nothing is missing from it, and what failed is a row with its reason."""

import re

import keras
import pytest
from keras import layers, ops

import backbones
import heads
from benchmarks.export_matrix import table, trial
from benchmarks.export_matrix.models import BACKBONES, HEADS, ROWS
from export.parity import TOLERANCES
from tests import readme
from tests.cases import PUBLIC


def test_every_backbone_and_head_has_a_row():
    assert set(BACKBONES) == set(backbones.__all__)
    assert set(HEADS) == {x.__name__ for x in PUBLIC if issubclass(x, heads.Head)}
    assert not set(BACKBONES) & set(HEADS)


def test_the_committed_table_has_every_row_and_every_reason():
    text = table.TABLE.read_text()
    rows = re.findall(r"^\| `(\w+)` \|(.+)\|$", text, re.M)
    assert [name for name, _ in rows] == list(ROWS)
    assert all(len(cells.split(" | ")) == len(TOLERANCES) for _, cells in rows)
    used = {int(n) for _, cells in rows for n in re.findall(r"\[(\d+)\]", cells)}
    assert used == {int(n) for n in re.findall(r"^\[(\d+)\] .+", text, re.M)}
    assert readme.section("export_matrix") == text


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend")
def test_a_row_is_made_of_files(monkeypatch):
    monkeypatch.setattr(trial, "RUNS", 1)
    monkeypatch.setattr(trial, "ROUNDS", 1)
    found = trial.try_out(tiny)
    assert list(found) == list(TOLERANCES)
    for x in found.values():
        assert x["builtin"] and not x["misses"] and x["ms"] > 0 and x["ratio"] > 0
    done = {"lenet": {"precisions": found}}
    cells = table.cells("lenet", done, notes := [])
    assert not notes and re.fullmatch(r"\de-\d\d", cells[1])
    for text in cells[2:]:
        assert re.fullmatch(r"(\de-\d\d|\d+ dB) · × \d+\.\d\d · \d+%", text)


def tiny():
    """A network whose statistics would let it die out, did they stay as they start."""
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, 4, kernel_initializer=keras.initializers.Constant(30.0))(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.5)(layers.ReLU()(x))
    return heads.attach(keras.Model(image, x), heads.ClassificationHead(3))


def test_statistics_are_those_of_the_samples():
    model = heads.deploy(tiny())
    given = trial.inputs_of(model)
    trial.settle_statistics(model, given)
    norm = model.get_layer("norm")
    kernel = keras.Model(model.input, norm.input)(given["image"])
    assert ops.max(ops.abs(norm.moving_mean - ops.mean(kernel, (0, 1, 2)))) < 0.1
    assert norm.momentum == 0.99


def test_failures_are_cells_with_their_reasons():
    def broken():
        raise TypeError("of no use")

    found = trial.try_out(broken)
    assert {x["error"] for x in found.values()} == {"of no use"}
    good = {"builtin": True, "size": 10, "misses": [], "outputs": [figures(relative=1e-7)]}
    off = {**good, "ratio": 2.0, "misses": ["y: 3 dB"], "outputs": [figures(sqnr_db=3.2)]}
    row = {"float32": good, "float16": {"error": "no"}, "weight_only": off, "dynamic": off}
    row["int8"] = {**good, "builtin": False, "size": 5}
    text = table.render({"lenet": {"precisions": row}})
    assert "| `lenet` | 1e-07 | **no** [1] | 3 dB · × 2.00 · 100% [2] |" in text
    assert "1e-07 · 50% · **not built-in** |" in text
    assert "[1] no\n[2] y: 3 dB\n" in text
    assert text.count(f"| {table.MISSING} ") == (len(ROWS) - 1) * len(TOLERANCES)


def figures(**known):
    names = ("relative", "sqnr_db", "agreement", "equal")
    return {"name": "y"} | dict.fromkeys(names) | known
