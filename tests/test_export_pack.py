"""Bundles to hand over: what is in them, what their check says, and where they go."""

import errno
import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import export
from export import bundle_facts
from export.starter import TEMPLATES, starter

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 8, 10, 3)).astype("float32")
NAMES = ["a", "b", "ç"]
FILES = {
    "README.md",
    "SHA256SUMS",
    "android/ModelLiteRt.kt",
    "android/ModelTask.kt",
    "bundle.json",
    "check.py",
    "golden.npz",
    "labels.txt",
    "model.tflite",
    "web/litert.js",
    "web/task.js",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 10, 3), name="image")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax", name="probabilities")(x))
    return export.to_tflite(
        model,
        tmp_path_factory.mktemp("bundle") / "leaf.tflite",
        inputs=IMAGES / 127.5 - 1,
        labels=NAMES,
        metadata=export.Metadata("classification", mean=[127.5, 127, 128], std=127.5),
        measure=False,
    )


@pytest.fixture(scope="module")
def packed(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "leaf"
    return export.pack(bundle, folder, IMAGES / 127.5 - 1, units={"probabilities": "shares"})


@pytest.fixture
def copy(packed, tmp_path):
    return Path(shutil.copytree(packed.path, tmp_path / "copy"))


def check(folder, *arguments):
    """Return the exit status and the lines of `python check.py`, run from elsewhere."""
    done = subprocess.run(
        [sys.executable, str(folder / "check.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        env={"PATH": "/usr/bin"},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout.splitlines()


def signed_again(folder):
    """Write the hashes anew, as somebody would who changes a bundle."""
    names = [line.partition("  ")[2] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    lines = [f"{hashlib.sha256((folder / x).read_bytes()).hexdigest()}  {x}\n" for x in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


@on_tensorflow
def test_what_is_in_it(bundle, packed):
    assert set(packed.files) == FILES
    found = {x.relative_to(packed.path).as_posix() for x in packed.path.rglob("*") if x.is_file()}
    assert found == FILES and [x.name for x in packed.path.parent.iterdir()] == ["leaf"]
    assert (packed.path / "model.tflite").read_bytes() == bundle.path.read_bytes()
    assert (packed.path / "labels.txt").read_text(encoding="utf-8") == "a\nb\nç\n"
    facts = json.loads((packed.path / "bundle.json").read_text())
    assert facts["sha256"] == bundle.sha256 and facts["signature"] == "serving_default"
    assert facts["inputs"] == [
        {
            "name": "image",
            "shape": [1, 8, 10, 3],
            "dtype": "float32",
            "units": "pixels, red, green and blue",
        }
    ]
    assert facts["outputs"][0]["units"] == "shares"
    assert facts["preprocessing"]["mean"] == [127.5, 127.0, 128.0]
    assert facts["preprocessing"]["resize"]["width"] == 10
    assert facts["tolerances"] == {"relative": 1e-4, "equal": 1.0}
    assert facts["parity"]["passed"] and facts["versions"]["keras"] == keras.__version__
    assert facts["labels"] == NAMES and facts["ops"]["CONV_2D"] == 1
    with np.load(packed.path / "golden.npz") as golden:
        np.testing.assert_array_equal(golden["input:image"], IMAGES[:4] / 127.5 - 1)
        expected = export.predict(bundle.path, golden["input:image"])["probabilities"]
        np.testing.assert_array_equal(golden["output:probabilities"], expected)
    sums = (packed.path / "SHA256SUMS").read_bytes()
    assert packed.sha256 == hashlib.sha256(sums).hexdigest() and packed.sha256 in str(packed)
    assert len((packed.path / "README.md").read_text().splitlines()) == 3


@on_tensorflow
def test_the_check_needs_numpy_and_litert_alone(packed):
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['check.py', {packed.sha256!r}]\n"
        "try:\n"
        f"    runpy.run_path({str(packed.path / 'check.py')!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    print(end.code, sorted({'keras', 'tensorflow', 'export'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd="/", timeout=60
    )
    assert done.stdout.splitlines() == ["pass", "0 []"], done.stderr


@on_tensorflow
@pytest.mark.parametrize("name", sorted(FILES - {"SHA256SUMS"}))
def test_a_file_that_was_changed_is_named(name, copy):
    with open(copy / name, "ab") as file:
        file.write(b"\n")
    assert check(copy) == (1, [f"{name}: changed", "The model was not run."])


@on_tensorflow
def test_files_that_are_missing_are_named(copy, packed):
    (copy / "golden.npz").unlink()
    (copy / "labels.txt").unlink()
    missing = ["golden.npz: missing", "labels.txt: missing", "The model was not run."]
    assert check(copy) == (1, missing)
    (copy / "SHA256SUMS").write_text("")
    assert check(copy) == (1, ["SHA256SUMS: not whole", "The model was not run."])
    (copy / "SHA256SUMS").unlink()
    assert check(copy, packed.sha256)[1][0] == "SHA256SUMS: missing"


@on_tensorflow
def test_other_answers_are_told_though_the_hashes_fit(copy, packed):
    with np.load(copy / "golden.npz") as arrays:
        golden = dict(arrays)
    golden["output:probabilities"][1] += 0.01
    np.savez(copy / "golden.npz", **golden)
    signed_again(copy)
    status, (line,) = check(copy)
    assert status == 1 and line.startswith("output probabilities, sample 1: off by 0.01")
    status, lines = check(copy, packed.sha256)
    assert status == 1 and lines[0].startswith("SHA256SUMS: changed, its hash is")
    facts = json.loads((copy / "bundle.json").read_text())
    facts["tolerances"]["relative"] = 0.1
    facts["outputs"][0]["shape"] = [1, 4]
    (copy / "bundle.json").write_text(json.dumps(facts))
    signed_again(copy)
    status, (line,) = check(copy)
    assert status == 1 and line.startswith("outputs {'probabilities': ([1, 3]")


@on_tensorflow
def test_a_damaged_model_is_told(copy):
    content = (copy / "model.tflite").read_bytes()
    (copy / "model.tflite").write_bytes(content[:200])
    signed_again(copy)
    status, (line,) = check(copy)
    assert status == 1 and line.startswith("model: it does not run: ")


@on_tensorflow
def test_an_archive_holds_the_same(bundle, packed, tmp_path):
    path = tmp_path / "deep" / "leaf.zip"
    again = export.pack(bundle.path, path, IMAGES / 127.5 - 1, units={"probabilities": "shares"})
    assert again.sha256 == packed.sha256 and again.path == path
    first = path.read_bytes()
    export.pack(bundle, str(path), IMAGES / 127.5 - 1, units={"probabilities": "shares"})
    assert path.read_bytes() == first and [x.name for x in path.parent.iterdir()] == ["leaf.zip"]
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "out")
    assert check(tmp_path / "out", packed.sha256) == (0, ["pass"])


@on_tensorflow
def test_a_bundle_takes_the_place_of_a_bundle_alone(bundle, copy, tmp_path):
    small = {"count": 1}
    export.pack(bundle, copy, IMAGES, **small)
    with np.load(copy / "golden.npz") as golden:
        assert len(golden["input:image"]) == 1
    (tmp_path / "empty").mkdir()
    export.pack(bundle, tmp_path / "empty", IMAGES, **small)
    (copy / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("mine")
    (tmp_path / "other.zip").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for path in (copy, tmp_path / "file", tmp_path / "photos", tmp_path / "other.zip"):
        with pytest.raises(FileExistsError, match=f"something else.*{path.name}"):
            export.pack(bundle, path, IMAGES, **small)
    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(IsADirectoryError, match="folder.zip"):
        export.pack(bundle, tmp_path / "folder.zip", IMAGES, **small)
    (tmp_path / "folder.zip").rmdir()
    assert sorted(tmp_path.rglob("*")) == before


@on_tensorflow
@pytest.mark.parametrize("end", ["", ".zip"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_full_disk_leaves_what_was_there(end, error, bundle, tmp_path, monkeypatch):
    path = tmp_path / f"leaf{end}"
    before = export.pack(bundle, path, IMAGES)

    def full(*_):
        raise error

    monkeypatch.setattr("export.files.os.fsync", full)
    for place in (path, tmp_path / f"new{end}"):
        with pytest.raises(type(error)):
            export.pack(bundle, place, IMAGES, count=1)
    monkeypatch.undo()
    assert [x.name for x in tmp_path.iterdir()] == [path.name]
    assert export.pack(bundle, tmp_path / f"new{end}", IMAGES).sha256 == before.sha256
    if not end:
        assert check(path, before.sha256) == (0, ["pass"])


@on_tensorflow
def test_a_rename_that_fails_brings_the_old_one_back(bundle, copy, monkeypatch):
    replace, calls = export.files.os.replace, []

    def second_fails(*names):
        calls.append(names)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        replace(*names)

    monkeypatch.setattr("export.files.os.replace", second_fails)
    with pytest.raises(OSError, match="Input/output"):
        export.pack(bundle, copy, IMAGES, count=1)
    assert [x.name for x in copy.parent.iterdir()] == ["copy"] and len(list(copy.iterdir())) == 9


@on_tensorflow
def test_files_that_are_not_packed(bundle, tmp_path):
    path = tmp_path / "m.tflite"
    with pytest.raises(FileNotFoundError):
        export.pack(path, tmp_path / "out", IMAGES)
    path.write_bytes(b"a picture")
    with pytest.raises(ValueError, match="A .tflite file is needed"):
        export.pack(path, tmp_path / "out", IMAGES)
    path.write_bytes(bundle.path.read_bytes())
    path.with_suffix(".json").write_text('{"sha256": "of another"}')
    with pytest.raises(ValueError, match="hash is not that in m.json"):
        export.pack(path, tmp_path / "out", IMAGES)
    path.with_suffix(".json").write_text("[1]")  # somebody else's
    assert export.pack(path, tmp_path / "out", IMAGES).path == tmp_path / "out"


@on_tensorflow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": IMAGES[:, :4]}, r"`inputs` must have samples of shape \(8, 10, 3\)"),
        ({"units": {"ages": "years"}}, "those of image, probabilities. Received: ages"),
        ({"units": {"image": "a\nb"}}, "one line of text"),
        ({"tolerance": -1}, "`tolerance` is a number"),
        ({"tolerance": {"db": 3}}, "`tolerance` is a number"),
        ({"count": 0}, "`count` must lie in 1 to 256"),
    ],
)
def test_wrong_arguments(arguments, message, bundle, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.pack(bundle, tmp_path / "out", **{"inputs": IMAGES, **arguments})
    assert list(tmp_path.iterdir()) == []


@on_tensorflow
def test_files_of_any_inputs(tmp_path):
    row, ids = keras.Input((4,), name="a.row"), keras.Input((5,), dtype="int32", name="ids")
    x = layers.Concatenate()([row, layers.Flatten()(layers.Embedding(9, 2)(ids))])
    outputs = {"best": keras.ops.top_k(x, 2)[1], "price": layers.Dense(1)(x)}
    path, given = tmp_path / "m.tflite", {"a.row": IMAGES[:3, 0, :4, 0], "ids": np.ones((3, 5))}
    export.to_tflite(keras.Model([row, ids], outputs), path, measure=False)
    made = export.pack(path, tmp_path / "out", given, units={"price": "euros"}, tolerance=1e-3)
    assert set(made.files) == FILES - {"labels.txt", "android/ModelTask.kt", "web/task.js"}
    facts = json.loads((made.path / "bundle.json").read_text())
    assert facts["preprocessing"] is None and facts["tolerances"]["relative"] == 1e-3
    kotlin = (made.path / "android" / "ModelLiteRt.kt").read_text()
    assert '"best" to IntBuffer.allocate(2),' in kotlin and "Bitmap" not in kotlin
    assert "a.row: [1, 4] float32" in kotlin and "[1, 1] float32, euros" in kotlin
    assert check(made.path) == (0, ["pass"])


def facts_for(task, dtype="float32"):
    tensor = {"name": "x$1", "shape": [1, 8, 10, 3], "dtype": dtype, "units": "u"}
    return {
        "signature": "serving_default",
        "inputs": [tensor],
        "outputs": [{**tensor, "shape": [1, 3]}],
        "preprocessing": {"mean": [127.5], "std": [1.0, 2.0, 3.0]},
        "metadata": {"task": task, "score_threshold": 0.4},
    }


@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
def test_code_has_the_shapes_and_the_normalisation(task):
    texts = starter(facts_for(task))
    assert not [name for name, text in texts.items() if "{{" in text or "}}" in text]
    kotlin, page = texts["android/ModelLiteRt.kt"], texts["web/litert.js"]
    assert "val MEAN = floatArrayOf(127.5f, 127.5f, 127.5f)" in kotlin
    assert "val STD = floatArrayOf(1.0f, 2.0f, 3.0f)" in kotlin
    assert "createScaledBitmap(picture, 10, 8, true)" in kotlin
    assert '"x\\$1" to FloatBuffer.allocate(3),' in kotlin
    assert "const STD = [1.0, 2.0, 3.0];" in page and "new OffscreenCanvas(10, 8)" in page
    assert '"x$1": { shape: [1, 8, 10, 3], type: "float32" },' in page
    kind = {"classification": "ImageClassifier", "segmentation": "ImageSegmenter"}
    for name in ("android/ModelTask.kt", "web/task.js"):
        assert kind.get(task, "ObjectDetector") in texts[name]
        assert ("0.4" in texts[name]) is (task == "detection")
    for text in texts.values():
        assert all(text.count(a) == text.count(b) for a, b in ("{}", "[]", "()"))


def test_code_for_pixels_of_bytes():
    texts = starter(facts_for("classification", "uint8"))
    kotlin = texts["android/ModelLiteRt.kt"]
    assert "buffer.put(pixel.toByte())" in kotlin and "MEAN" not in kotlin
    assert "new Uint8Array(10 * 8 * 3)" in texts["web/litert.js"]


@pytest.mark.skipif(not shutil.which("node"), reason="needs node, which reads the code")
@pytest.mark.parametrize("task", ["classification", "segmentation", "detection"])
def test_code_for_the_browser_is_whole(task, tmp_path):
    texts = starter(facts_for(task))
    for name in ("web/task.js", "web/litert.js"):
        path = tmp_path / f"{Path(name).stem}.mjs"
        path.write_text(texts[name])
        done = subprocess.run(["node", "--check", str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_templates_are_part_of_the_package():
    root = Path(export.__file__).parent
    setup = tomllib.loads((root.parent / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {x for pattern in setup["package-data"]["export"] for x in root.glob(pattern)}
    wanted = {x for x in TEMPLATES.rglob("*") if x.is_file()}
    assert len(wanted) == 20 and wanted <= found


def test_a_bundle_has_bounds_for_every_precision():
    assert list(bundle_facts.TOLERANCES) == list(export.TOLERANCES)
