"""Several signatures in one file, and files inside a file."""

import zipfile

import keras
import numpy as np
import pytest

import backbones
import blocks
import export
import heads

RNG = np.random.default_rng(0)
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="files are written on TensorFlow here"
)
WIDE = 512  # numbers, so that shared weights outweigh the rest


def tower():
    history = keras.Input((8,), dtype="int32", name="history")
    x = blocks.BagEmbedding(50, WIDE, name="bag")(history)
    item = keras.Input((), dtype="int32", name="item")
    towers = backbones.two_towers(
        keras.Model(history, x), keras.Model(item, blocks.IdEmbedding(50, WIDE)(item))
    )
    return heads.attach(towers, heads.RetrievalHead(WIDE))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Return a model of both towers, files of the user's vector and of his items, and inputs."""
    keras.utils.set_random_seed(0)
    folder, model = tmp_path_factory.mktemp("join"), tower()
    history = RNG.integers(-1, 50, (20, 8)).astype("int32")
    vectors = heads.deploy(model)
    embed = keras.Model(vectors.input["history"], {"user": vectors.output["user"]})
    recommend = heads.deploy(model, items=np.arange(50), k=5)
    files = {}
    for name, answer in {"embed": embed, "recommend": recommend}.items():
        files[name] = export.to_tflite(
            answer, folder / f"{name}.tflite", inputs=history, measure=False
        )
    return model, files, history


@on_tensorflow
def test_one_file_answers_to_two_signatures(parts, tmp_path):
    model, files, history = parts
    path = tmp_path / "both.tflite"
    joined = export.join(files, path, inputs={"embed": {"history": history}})
    assert joined.size < 0.7 * sum(x.size for x in files.values())  # the tower is there once
    assert path.stat().st_size == joined.size and "both.tflite" in str(joined)
    for name, bundle in files.items():
        expected = export.predict(bundle.path, history)
        actual = export.predict(path, history, signature=name)
        for key, value in expected.items():
            np.testing.assert_array_equal(actual[key], value)
    vectors = heads.deploy(model).predict({"history": history, "item": np.zeros(20, "int32")})
    np.testing.assert_allclose(
        export.predict(path, history, signature="embed")["user"], vectors["user"], atol=1e-5
    )
    user = heads.towers(model)[0]
    embedded = keras.Model(user.input, {"user": user.output})
    assert export.verify(embedded, path, history, signature="embed").passed
    assert export.measure(path, runs=2, threads=(1,)).latency_ms > 0
    with pytest.raises(ValueError, match="asked for one: embed, recommend"):
        export.predict(path, history)
    with pytest.raises(ValueError, match="Received: signature='other'"):
        export.predict(path, history, signature="other")
    with pytest.raises(ValueError, match="one signature each are joined. Received: embed, rec"):
        export.join({"a": path, "b": files["embed"]}, tmp_path / "more.tflite")


@on_tensorflow
def test_loops_of_joined_files_stay_in_their_file(tmp_path):
    """Files whose operations name other graphs: recurrent layers are loops."""
    files, x = {}, RNG.normal(size=(3, 6, 4)).astype("float32")
    for i, name in enumerate(("first", "second")):
        keras.utils.set_random_seed(i)
        steps = keras.Input((6, 4), name="steps")
        model = keras.Model(steps, keras.layers.GRU(5, name="state")(steps))
        files[name] = export.to_tflite(model, tmp_path / f"{name}.tflite", inputs=x, measure=False)
    assert files["first"].ops.get("WHILE")
    export.join(files, tmp_path / "both.tflite", inputs={"second": x})
    found = [export.predict(tmp_path / "both.tflite", x, signature=s)["state"] for s in files]
    assert not np.allclose(*found)
    for name, state in zip(files, found):
        np.testing.assert_array_equal(state, export.predict(files[name].path, x)["state"])


@on_tensorflow
def test_a_joined_file_that_answers_wrong_is_not_written(parts, tmp_path, monkeypatch):
    _, files, history = parts
    path = tmp_path / "both.tflite"
    path.write_text("before")
    real = export.join.__globals__["run"]

    def off(file, samples, signature=None):
        found = real(file, samples, signature)
        return found if signature is None else {k: x + 1 for k, x in found.items()}

    monkeypatch.setitem(export.join.__globals__, "run", off)
    with pytest.raises(export.ExportError, match="Received: other user of 'embed'"):
        export.join(files, path)
    assert path.read_text() == "before" and not list(tmp_path.glob(".*part"))
    with pytest.raises(ValueError, match="none of its parts"):
        export.join(files, files["embed"].path)
    with pytest.raises(ValueError, match="by signature, embed, recommend. Received: other"):
        export.join(files, path, inputs={"other": history})
    for wrong in ({"a": files["embed"]}, [1, 2], None):
        with pytest.raises(ValueError, match="two or more files by signature"):
            export.join(wrong, path)


@on_tensorflow
def test_a_vocabulary_goes_inside_the_file(parts, tmp_path):
    model, _, history = parts
    words = heads.Vocabulary([f"item {i}" for i in range(49)])
    words.save(tmp_path / "vocabulary.json")
    answer = heads.deploy(model, items=np.arange(50), k=5)
    paths = {}
    for name, files in {
        "with": tmp_path / "vocabulary.json",
        "more": {"vocabulary.json": (tmp_path / "vocabulary.json").read_bytes(), "a.txt": "ä"},
    }.items():
        paths[name] = tmp_path / f"{name}.tflite"
        bundle = export.to_tflite(answer, paths[name], inputs=history, measure=False, files=files)
        found = export.associated_files(paths[name])
        assert list(found) == bundle.files and "files inside" in str(bundle)
        (tmp_path / "read.json").write_bytes(found["vocabulary.json"])
        assert heads.Vocabulary.load(tmp_path / "read.json").values == words.values
    assert found["a.txt"].decode() == "ä"
    with zipfile.ZipFile(paths["with"]) as archive:
        assert archive.namelist() == ["vocabulary.json"]
    export.join({"a": paths["with"], "b": paths["more"]}, tmp_path / "both.tflite")
    assert export.associated_files(tmp_path / "both.tflite") == found
    export.to_tflite(answer, paths["more"], inputs=history, measure=False, files={"a.txt": "b"})
    export.join({"a": paths["with"], "b": paths["more"]}, tmp_path / "both.tflite")
    export.to_tflite(
        answer, paths["more"], inputs=history, measure=False, files={"vocabulary.json": "[]"}
    )
    with pytest.raises(ValueError, match="Received: two of 'vocabulary.json'"):
        export.join({"a": paths["with"], "b": paths["more"]}, tmp_path / "both.tflite")


@on_tensorflow
@pytest.mark.parametrize("files", [{"a/b": "x"}, {"a": 1}, {1: "x"}, ["a.txt", "other/a.txt"]])
def test_wrong_files_are_told_before_any_work(parts, files, tmp_path):
    model, _, _ = parts
    path = tmp_path / "x.tflite"
    with pytest.raises(ValueError, match="Received: "):
        export.to_tflite(heads.deploy(model), path, files=files)
    assert not path.exists()


def test_a_file_without_files_has_none(tmp_path):
    (tmp_path / "plain.tflite").write_bytes(b"TFL3")
    assert export.associated_files(tmp_path / "plain.tflite") == {}
    with pytest.raises(FileNotFoundError):
        export.associated_files(tmp_path / "none.tflite")
