"""Files of COCO, VOC and YOLO: the same boxes from each, and what is said of wrong ones."""

import json

import numpy as np
import pytest
from PIL import Image

import heads

BOXES = {"a": [(0, [10, 5, 30, 25]), (1, [0, 0, 60, 40])], "b": [(1, [20, 10, 40, 20])], "c": []}
NAMES = ["cat", "dog"]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i, name in enumerate(BOXES):
        Image.fromarray(np.full((40, 60, 3), 50 * i, "uint8")).save(folder / f"{name}.png")
    return folder


def write_coco(folder, change=lambda x: x):
    entries = [
        {
            "image_id": i,
            "category_id": 3 + kind,
            "bbox": [x, y, r - x, b - y],
            "area": 7,
            "iscrowd": 0,
        }
        for i, rows in enumerate(BOXES.values())
        for kind, (x, y, r, b) in rows
    ]
    content = {
        "images": [{"id": i, "file_name": f"{name}.png"} for i, name in enumerate(BOXES)],
        "annotations": [{"id": 100 + i, **x} for i, x in enumerate(entries)],
        "categories": [{"id": 4, "name": "dog"}, {"id": 3, "name": "cat"}],
    }
    change(content)
    (folder / "boxes.json").write_text(json.dumps(content))
    return folder / "boxes.json"


def write_voc(folder):
    (folder / "xml").mkdir()
    for name, rows in BOXES.items():
        objects = "".join(
            f"<object><name>{NAMES[kind]}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
            f"<xmax>{r}</xmax><ymax>{b}</ymax></bndbox></object>"
            for kind, (x, y, r, b) in rows
        )
        text = f"<annotation><filename>{name}.jpg</filename>{objects}</annotation>"
        (folder / "xml" / f"{name}.xml").write_text(text)
    return folder / "xml"


