"""Metadata: what goes in, comes out, and what MediaPipe Tasks make of it."""

import doctest
import errno
import hashlib
import json
import os
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import export
import heads
from export.flat import decoded, encoded
from heads.detection import relative

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 32, 32, 3)).astype("float32")
NAMES = ["a leaf", "b", "ç"]


def backbone(dtype="float32"):
    image, levels = keras.Input((32, 32, 3), name="image", dtype=dtype), {}
    x = layers.Rescaling(1 / 127.5, -1.0, name="normalization")(image)
    for i, filters in enumerate((4, 8, 8), start=1):
        x = layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(x)
        levels[f"P{i}"] = x
    return keras.Model(image, levels)


MODELS = {}  # what each file was made of


def write(folder, task, head, *, dtype="float32", options=None, **arguments):
    keras.utils.set_random_seed(0)
    model = heads.for_task(heads.attach(backbone(dtype), head), **options or {})
    path = folder / f"{task}_{dtype}.tflite"
    arguments = {"inputs": IMAGES, "labels": NAMES, "measure": False} | arguments
    export.to_tflite(
        model, path, metadata=export.Metadata(task, **arguments.pop("said", {})), **arguments
    )
    MODELS[path] = model
    return path


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    said = {"score_threshold": 0.33, "name": "leaves", "description": "Which leaf."}
    return write(folder, "classification", heads.ClassificationHead(3), said=said)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    head = heads.DetectionHead(3, levels=["P2", "P3"], filters=8, depth=1, bins=4)
    options = {"score": 0.005, "max_detections": 6}
    return write(tmp_path_factory.mktemp("detector"), "detection", head, options=options)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A file without metadata, with a vocabulary inside."""
    path = tmp_path_factory.mktemp("plain") / "plain.tflite"
    model = heads.deploy(heads.attach(backbone(), heads.ClassificationHead(3)))
    export.to_tflite(model, path, files={"words.json": "[]"}, inputs=IMAGES, measure=False)
    return path


@pytest.fixture
def copy(plain, tmp_path):
    path = tmp_path / "copy.tflite"
    path.write_bytes(plain.read_bytes())
    path.with_suffix(".json").write_bytes(plain.with_suffix(".json").read_bytes())
    return path


def test_what_is_written_is_read(classifier):
    assert export.read_metadata(classifier) == {
        "task": "classification",
        "name": "leaves",
        "description": "Which leaf.",
        "mean": [0.0],
        "std": [1.0],
        "score_threshold": 0.33,
        "labels": NAMES,
    }
    assert export.associated_files(classifier) == {"labels.txt": "a leaf\nb\nç\n".encode()}
    facts = json.loads(classifier.with_suffix(".json").read_text())
    assert facts["metadata"]["task"] == "classification" and facts["labels"] == NAMES
    assert facts["sha256"] == hashlib.sha256(classifier.read_bytes()).hexdigest()


def test_a_file_without_metadata_has_none(plain):
    assert export.read_metadata(plain) == {}


def test_later_metadata_leaves_answers_and_files_as_they_were(copy):
    before = export.predict(copy, IMAGES)
    said = export.Metadata("classification", mean=[1, 2, 3.5], std=2)
    found = export.write_metadata(copy, said, labels=NAMES)
    assert found["mean"] == [1.0, 2.0, 3.5] and found["std"] == [2.0, 2.0, 2.0]
    assert found["labels"] == NAMES and "score_threshold" not in found
    assert export.associated_files(copy).keys() == {"labels.txt", "words.json"}
    after = export.predict(copy, IMAGES)
    assert before.keys() == after.keys()
    for name, x in before.items():
        np.testing.assert_array_equal(after[name], x)
    facts = json.loads(copy.with_suffix(".json").read_text())
    assert facts["sha256"] == hashlib.sha256(copy.read_bytes()).hexdigest()
    assert facts["size"] == copy.stat().st_size and facts["labels"] == NAMES
    once = copy.read_bytes()
    assert export.write_metadata(copy, said) == found  # the labels inside stay
    assert copy.read_bytes() == once


def test_facts_of_another_file_stay(copy):
    copy.with_suffix(".json").write_text('{"sha256": "of another"}')
    export.write_metadata(copy, "classification")
    assert copy.with_suffix(".json").read_text() == '{"sha256": "of another"}'


def test_a_detector_has_ordered_outputs_and_relative_boxes(detector):
    from ai_edge_litert.interpreter import Interpreter

    found = export.read_metadata(detector)
    assert (found["task"], found["labels"]) == ("detection", NAMES)
    interpreter = Interpreter(str(detector))
    shapes = [x["shape"].tolist() for x in interpreter.get_output_details()]
    assert shapes == [[1, 6, 4], [1, 6], [1, 6], [1]]
    answers = export.predict(detector, IMAGES)
    assert answers["location"].min() >= 0 and answers["location"].max() <= 1
    assert answers["number_of_detections"].dtype == "float32"


def test_the_tables_of_a_detector(detector):
    """What MediaPipe asks for: see its detection_postprocessing_graph.cc."""
    from export import metadata_tables
    from export.embed import _entry

    content = _entry(detector.read_bytes())
    model = decoded("Model", content, metadata_tables.SCHEMA, metadata_tables.IDENTIFIER)
    (graph,) = model["subgraphs"]
    (image,), outputs = graph["inputs"], {x["name"]: x for x in graph["outputs"]}
    assert list(outputs) == ["location", "category", "score", "number of detections"]
    box = {"index": [0, 1, 2, 3], "kind": 1, "coordinates": 0}
    assert outputs["location"]["content"]["properties"] == ("Box", box)
    assert outputs["category"]["files"] == [{"name": "labels.txt", "kind": 3}]
    assert image["content"]["properties"][1]["color_space"] == 1
    assert image["units"] == [{"options": ("Normalization", {"mean": [0.0], "std": [1.0]})}]


@pytest.mark.parametrize("scale", [1 / 255, 1 / 127.5, 8.0])
def test_samples_that_no_task_would_feed_are_told(scale, tmp_path, monkeypatch):
    def stopped(*_):
        raise InterruptedError

    monkeypatch.setattr("export.tflite.convert", stopped)
    model = heads.for_task(heads.attach(backbone(), heads.ClassificationHead(3)))
    given = {"inputs": IMAGES * scale, "metadata": "classification", "measure": False}
    told = pytest.warns(UserWarning, match="feed numbers from 0 to 255.* the samples go from 0 to")
    with told, pytest.raises(InterruptedError):
        export.to_tflite(model, tmp_path / "m.tflite", **given)


def test_relative_boxes_are_those_of_the_deployed_model():
    head = heads.DetectionHead(2, levels=["P2"], neck=None, filters=4, depth=0, bins=1)
    model = heads.attach(backbone(), head)
    options = {"score": 0.0, "max_detections": 40}
    boxes = {k: np.asarray(x) for k, x in heads.deploy(model, **options)(IMAGES[:1]).items()}
    found = {k: np.asarray(x) for k, x in heads.for_task(model, **options)(IMAGES[:1]).items()}
    assert boxes["boxes"].max() > 32  # what is outside is cut off
    np.testing.assert_allclose(found["location"], boxes["boxes"].clip(0, 32) / 32, atol=1e-6)
    np.testing.assert_array_equal(found["category"], boxes["classes"])
    np.testing.assert_array_equal(found["number_of_detections"], boxes["count"])


def test_the_example_of_relative_boxes_runs():
    names = {**vars(relative), "np": np}
    assert doctest.testmod(relative, extraglobs=names) == (0, 3)


@pytest.mark.parametrize(
    ("head", "outputs"),
    [
        (heads.ClassificationHead(3), ["probabilities"]),
        (heads.UNetHead(3, levels=["P1", "P2"]), ["probabilities"]),
        (heads.UNetHead(1, levels=["P1", "P2"]), ["probabilities"]),
    ],
    ids=["classes", "masks", "one mask"],
)
def test_the_model_for_a_task(head, outputs):
    model = heads.attach(backbone(), head)
    answer = heads.for_task(model).predict(IMAGES, verbose=0)
    expected = heads.deploy(model).predict(IMAGES, verbose=0)
    x = answer["probabilities"] if isinstance(answer, dict) else answer
    best = x.argmax(-1) if x.shape[-1] > 1 else x[..., 0] >= 0.5
    np.testing.assert_array_equal(best, expected.argmax(-1) if x.ndim == 2 else expected)
    assert list(answer if isinstance(answer, dict) else {"probabilities": 0}) == outputs


def test_heads_that_no_task_reads():
    with pytest.raises(ValueError, match="classes, masks or boxes. Received: .*RegressionHead"):
        heads.for_task(heads.attach(backbone(), heads.RegressionHead()))
    two = {"a": heads.ClassificationHead(2), "b": heads.ClassificationHead(3)}
    with pytest.raises(ValueError, match="one head. Received: a model with a, b"):
        heads.for_task(heads.attach(backbone(), two))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "regression"}, "must be one of classification"),
        ({"std": 0}, "`std` must be above 0"),
        ({"mean": [1, 2]}, "one for red, green and blue"),
        ({"mean": float("nan")}, "one for red, green and blue"),
        ({"score_threshold": 2}, r"must lie in \[0, 1\]"),
        ({"task": "segmentation", "score_threshold": 0.1}, "has no score threshold"),
        ({"activation": "softmax"}, "belongs to a segmentation"),
        ({"task": "segmentation", "activation": "relu"}, "one of none, sigmoid, softmax"),
        ({"name": 3}, "`name` must be text"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        export.Metadata(**{"task": "classification", **arguments})


@pytest.mark.parametrize("labels", [NAMES[:2], [*NAMES, "d"]])
def test_labels_must_be_as_many_as_classes(labels, copy, tmp_path):
    before = copy.read_bytes()
    with pytest.raises(ValueError, match=f"3 classes. Received: {len(labels)} labels"):
        export.write_metadata(copy, "classification", labels=labels)
    assert copy.read_bytes() == before
    head = heads.SSDHead(3, levels=["P2", "P3"], filters=4, depth=0)
    model = heads.for_task(heads.attach(backbone(), head))
    path = tmp_path / "new" / "d.tflite"
    with pytest.raises(ValueError, match=f"3 classes of boxes. Received: {len(labels)} labels"):
        export.to_tflite(model, path, labels=labels, metadata="detection")
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["a", "b\nc", "d"], "one line of text"), (["a", " ", "c"], "not empty"), (3, "a list")],
)
def test_labels_that_are_none(labels, message, copy):
    with pytest.raises(ValueError, match=message):
        export.write_metadata(copy, "classification", labels=labels)


def test_models_that_do_not_fit_their_task(plain, detector, tmp_path):
    masks = heads.deploy(heads.attach(backbone(), heads.UNetHead(3, levels=["P1", "P2"])))
    boxes = heads.deploy(
        heads.attach(backbone(), heads.SSDHead(3, levels=["P2", "P3"], filters=4, depth=0))
    )
    gray = keras.Input((8, 8, 1), name="gray")
    gray = keras.Model(gray, layers.Dense(3)(layers.Flatten()(gray)))
    for model, task, message in (
        (masks, "segmentation", "one output .*float32.*Received: .*int32.*heads.for_task"),
        (boxes, "detection", "the outputs location.*Received: boxes.*heads.for_task"),
        (gray, "classification", r"an image \(1, height, width, 3\). Received: gray"),
    ):
        with pytest.raises(ValueError, match=message):
            export.to_tflite(model, tmp_path / "m.tflite", labels=None, metadata=task)
    for path, task, message in (
        (plain, "segmentation", "for segmentation has one output"),
        (detector, "classification", "for classification has one output"),
    ):
        with pytest.raises(ValueError, match=message):
            export.write_metadata(path, task)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="inside as labels.txt"):
        given = {"labels": NAMES, "files": {"labels.txt": "a"}, "metadata": "classification"}
        model = heads.for_task(heads.attach(backbone(), heads.ClassificationHead(3)))
        export.to_tflite(model, tmp_path / "m.tflite", **given)


def test_a_detector_needs_labels(tmp_path):
    head = heads.SSDHead(3, levels=["P2", "P3"], filters=4, depth=0)
    model = heads.for_task(heads.attach(backbone(), head))
    with pytest.raises(ValueError, match="have names. Received: labels=None"):
        export.to_tflite(model, tmp_path / "d.tflite", metadata="detection")


def test_loops_are_refused(tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    x = layers.LSTM(2)(layers.Reshape((8, 24))(image))
    path = tmp_path / "loop.tflite"
    with pytest.raises(export.ExportError, match="one graph.*Received: . graphs. .*recurrent"):
        export.to_tflite(keras.Model(image, x), path, metadata="classification", measure=False)
    assert list(tmp_path.iterdir()) == []


def test_pixels_of_bytes_go_in_as_they_are(tmp_path):
    path = write(
        tmp_path, "classification", heads.ClassificationHead(3), dtype="uint8", labels=NAMES
    )
    assert "mean" not in export.read_metadata(path)
    said = export.Metadata("classification", mean=127.5, std=127.5)
    with pytest.raises(ValueError, match="uint8 goes into the file as it is"):
        export.write_metadata(path, said)


def test_files_that_are_none(plain, tmp_path):
    whole, path = plain.read_bytes(), tmp_path / "m.tflite"
    for content in (b"", b"a picture", whole[:100], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="tflite|damaged|whole|LiteRT"):
            export.write_metadata(path, "classification")
        assert path.read_bytes() == content
        assert [x.name for x in tmp_path.iterdir()] == ["m.tflite"]
    with pytest.raises(FileNotFoundError):
        export.write_metadata(tmp_path / "none.tflite", "classification")
    with pytest.raises(IsADirectoryError):
        (tmp_path / "folder.tflite").mkdir()
        export.write_metadata(tmp_path / "folder.tflite", "classification")


def test_damaged_metadata_is_told(classifier, tmp_path):
    content = classifier.read_bytes()
    start = content.index(b"M001") - 4
    path = tmp_path / "m.tflite"
    path.write_bytes(content[:start] + b"\xff\xff\xff\x7fM001" + content[start + 8 :])
    with pytest.raises(ValueError, match="metadata of a .tflite file must be whole"):
        export.read_metadata(path)
    path.write_bytes(content.replace(b"M001", b"X999"))
    with pytest.raises(ValueError, match="must begin with b'M001'"):
        export.read_metadata(path)


def test_a_full_disk_leaves_the_file(copy, monkeypatch):
    before = copy.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("export.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        export.write_metadata(copy, "classification")
    assert copy.read_bytes() == before
    assert sorted(x.name for x in copy.parent.iterdir()) == ["copy.json", "copy.tflite"]


def test_tables_of_every_type():
    schema = {
        "Root": [
            ("text", "string"),
            ("either", ("A", "B")),
            ("numbers", ["float32"]),
            ("data", "bytes"),
            ("many", ["A"]),
            ("words", ["string"]),
            ("last", "int32"),
        ],
        "A": [("yes", "bool"), ("small", "int8")],
        "B": [("large", "uint32")],
    }
    values = {
        "text": "ü",
        "either": ("B", {"large": 2**31}),
        "numbers": [0.1, -2.0],
        "data": bytes(range(20)),
        "many": [{"yes": True, "small": -3}, {}],
        "words": ["a", ""],
        "last": -7,
    }
    content = encoded("Root", values, schema, b"T001")
    assert decoded("Root", content, schema, b"T001") == values
    assert decoded("Root", encoded("Root", {}, schema, b"T001"), schema, b"T001") == {}
    for end in range(8, len(content), 7):
        try:
            decoded("Root", content[:end], schema, b"T001")
        except ValueError:
            continue
    with pytest.raises(ValueError, match="must begin with"):
        decoded("Root", content, schema, b"T002")
    with pytest.raises(KeyError, match="A has no other"):
        encoded("A", {"other": 1}, schema, b"T001")


MEDIAPIPE = os.environ.get("KERAS_BLOCKS_MEDIAPIPE")
ASK = Path(__file__).with_name("mediapipe_tasks.py")


@pytest.mark.skipif(
    not MEDIAPIPE,
    reason="needs KERAS_BLOCKS_MEDIAPIPE, a Python that has mediapipe: pip install mediapipe",
)
def test_mediapipe_answers_as_keras(classifier, detector, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES.astype("uint8"))
    masks = write(tmp_path, "segmentation", heads.UNetHead(3, levels=["P1", "P2", "P3"]))
    pixels = write(tmp_path, "classification", heads.ClassificationHead(3), dtype="uint8")
    files = [classifier, pixels, masks, detector]
    for path in files:
        rows = [MODELS[path](x[None].astype(MODELS[path].inputs[0].dtype)) for x in IMAGES]
        rows = [x if isinstance(x, dict) else {"probabilities": x} for x in rows]
        answers = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}
        np.savez(path.with_suffix(".npz"), **answers)
    done = subprocess.run(
        [MEDIAPIPE, str(ASK), str(tmp_path / "images.npy"), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=120,
        env={key: x for key, x in os.environ.items() if key != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [x["task"] for x in told] == [
        "classification",
        "classification",
        "segmentation",
        "detection",
    ]
    for x in told[:3]:
        assert x["error"] < 1e-6 and set(x["labels"]) <= set(NAMES)
    assert told[1]["labels"] == told[2]["labels"] == NAMES
    assert told[0]["least"] >= 0.33 > told[1]["least"]  # the score threshold is heard
    assert told[2]["same"] == 1.0
    boxes = told[3]
    assert boxes["found"] == boxes["expected"] > 0 and boxes["error"] < 1e-6
    assert boxes["pixels"] <= 2  # whole pixels, both ends cut off
