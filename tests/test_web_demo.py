"""A page that runs a file: what is in it, what it refuses, and what a browser answers on it."""

import base64
import gzip
import json
import math
import re
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
from chromium import BROWSER, READY, opened
from keras import layers

import export
import heads
from export import web_runtime

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 32, 32, 3)).astype("float32")
NAMES = ["a leaf", "b</script><!--", "ç"]
FAKE = {name: f"// {name}".encode() for name in web_runtime.MEMBERS}
LITERT = Path.home() / ".cache" / "keras-blocks"
PUBLISHED = all((LITERT / f"{x}-{web_runtime.VERSION}.tgz").is_file() for x in web_runtime.PACKAGES)
in_chromium = pytest.mark.skipif(
    not (BROWSER and PUBLISHED),
    reason="needs chromium, and LiteRT.js: export.web_demo keeps it when it first runs",
)


def backbone():
    image, levels = keras.Input((32, 32, 3), name="image"), {}
    x = layers.Rescaling(1 / 127.5, -1.0)(image)
    for i, filters in enumerate((4, 8, 8), start=1):
        x = layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(x)
        levels[f"P{i}"] = x
    return keras.Model(image, levels)


HEADS = {
    "classification": (lambda: heads.ClassificationHead(3), {}),
    "segmentation": (lambda: heads.UNetHead(3, levels=["P1", "P2", "P3"]), {}),
    "detection": (
        lambda: heads.DetectionHead(3, levels=["P2", "P3"], filters=8, depth=1, bins=4),
        {"score": 0.005, "max_detections": 6},
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file a task."""
    folder, made = tmp_path_factory.mktemp("files"), {}
    for task, (head, options) in HEADS.items():
        keras.utils.set_random_seed(0)
        model = heads.for_task(heads.attach(backbone(), head()), **options)
        made[task] = folder / f"{task}.tflite"
        export.to_tflite(
            model, made[task], labels=NAMES, metadata=task, inputs=IMAGES, measure=False
        )
    image = keras.Input((8, 10, 1), name="image")
    x = layers.Flatten()(layers.Conv2D(2, 3, name="conv")(image))
    model = keras.Model(image, {"age": layers.Dense(1)(x), "sizes": layers.Dense(3)(x)})
    made["grey"] = folder / "grey.tflite"
    export.to_tflite(model, made["grey"], measure=False)
    row = keras.Input((4,), name="row")
    made["row"] = folder / "row.tflite"
    export.to_tflite(keras.Model(row, layers.Dense(1)(row)), made["row"], measure=False)
    return made


@pytest.fixture
def no_runtime(monkeypatch):
    monkeypatch.setattr("export.web_runtime.parts", lambda _: FAKE)


def part(page, name):
    return re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', page, re.S)[1]


@pytest.mark.parametrize("task", HEADS)
def test_the_page_holds_all(task, files, no_runtime, tmp_path):
    path = export.web_demo(files[task], tmp_path / "page")
    assert path == tmp_path / "page" / "index.html"
    assert {x.name for x in path.parent.iterdir()} == {"index.html", "LICENSE-LiteRT.js.txt"}
    page = path.read_text(encoding="utf-8")
    assert gzip.decompress(base64.b64decode(part(page, "model"))) == files[task].read_bytes()
    assert gzip.decompress(base64.b64decode(part(page, "wasm"))) == FAKE["wasm"]
    facts = json.loads(part(page, "facts"))
    assert facts["labels"] == NAMES
    assert page.count("</script>") == page.count("<script") == 6 and "{{" not in page
    assert not re.search(r"https?://|//[a-z]+\.[a-z]|@import|url\(", page)
    assert "default-src 'none'" in page and 'lang="en"' in page and 'name="viewport"' in page
    assert "const MEAN = [0.0, 0.0, 0.0];" in page and "OffscreenCanvas(32, 32)" in page
    size = f"{task}.tflite</td>"
    assert size in page and "[1, 32, 32, 3] float32" in page and 'capture="environment"' in page


def test_a_page_takes_the_place_of_a_page_alone(files, no_runtime, tmp_path):
    first = export.web_demo(files["classification"], tmp_path / "page").read_bytes()
    assert export.web_demo(str(files["classification"]), tmp_path / "page").read_bytes() == first
    (tmp_path / "page" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="something else"):
        export.web_demo(files["classification"], tmp_path / "page")
    assert sorted(x.name for x in tmp_path.rglob("*"))[-1] == "page"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("row", {}, r"one image, .*Received: row \[1, 4\] float32"),
        ("classification", {"mean": 1.0}, "says its task, mean and std itself"),
        ("grey", {"task": "faces"}, "`task` must be one of classification"),
        ("grey", {"task": "classification"}, r"has one output \(1, classes\). Received: age"),
        ("grey", {"task": "detection"}, "has the outputs location"),
        ("grey", {"std": 0}, "`std` must be above 0"),
        ("grey", {"units": {"ages": "years"}}, "Received: ages"),
    ],
)
def test_what_is_refused(name, arguments, message, files, no_runtime, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.web_demo(files[name], tmp_path / "page", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_litert_js_is_known_by_its_hash(files, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="without litertjs-core-2.5.3.tgz. Make it there"):
        export.web_demo(files["grey"], tmp_path / "page", runtime=tmp_path)
    for name in web_runtime.PACKAGES:
        with tarfile.open(tmp_path / f"{name}-{web_runtime.VERSION}.tgz", "w:gz"):
            pass
    with pytest.raises(ValueError, match="that which npm published"):
        export.web_demo(files["grey"], tmp_path / "page", runtime=tmp_path)
    assert not (tmp_path / "page").exists()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(web_runtime.shutil, "which", lambda _: None)
    with pytest.raises(FileNotFoundError, match="no npm on the path. On a machine .* `npm pack @"):
        export.web_demo(files["grey"], tmp_path / "page")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(web_runtime.shutil, "which", lambda _: str(npm))
    with pytest.raises(FileNotFoundError, match="npm said 'no network'"):
        export.web_demo(files["grey"], tmp_path / "page")
    assert list((tmp_path / "cache" / "keras-blocks").iterdir()) == []


def save(path, pixels):
    keras.utils.save_img(path, pixels, scale=False)
    return path


@in_chromium
@pytest.mark.parametrize("task", HEADS)
def test_a_browser_answers_as_python(task, files, tmp_path):
    path = export.web_demo(files[task], tmp_path / "page", runtime=LITERT)
    with opened(path) as page:
        page.wait(READY)
        for i, image in enumerate(IMAGES[:2]):
            picture = save(tmp_path / f"{i}.png", image)
            told = page.answer(lambda picture=picture: page.choose("#file", picture))
            np.testing.assert_array_equal(told["inputs"]["image"], image.ravel())
            expected = export.predict(files[task], image[None])
            assert set(told["answers"]) == set(expected)
            for name, x in expected.items():
                np.testing.assert_allclose(told["answers"][name], x.ravel(), atol=1e-6)
        assert told["milliseconds"] > 0 and page.value("document.title") == f"{task}.tflite"
        text = page.value("document.getElementById('answer').textContent")
        if task == "classification":
            best = expected["probabilities"].argmax()
            score = expected["probabilities"].max()
            assert text.startswith(f"{NAMES[best]}{score:.3f}")
        elif task == "segmentation":
            classes = expected["probabilities"].argmax(-1)
            shares = [f"{NAMES[i]}{100 * (classes == i).mean():.1f} %" for i in np.unique(classes)]
            assert all(x in text for x in shares)
        else:
            scores = expected["score"][0][: int(expected["number_of_detections"][0])]
            assert len(scores) and re.findall(r"\d\.\d{3}", text) == [f"{x:.3f}" for x in scores]
        assert "ms for this picture" in page.value("document.getElementById('time').textContent")
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"no picture")
        with pytest.raises(RuntimeError, match="no picture that can be read"):
            page.answer(lambda: page.choose("#camera", broken))
        own = (path.as_uri(), "data:", "blob:")
        assert page.requests and all(x.startswith(own) for x in page.requests)


@in_chromium
def test_grey_pixels_and_drawings(files, tmp_path):
    page_of = {"task": "regression", "mean": 10, "std": 2, "units": {"age": "years"}}
    path = export.web_demo(files["grey"], tmp_path / "page", runtime=LITERT, **page_of)
    image = RNG.integers(0, 256, (8, 10, 3)).astype("float32")
    grey = (image @ [0.299, 0.587, 0.114] - 10) / 2
    with opened(path) as page:
        page.wait(READY)
        picture = save(tmp_path / "x.png", image)
        told = page.answer(lambda: page.choose("#camera", picture))
        np.testing.assert_allclose(told["inputs"]["image"], grey.ravel(), rtol=1e-5, atol=1e-5)
        given = np.reshape(told["inputs"]["image"], (1, 8, 10, 1)).astype("float32")
        for name, x in export.predict(files["grey"], given).items():
            np.testing.assert_allclose(told["answers"][name], x.ravel(), rtol=1e-5, atol=1e-5)
        text = page.value("document.getElementById('answer').textContent")
        assert re.match(r"age-?\d.* yearssizes 0", text)
        drawn = page.answer(lambda: page.drag("#drawing", (0.2, 0.5), (0.8, 0.5)))
        line = np.reshape(drawn["inputs"]["image"], (8, 10)) * 2 + 10
        assert line.max() == 255 and math.isclose(line[0].max(), 0, abs_tol=1e-4)


@in_chromium
def test_two_pictures_are_compared(files, tmp_path):
    image = keras.Input((8, 10, 3), name="image")
    x = layers.GlobalAveragePooling2D(name="embedding")(layers.Conv2D(4, 3)(image))
    path = tmp_path / "embedding.tflite"
    export.to_tflite(keras.Model(image, x), path, measure=False)
    page_path = export.web_demo(path, tmp_path / "page", task="embedding", runtime=LITERT)
    with opened(page_path) as page:
        page.wait(READY)
        rows = []
        for i in range(2):
            picture = save(tmp_path / f"{i}.png", IMAGES[i][:8, :10])
            page.answer(lambda picture=picture: page.choose("#file", picture))
            rows.append(export.predict(path, IMAGES[i : i + 1, :8, :10])["embedding"][0])
        cosine = rows[0] @ rows[1] / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1])
        text = page.value("document.getElementById('answer').textContent")
        assert text.endswith(f"{cosine:.3f}")
