"""The worker process: crashes stay in it, other backends convert through it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import export
from export.process import Worker, WorkerCrash, WorkerError

ROOT = Path(__file__).parent.parent


def test_importing_export_costs_no_more_than_keras():
    code = (
        "import sys, keras; before = set(sys.modules); import export; "
        "new = {m.split('.')[0] for m in set(sys.modules) - before}; "
        "print(sorted(new & {'tensorflow', 'ai_edge_litert', 'matplotlib', 'sklearn'}), "
        "'tensorflow' in sys.modules)"
    )
    pytest.importorskip("jax", reason="needs jax: pip install keras-blocks[jax]")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert done.stdout.strip() == "[] False", done.stderr


def test_answers_errors_and_a_worker_that_falls():
    worker = Worker()
    try:
        with pytest.raises(WorkerError, match="nowhere") as error:
            worker.ask("run", file="nowhere.tflite", names=[], inputs="", outputs="")
        assert error.value.kind == "ValueError"
        first = worker._process.pid
        with pytest.raises(WorkerError):
            worker.ask("run", file="nowhere.tflite", names=[], inputs="", outputs="")
        assert worker._process.pid == first
        os.kill(first, signal.SIGSTOP)  # so that it dies with the request in its hands
        threading.Timer(0.5, os.kill, (first, signal.SIGKILL)).start()
        with pytest.raises(WorkerCrash, match="SIGKILL. It last said: nothing"):
            worker.ask("run", file="nowhere.tflite", names=[], inputs="", outputs="")
        assert worker._process is None
        with pytest.raises(WorkerError, match="nowhere"):
            worker.ask("run", file="nowhere.tflite", names=[], inputs="", outputs="")
        assert worker._process.pid != first
    finally:
        worker.stop()


def test_a_worker_dies_with_its_parent():
    code = (
        "from export.process import worker; import os; worker._start(); "
        "print(worker._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    pid = int(done.stdout)
    for _ in range(600):
        if not is_worker(pid):
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its parent")


def is_worker(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs TensorFlow")
def test_a_converter_that_crashes_is_an_error(tmp_path, monkeypatch):
    """Static int8 of a loop brings the converter's process down; the guard is taken away here."""
    monkeypatch.setattr("export.advice.refuse_loops", lambda *_: None)
    monkeypatch.setattr(export.Preflight, "refused", ())
    monkeypatch.setattr("export.rewrites.MOST_STEPS", 4)
    x = keras.Input((5, 3), name="x")
    model = keras.Model(x, layers.GRU(4)(x))
    samples = np.random.default_rng(0).normal(size=(32, 5, 3))
    with pytest.raises(export.ExportError, match="process died .* Received: SIG"):
        export.to_tflite(model, tmp_path / "m.tflite", "int8", calibration=samples)
    assert list(tmp_path.iterdir()) == []


STORY = """
import keras, numpy as np, os, sys
import export
os.chdir({folder!r})
sys.path.insert(0, "")  # as in an interactive Python
from keras import layers, ops
from somebody import Halved

image = keras.Input((8, 8, 3), name="image")
x = layers.Conv2D(4, 3, name="conv")(image)
scores = layers.Dense(3, name="scores")(Halved()(layers.GlobalAveragePooling2D()(x)))
model = keras.Model(image, scores)
samples = np.random.default_rng(0).random((32, 8, 8, 3))
plain = keras.Input((4,))  # with no name of its own
summed = layers.Dense(4)(plain)[:, :, None] * 2 + plain[:, None] * 2  # as a bias in a batch of 1
export.to_tflite(keras.Model(plain, summed), "plain.tflite", measure=False)
for precision in ("float32", "int8"):
    bundle = export.to_tflite(
        model, "m.tflite", precision, calibration=samples, measure=False
    )
    print(precision, bundle.parity.passed, [x.name for x in bundle.inputs + bundle.outputs])
assert export.verify(model, {folder!r} + "/m.tflite", samples, precision="int8").passed
assert export.to_onnx(model, "m.onnx", inputs=samples).outputs[0].name == "scores"
assert export.measure(model).macs == 36 * 27 * 4 + 4 * 3

class Local(layers.Layer):
    def call(self, x):
        return x * 2

sequence = keras.Input((300, 3), name="sequence")  # too long to be unrolled
for name, broken, data in (
    ("local", keras.Model(image, Local(name="local")(image)), samples),
    ("erf", keras.Model(image, ops.erf(layers.Dense(3, name="d")(image))), samples),
    ("loop", keras.Model(sequence, layers.GRU(4, name="gru")(sequence)), np.ones((3, 300, 3))),
):
    try:
        export.to_tflite(broken, {folder!r} + "/n.tflite", "int8", calibration=data)
    except export.ExportError as error:
        print(name, error.layer, error.op, str(error)[:90])
"""


def test_the_jax_backend_exports_through_the_worker(tmp_path):
    pytest.importorskip("jax", reason="needs jax: pip install keras-blocks[jax]")
    (tmp_path / "somebody.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable('somebody')\n"
        "class Halved(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return x / 2\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", STORY.format(folder=str(tmp_path))],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "float32 True ['image', 'scores']",
        "int8 True ['image', 'scores']",
    ]
    assert lines[2].startswith("local local None On the jax backend another process")
    assert lines[3].startswith("erf None Erf A file holds built-in LiteRT operations only")
    assert lines[4].startswith("loop gru While Static int8 holds no loop")
    assert not (tmp_path / "n.tflite").exists()
