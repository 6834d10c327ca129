"""Stories of boxes and masks: from scenes or a user's folder to files and a report."""

import json

import keras
import numpy as np
import pytest

import export
import heads

pytest.importorskip("matplotlib", reason="needs the extra: pip install keras-blocks[examples]")
pytest.importorskip("sklearn", reason="needs the extra: pip install keras-blocks[examples]")
pytest.importorskip("pycocotools", reason="needs the extra: pip install keras-blocks[detection]")
Image = pytest.importorskip("PIL.Image", reason="needs pip install keras-blocks[examples]")

from examples import detect_cells, folders, scenes, segment_medical, segment_streets  # noqa: E402
from tests.slow import slow  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:int8 takes ranges")  # a few images

SMALL = ["--side", "64", "--scenes", "20", "--epochs", "1", "--batch", "8", "--verbose", "0"]


def test_scenes_show_their_boxes():
    images, boxes, labels = scenes.of_boxes(12, "train", side=64)
    again, _, _ = scenes.of_boxes(12, "train", side=64)
    other, _, _ = scenes.of_boxes(12, "test", side=64)
    assert images.shape == (12, 64, 64, 1) and 0 <= images.min() and images.max() <= 255
    np.testing.assert_array_equal(images, again)
    assert not np.array_equal(images, other)
    for image, rows, kinds in zip(images[..., 0], boxes, labels):
        assert 1 <= len(rows) == len(kinds) <= 6
        outside = np.ones(image.shape, bool)
        for left, top, right, bottom in rows.astype(int):
            assert outside[top:bottom, left:right].all()  # none over another
            outside[top:bottom, left:right] = False
        inside = [image[int(t) : int(b), int(x) : int(r)] for x, t, r, b in rows]
        assert min(part.max() for part in inside) > image[outside].mean() + 60


@pytest.mark.parametrize("make,most", [(scenes.of_streets, 3), (scenes.of_tissue, 1)])
def test_maps_lie_where_the_strokes_are(make, most):
    images, maps = make(8, "valid", side=64)
    assert images.shape[:3] == maps.shape == (8, 64, 64)
    assert set(np.unique(maps)) == set(range(most + 1))
    grey = images.mean(-1)
    if most == 1:
        assert grey[maps == 1].mean() > grey[maps == 0].mean() + 20
    else:
        assert grey[maps == 0].mean() > grey[maps == 1].mean() + 40


def folder_of_boxes(root, count=14):
    (root / "images").mkdir()
    entries = []
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 99, (40, 80, 3), dtype="uint8")
        pixels[10:30, 20 + i : 50] = 250
        Image.fromarray(pixels).save(root / "images" / f"{i}.png")
        entries.append({"id": i, "image_id": i, "category_id": 1, "bbox": [20 + i, 10, 30 - i, 20]})
    content = {"images": [{"id": i, "file_name": f"{i}.png"} for i in range(count)]}
    content |= {"annotations": entries, "categories": [{"id": 1, "name": "cell"}]}
    (root / "boxes.json").write_text(json.dumps(content))
    return root


def test_a_folder_of_boxes_is_read_at_the_networks_size(tmp_path):
    images, targets, names = folders.boxes_of(folder_of_boxes(tmp_path), 64)
    assert images.shape == (14, 64, 64, 3) and names == ["cell"]
    np.testing.assert_allclose(targets[3, 0], [23 * 0.8, 16, 50 * 0.8, 48, 0], rtol=1e-5)
    parts = folders.split(14, seed=0)
    assert sorted(np.concatenate(parts)) == list(range(14)) and [*map(len, parts)] == [10, 2, 2]
    (tmp_path / "boxes.json").unlink()
    with pytest.raises(SystemExit, match="must hold images, and boxes.json .* Received: images"):
        folders.boxes_of(tmp_path, 64)


@slow
def test_detect_cells_from_scenes_to_a_report(tmp_path, capsys):
    detect_cells.main(detect_cells.parse([*SMALL, "--out", str(tmp_path)]))
    check(tmp_path, "boxes", "mAP50", capsys)
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert set(heads.deploy(model).output) == {"boxes", "scores", "classes", "count"}


@slow
def test_detect_cells_from_a_folder(tmp_path, capsys):
    data = folder_of_boxes(tmp_path)
    words = ["--data", str(data), "--out", str(tmp_path / "out"), *SMALL]
    detect_cells.main(detect_cells.parse(words))
    check(tmp_path / "out", "boxes", "mAP50", capsys)


@slow
def test_segment_streets_from_scenes_to_a_report(tmp_path, capsys):
    segment_streets.main(segment_streets.parse([*SMALL, "--out", str(tmp_path)]))
    check(tmp_path, "classes", "road", capsys)


@slow
def test_segment_medical_from_a_folder_to_a_report(tmp_path, capsys):
    images, masks = scenes.of_tissue(16, "train", side=64)
    for name, pixels in {"images": images[..., 0], "masks": 255 * masks}.items():
        (tmp_path / name).mkdir()
        for i, x in enumerate(pixels):
            Image.fromarray(x.astype("uint8")).save(tmp_path / name / f"{i}.png")
    words = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), *SMALL]
    segment_medical.main(segment_medical.parse(words))
    check(tmp_path / "out", "mask", "Dice", capsys)


def check(out, stem, score, capsys):
    """The files are there, are what they say, and the report shows scores and pictures."""
    for precision in ("float32", "int8"):
        facts = json.loads((out / f"{stem}_{precision}.json").read_text())
        assert facts["precision"] == precision
        assert facts["size"] == (out / f"{stem}_{precision}.tflite").stat().st_size
    assert export.measure(out / f"{stem}_int8.tflite").ops
    page, said = (out / "report.html").read_text(), capsys.readouterr().out
    assert page.count("data:image/png;base64") >= 3 and score in page and score in said
    assert f"{stem}_int8.tflite" in said and "Next: " in said
