"""Stories of tables, events and pictures with tables: from data to files and a report."""

import csv
import json

import keras
import numpy as np
import pytest

import export
import heads

pytest.importorskip("matplotlib", reason="needs the extra: pip install keras-blocks[examples]")
pytest.importorskip("sklearn", reason="needs the extra: pip install keras-blocks[examples]")
Image = pytest.importorskip("PIL.Image", reason="needs pip install keras-blocks[examples]")

from examples import events, image_and_table, pairs, recommend_products, tables, tabular  # noqa: E402
from tests.slow import slow  # noqa: E402

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs KERAS_BACKEND=tensorflow"
)
RNG = np.random.default_rng(0)


def write(path, names, lines):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([names, *lines])
    return str(path)


def lines_of_a_table(count=120):
    """Return lines whose last value is twice the first, and more for cooks."""
    rows = []
    for i in range(count):
        age, job = RNG.uniform(1, 9), RNG.choice(["cook", "smith"])
        rows.append(
            ["" if i % 9 == 0 else f"{age:.3f}", job, "", f"{2 * age + (job == 'cook'):.4f}"]
        )
    return ["age", "job", "nothing", "wage"], rows


def test_tabular_from_a_file_to_a_report(tmp_path, capsys):
    path = write(tmp_path / "rows.csv", *lines_of_a_table())
    words = ["--data", path, "--target", "wage", "--out", str(tmp_path / "out"), "--epochs", "2"]
    tabular.main(tabular.parse([*words, "--networks", "mlp", "--verbose", "0"]))
    said, out = capsys.readouterr().out, tmp_path / "out"
    assert "Left out, for nothing stands in them: nothing" in said and "Next: " in said
    table = heads.Table.load(out / "table.json")
    x = table({"age": [3.0, None], "job": ["smith", "poet"]})
    found = export.predict(out / "model.tflite", x, missing=True)["values"]
    model = heads.deploy(keras.saving.load_model(out / "model.keras"))
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-3)
    page = (out / "report.html").read_text()
    assert "mean absolute error" in page and "age" in page


def test_boosting_answers_by_class_where_one_is_not_trained():
    x, y = np.arange(80.0), np.repeat([0, 2], 40)
    parts = {"train": ({"x": x}, y), "test": ({"x": x}, y)}
    found = tables.boosting(parts, ["a", "b", "c"], 0)
    assert found.shape == (80, 3) and (found.argmax(-1) == y).mean() > 0.9


@pytest.mark.parametrize(
    ("lines", "target", "said"),
    [
        ([["1", "2"]] * 40, "c", "Received: 40 such rows of a, b"),
        ([["1", "2"]] * 9, "b", "Received: 9 such rows"),
        ([["1", "2"]] * 40 + [["3"]], "b", "Received: 1 in line 42"),
        ([["1", " "]] * 40 + [["1", "2"]], "b", "Received: 1 such rows"),
    ],
)
def test_a_file_that_is_no_table_is_told(lines, target, said, tmp_path):
    path = write(tmp_path / "rows.csv", ["a", "b"], lines)
    with pytest.raises(SystemExit, match=said):
        tables.read(path, target)
    with pytest.raises(SystemExit, match="No such file"):
        tables.read(str(tmp_path / "none.csv"), target)


def test_recommend_products_from_events_to_a_report(tmp_path, capsys):
    lines = []
    for user in range(40):
        start = RNG.integers(30)
        for step in range(8):
            item = (start + step) % 30
            lines.append([f"u{user}", f"i{item}", f"2024-05-{step + 1:02}", f"Thing {item}"])
    path = write(tmp_path / "events.csv", ["user", "item", "time", "title"], RNG.permutation(lines))
    words = ["--data", path, "--out", str(tmp_path / "out"), "--epochs", "2", "--candidates", "12"]
    args = recommend_products.parse([*words, "--units", "8", "--length", "6", "--verbose", "0"])
    recommend_products.main(args)
    out, said = tmp_path / "out", capsys.readouterr().out
    assert "the most popular" in said and "towers, then ranking" in said and "Next: " in said
    page = (out / "report.html").read_text()
    assert "Thing " in page and "u0" in page
    words = heads.Vocabulary.load(out / "vocabulary.json")
    history = np.full((1, 6), -1, "int32")
    history[0, -2:] = words(["i3", "i4"])
    found = export.predict(
        out / "towers.tflite", {"history": history, "seen": recommend_products.seen(history)}
    )
    assert found["items"].shape == (1, 12) and not {0, *history[0]} & set(found["items"][0])
    inside = export.associated_files(out / "towers.tflite")["vocabulary.json"]
    assert json.loads(inside) == words.values


@pytest.mark.parametrize(
    ("names", "lines", "said"),
    [
        (["user", "item"], [["a", "b"]], "Received: user, item"),
        (["user", "item", "time"], [["a", "b", "yesterday"]], "'yesterday' in line 2"),
        (["user", "item", "time"], [["a", "b"]], "None in line 2"),
        (["time", "user", "item"], [["1", "a", "b"], ["2", "a"]], "Received: 2, a in line 3"),
    ],
)
def test_a_file_that_holds_no_events_is_told(names, lines, said, tmp_path):
    with pytest.raises(SystemExit, match=said):
        events.read(write(tmp_path / "events.csv", names, lines))


@slow
def test_image_and_table_from_a_file_to_a_report(tmp_path, capsys):
    lines = []
    for i in range(60):
        kind = i % 3
        pixels = np.full((12, 12, 3), 40 + 80 * kind, "uint8")
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        lines.append([f"{i}.png", "abc"[kind], f"{kind + RNG.normal(0, 0.1):.3f}", "x" * (i % 2)])
    path = write(tmp_path / "rows.csv", ["image", "target", "size", "mark"], lines)
    words = ["--data", path, "--out", str(tmp_path / "out"), "--side", "8", "--epochs", "2"]
    kinds = ["--kinds", "row", "gated", "late", "--verbose", "0"]
    image_and_table.main(image_and_table.parse([*words, *kinds]))
    out, said = tmp_path / "out", capsys.readouterr().out
    assert "without the picture" in said and "Next: " in said
    table = heads.Table.load(out / "table.json")
    x = table({"size": [1.0], "mark": ["x"]})
    alone = {**x, "picture": np.zeros((1, 8, 8, 3)), "there": np.float32([[0, 1]])}
    (found,) = export.predict(out / "model.tflite", alone, missing=True).values()
    np.testing.assert_allclose(found.sum(), 1, rtol=1e-5)
    other = {**alone, "picture": np.full((1, 8, 8, 3), 255.0)}  # what stands there does not matter
    (again,) = export.predict(out / "model.tflite", other, missing=True).values()
    np.testing.assert_allclose(found, again, atol=1e-6)
    assert "table.json" in export.associated_files(out / "model.tflite")


def test_pictures_that_are_absent_are_told(tmp_path):
    path = write(tmp_path / "rows.csv", ["image", "target", "a"], [["no.png", "x", "1"]] * 30)
    with pytest.raises(SystemExit, match="Received: 'no.png' in line 2"):
        pairs.read(path, 8)
    with pytest.raises(SystemExit, match="Received: 30 rows of image, a"):
        pairs.read(write(tmp_path / "rows.csv", ["image", "a"], [["no.png", "1"]] * 30), 8)
    images, rows, y, names = pairs.read(None, 8)
    assert images.shape == (1797, 8, 8, 1) and len(rows) == 12 and len(names) == 10
    assert 0 <= images.min() and images.max() <= 255 and len(y) == 1797