def write_yolo(folder):
    (folder / "labels").mkdir()
    for name, rows in BOXES.items():
        lines = [
            f"{kind} {(x + r) / 120} {(y + b) / 80} {(r - x) / 60} {(b - y) / 40}"
            for kind, (x, y, r, b) in rows
        ]
        if lines:
            (folder / "labels" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder / "labels"


def read(kind, tmp_path, images):
    if kind == "coco":
        return heads.DetectionFiles.coco(write_coco(tmp_path), images)
    if kind == "voc":
        return heads.DetectionFiles.voc(write_voc(tmp_path), images)
    return heads.DetectionFiles.yolo(write_yolo(tmp_path), images, NAMES)


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_every_format_gives_the_same_boxes(kind, tmp_path, images):
    files = read(kind, tmp_path, images)
    assert files.names == NAMES and len(files) == 3 and files.skipped == []
    assert files.sides == [(40, 60)] * 3
    for boxes, labels, rows in zip(files.boxes, files.labels, BOXES.values()):
        np.testing.assert_allclose(boxes, np.reshape([box for _, box in rows], (-1, 4)), atol=1e-4)
        assert labels.tolist() == [kind for kind, _ in rows]
    assert files.area[1].tolist() == ([7] if kind == "coco" else [pytest.approx(200)])


def test_data_sets_are_resized_with_their_boxes(tmp_path, images):
    files = read("coco", tmp_path, images)
    ((x, y),) = files.dataset((20, 120), 3, max_boxes=4)
    assert x.shape == (3, 20, 120, 3) and x.dtype == "uint8" and y.shape == (3, 4, 5)
    assert np.array(x)[:, 0, 0, 0].tolist() == [0, 50, 100]
    assert np.array(y)[0, 0].tolist() == [20, 2.5, 60, 12.5, 0]
    assert (np.array(y)[2] == [0, 0, 0, 0, -1]).all()
    first = [int(x[0, 0, 0, 0]) for x, _ in files.dataset((8, 8), 1, shuffle=True, seed=1)]
    assert sorted(first) == [0, 50, 100]


WRONG = {
    "outside": (
        lambda x: x["annotations"][2].update(bbox=[50, 10, 30, 5]),
        "lie in its image, 60 x",
    ),
    "negative": (lambda x: x["annotations"][2].update(bbox=[9, 9, -3, 5]), "wider and higher"),
    "class": (lambda x: x["annotations"][2].update(category_id=9), "one of cat, dog. Received: 9"),
    "words": (lambda x: x["annotations"][2].update(bbox=[1, 2]), "bbox of four numbers"),
    "nan": (lambda x: x["annotations"][2].update(bbox=[1, 2, float("nan"), 3]), "finite corners"),
    "no image": (lambda x: x["annotations"][2].update(image_id=77), "image_id of the file"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named_or_skipped(kind, tmp_path, images):
    change, message = WRONG[kind]
    path = write_coco(tmp_path, change)
    with pytest.raises(
        ValueError, match=rf"boxes.json: annotation 102: .*{message}(?s:.*)skip=True"
    ):
        heads.DetectionFiles.coco(path, images)
    with pytest.warns(UserWarning, match="1 things were skipped"):
        files = heads.DetectionFiles.coco(path, images, skip=True)
    assert [len(x) for x in files.boxes] == [2, 0, 0] and len(files.skipped) == 1


def test_missing_and_broken_images_are_named(tmp_path, images):
    (images / "b.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="b.png: The file must be an image"):
        heads.DetectionFiles.coco(write_coco(tmp_path), images)
    (images / "b.png").unlink()
    with pytest.raises(ValueError, match="b.png: Each image must be there"):
        heads.DetectionFiles.coco(write_coco(tmp_path), images)
    with pytest.warns(UserWarning, match="skipped"):
        files = heads.DetectionFiles.coco(write_coco(tmp_path), images, skip=True)
    assert [x.stem for x in files.paths] == ["a", "c"]


def test_lines_of_yolo_and_objects_of_voc_are_named(tmp_path, images):
    labels = write_yolo(tmp_path)
    (labels / "b.txt").write_text("1 0.5 0.5 0.1 0.1\n\n1 0.5 0.5 0.1\n")
    with pytest.raises(ValueError, match="b.txt: line 3: There must be five numbers"):
        heads.DetectionFiles.yolo(labels, images, NAMES)
    (labels / "b.txt").write_text("2 0.5 0.5 0.1 0.1\n")
    with pytest.raises(
        ValueError, match="b.txt: line 1: The class must be one of cat, dog. Received: 2"
    ):
        heads.DetectionFiles.yolo(labels, images, NAMES)
    (labels / "b.txt").write_text("1 30 15 20 10\n")  # pixels
    with pytest.raises(ValueError, match="b.txt: line 1: A box must lie in its image"):
        heads.DetectionFiles.yolo(labels, images, NAMES)
    folder = write_voc(tmp_path)
    (folder / "b.xml").write_text("<annotation><object><name>dog</name></object></annotation>")
    with pytest.raises(ValueError, match="b.xml: object 1: There must be a name, and a bndbox"):
        heads.DetectionFiles.voc(folder, images)
    (folder / "b.xml").write_text("<annotation>")
    with pytest.raises(ValueError, match="b.xml: There must be XML"):
        heads.DetectionFiles.voc(folder, images)
    with pytest.raises(ValueError, match="A folder is needed"):
        heads.DetectionFiles.voc(tmp_path / "nowhere", images)


def test_crowds_are_no_targets(images, tmp_path):
    def change(content):
        content["annotations"][1]["iscrowd"] = 1

    files = heads.DetectionFiles.coco(write_coco(tmp_path, change), images)
    assert files.crowd[0].tolist() == [False, True]
    targets = files.targets((40, 60))
    assert targets.shape == (3, 1, 5) and targets[0, 0].tolist() == [10, 5, 30, 25, 0]


def test_ids_and_names_are_given_once(images, tmp_path):
    def change(content):
        content["images"][1]["id"] = 0

    with pytest.raises(ValueError, match="boxes.json with 0 twice"):
        heads.DetectionFiles.coco(write_coco(tmp_path, change), images)
    with pytest.raises(ValueError, match="names of their own"):
        heads.DetectionFiles.yolo(write_yolo(tmp_path), images, ["cat", "cat"])
    files = heads.DetectionFiles.yolo(tmp_path / "labels", images, {0: "cat", 1: "dog"})
    assert files.names == NAMES and files.labels[0].tolist() == [0, 1]


def test_a_box_that_float32_makes_flat_is_named(images, tmp_path):
    folder = write_yolo(tmp_path)
    (folder / "c.txt").write_text("1 0.9 0.5 0.000000001 0.1\n")
    with pytest.raises(ValueError, match=r"c.txt: line 1: A box must be wider"):
        heads.DetectionFiles.yolo(folder, images, NAMES)


def test_files_with_a_mark_of_their_encoding_are_read(images, tmp_path):
    coco, yolo = write_coco(tmp_path), write_yolo(tmp_path)
    for path in (coco, yolo / "a.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert heads.DetectionFiles.coco(coco, images).labels[0].tolist() == [0, 1]
    assert heads.DetectionFiles.yolo(yolo, images, NAMES).labels[0].tolist() == [0, 1]
    (yolo / "b.txt").write_bytes(b"\xff\xfe1")
    with pytest.raises(ValueError, match=r"b.txt: There must be a file of text"):
        heads.DetectionFiles.yolo(yolo, images, NAMES)


def test_a_truncated_image_is_named(images, tmp_path):
    files = heads.DetectionFiles.yolo(write_yolo(tmp_path), images, NAMES)
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), "uint8")
    Image.fromarray(noise).save(images / "b.png")
    (images / "b.png").write_bytes((images / "b.png").read_bytes()[:900])
    with pytest.raises(ValueError, match="b.png: The file must be an image"):
        files.image(1)
    with pytest.raises(ValueError, match="`size` must be"):
        files.dataset(64)
