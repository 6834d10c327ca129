"""A path holds a verified file or what it held before, whatever goes wrong."""

import errno
import os
import signal
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import export
from export.files import aside, target, write_json
from export.process import WorkerError, worker

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)


@pytest.fixture(scope="module")
def model():
    x = keras.Input((6,), name="x")
    return keras.Model(x, layers.Dense(3, name="y")(x))


@pytest.fixture
def old(tmp_path):
    """A path where a file of an earlier export lies, with its facts."""
    path = tmp_path / "leaf.tflite"
    path.write_bytes(b"old")
    path.with_suffix(".json").write_text("old facts")
    yield path
    assert path.read_bytes() == b"old"
    assert path.with_suffix(".json").read_text() == "old facts"
    assert sorted(x.name for x in path.parent.iterdir()) == ["leaf.json", "leaf.tflite"]


def raising(error):
    def instead(*args, **kwargs):
        raise error

    return instead


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("export.tflite.convert", KeyboardInterrupt()),
        ("export.tflite.checked", KeyboardInterrupt()),
        ("export.tflite.add_runtime", KeyboardInterrupt()),
        ("export.files.os.fsync", FULL),
        ("export.tflite.write_json", FULL),
        ("export.tflite.checked", MemoryError()),
    ],
)
@on_tensorflow
def test_an_older_file_stays(place, error, model, old, monkeypatch):
    monkeypatch.setattr(place, raising(error))
    with pytest.raises(type(error)):
        export.to_tflite(model, old)


@on_tensorflow
def test_a_full_disk(model, old, monkeypatch):
    write = Path.write_bytes

    def half(self, content):
        write(self, content[: len(content) // 2])
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left on device"):
        export.to_tflite(model, old, measure=False)


@on_tensorflow
def test_a_full_disk_under_the_converter(model, old, monkeypatch):
    """The worker's own failure to write comes back as what it is."""
    monkeypatch.setattr(worker, "ask", raising(WorkerError("OSError", str(FULL))))
    with pytest.raises(OSError, match="No space left on device"):
        export.to_tflite(model, old, measure=False)


@on_tensorflow
def test_a_file_that_differs_does_not_leave(model, old, monkeypatch):
    answers = export.reference.answers
    monkeypatch.setattr(
        "export.reference.answers",
        lambda *args: {name: values + 1e-2 for name, values in answers(*args).items()},
    )
    with pytest.raises(export.ParityError, match=r"y: relative 0\.\d+, must be at most 1e-05"):
        export.to_tflite(model, old)


@on_tensorflow
def test_ctrl_c_during_conversion_ends_the_worker(model, old, ctrl_c, monkeypatch):
    """The signal comes while the worker, held still, is being waited for."""
    worker.prepare()
    held, ask = worker._process.pid, worker.ask
    os.kill(held, signal.SIGSTOP)

    def ask_and_press(*args, **kwargs):
        press = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
        press.start()
        try:
            return ask(*args, **kwargs)
        finally:
            press.join()

    monkeypatch.setattr(worker, "ask", ask_and_press)
    with pytest.raises(KeyboardInterrupt):
        export.to_tflite(model, old, measure=False)
    assert worker._process is None
    with pytest.raises(ProcessLookupError):
        os.kill(held, 0)


@on_tensorflow
def test_the_next_export_starts_another_worker(model, tmp_path):
    worker.prepare()
    os.kill(worker._process.pid, signal.SIGKILL)
    time.sleep(0.2)
    assert export.to_tflite(model, tmp_path / "m.tflite", measure=False).parity.passed


@on_tensorflow
def test_a_folder_that_takes_nothing_says_so_first(model, tmp_path, monkeypatch):
    monkeypatch.setattr("export.tflite.convert", lambda *_: pytest.fail("converted"))
    monkeypatch.setattr(Path, "touch", raising(PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(PermissionError, match="No file can be written .*Permission.*leaf.tflite"):
        export.to_tflite(model, tmp_path / "leaf.tflite")


def test_a_file_where_a_folder_should_be(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        export.to_tflite(model, tmp_path / "file" / "leaf.tflite")


def test_targets(tmp_path):
    path = target(str(tmp_path / "a" / "b" / "leaf.tflite"), ".tflite")
    assert list(tmp_path.iterdir()) == []  # folders wait until all arguments are checked
    with aside(path):
        assert path.parent.is_dir()
    (tmp_path / "dir.tflite").mkdir()
    with pytest.raises(IsADirectoryError, match="dir.tflite"):
        target(tmp_path / "dir.tflite", ".tflite")
    with pytest.raises(ValueError, match=r"must end in '.tflite'. Received: path='leaf.onnx'"):
        target("leaf.onnx", ".tflite")


def test_facts_that_cannot_be_written_stop_the_file_too(model, tmp_path):
    (tmp_path / "leaf.json").mkdir()
    with pytest.raises(IsADirectoryError, match="leaf.json"):
        export.to_tflite(model, tmp_path / "leaf.tflite")
    assert [x.name for x in tmp_path.iterdir()] == ["leaf.json"]


def test_aside_renames_all_or_none(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    with aside(*paths) as parts:
        for part in parts:
            assert part.parent == tmp_path and part.exists()
            part.write_text(part.name)
        assert not any(path.exists() for path in paths)
    assert sorted(tmp_path.iterdir()) == paths
    mode = paths[0].stat().st_mode & 0o777
    (tmp_path / "plain").write_text("")
    assert mode == (tmp_path / "plain").stat().st_mode & 0o777
    with pytest.raises(RuntimeError), aside(*paths) as parts:
        parts[0].write_text("new")
        raise RuntimeError
    assert paths[0].read_text().startswith(".a.")
    assert len(list(tmp_path.iterdir())) == 3


def test_json_has_no_infinity(tmp_path):
    write_json({"a": [np.inf, 1.5], "b": {"c": float("nan")}, 3: (1, 2)}, tmp_path / "x")
    text = (tmp_path / "x").read_text()
    assert '"a": [\n    null,\n    1.5\n  ]' in text and '"c": null' in text and '"3"' in text
