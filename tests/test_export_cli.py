"""The command line, and what it says of bad input."""

import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import export
from export.commands import main

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
OWN = """
import keras

@keras.saving.register_keras_serializable("own")
def twice(x):
    return 2 * keras.ops.relu(x)
"""
rng = np.random.default_rng(0)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a model, its file, samples, and a file of an operation of TensorFlow."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("made")
    x = keras.Input((6,), name="x")
    model = keras.Model(x, layers.Dense(3, activation="tanh", name="y")(x))
    model.save(folder / "leaf.keras")
    export.to_tflite(model, folder / "leaf.tflite", measure=False)
    np.save(folder / "samples.npy", rng.normal(size=(9, 6)).astype("float32"))
    np.save(folder / "many.npy", rng.normal(size=(32, 6)))
    np.savez(folder / "samples.npz", x=np.load(folder / "samples.npy"))
    np.savez(folder / "unnamed.npz", np.load(folder / "samples.npy"))

    @tf.function(input_signature=[tf.TensorSpec((1, 6), tf.float32, name="x")])
    def erf(x):
        return {"y": tf.math.erf(x)}

    holder = tf.Module()
    holder.erf = erf
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [erf.get_concrete_function()], holder
    )
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    (folder / "flex.tflite").write_bytes(converter.convert())
    content = (folder / "leaf.tflite").read_bytes()
    (folder / "cut.tflite").write_bytes(content[:-100])
    (folder / "noise.tflite").write_bytes(content[:4] + b"TFL3" + rng.bytes(500))
    (folder / "cut.keras").write_bytes((folder / "leaf.keras").read_bytes()[:-40])
    (folder / "zip.npz").write_bytes((folder / "samples.npz").read_bytes()[:-40])
    (folder / "labels.txt").write_text("a\nb\nc\n")
    (folder / "broken.py").write_text("1 / 0\n")
    return folder


@pytest.fixture
def here(made, monkeypatch):
    """The same, as the current folder, to which tests add nothing."""
    monkeypatch.chdir(made)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = sorted(made.iterdir())
    yield made
    assert [x for x in sorted(made.iterdir()) if x.name != "__pycache__"] == before


def test_a_file_is_measured(here, capsys, tmp_path):
    words = ["leaf.tflite", "--runs", "3", "--threads", "1", "2"]
    assert main([*words, "--json", str(tmp_path / "facts.json")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "measured leaf.tflite"
    assert "input x [1, 6] float32" in lines and "output y [1, 3] float32" in lines
    assert "delegate 1 part, all in it" in lines and "operation name ms share calls" in lines
    assert sum(line.startswith("latency, ") and "min of 3" in line for line in lines) == 2
    assert any(line.startswith("Fully Connected") for line in lines)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert [x["threads"] for x in facts["latency"]] == [1, 2]
    assert facts["inputs"] == [{"name": "x", "shape": [1, 6], "dtype": "float32"}]
    assert facts["operations"][0]["delegated"] is True
    assert facts["ops"] == {"FULLY_CONNECTED": 1, "TANH": 1}


def test_files_are_measured_beside_each_other(here, capsys, tmp_path):
    words = ["measure", "leaf.tflite", "./leaf.tflite", "--runs", "2"]
    assert main([*words, "--json", str(tmp_path / "facts.json")]) == 0
    out = capsys.readouterr().out
    assert "5 rounds of 2 runs each, 1 thread;" in out and len(out.splitlines()) == 4
    [facts] = json.loads((tmp_path / "facts.json").read_text())["side_by_side"]
    assert [x["file"] for x in facts["files"]] == ["leaf.tflite", "leaf.tflite"]


@pytest.mark.parametrize("samples", ["samples.npy", "samples.npz", "unnamed.npz"])
def test_a_file_is_verified(here, capsys, samples):
    words = ["verify", "leaf.tflite", "--model", "leaf.keras", "--inputs", samples]
    assert main(words) == 0
    assert "parity with Keras on 9 samples (float32)" in capsys.readouterr().out
    assert main([*words, "--precision", "int8", "--tolerance", "500"]) == 1
    out, err = capsys.readouterr()
    assert "FAILED y: sqnr_db" in out and "at least 500" in out
    assert err.startswith("keras-blocks: error: The file must answer as its Keras model does.")
    assert len(err.splitlines()) == 1


def test_a_model_with_parts_of_its_own_is_converted(tmp_path, monkeypatch, capsys):
    """Another process loads it, as on other backends, and imports the same modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [x for x in sys.path if x])
    Path("parts_of_my_own.py").write_text(OWN)
    sys.path.insert(0, str(tmp_path))
    own = importlib.import_module("parts_of_my_own")
    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, activation=own.twice)(image)
    x = layers.Dense(3, activation="softmax", name="y")(layers.GlobalAveragePooling2D()(x))
    keras.Model(image, x).save("leaf.keras")
    keras.saving.get_custom_objects().pop("own>twice")
    sys.modules.pop("parts_of_my_own")
    sys.path.pop(0)

    Path("labels.txt").write_text("ä\nb\nc\n", encoding="utf-8")
    words = ["convert", "leaf.keras", "out/leaf.tflite", "--input-shape", "8", "8", "3"]
    words += ["--labels", "labels.txt", "--no-measure", "--precision", "float16"]
    assert main(words) == 2
    assert "with function 'own>twice'. Name the module that regi" in capsys.readouterr().err
    assert not Path("out").exists()
    monkeypatch.setattr("keras.backend.backend", lambda: "another")
    assert main([*words, "--import", "parts_of_my_own"]) == 0
    out = capsys.readouterr().out
    assert "out/leaf.tflite" in out and "[1, 8, 8, 3] float32" in out and "latency" not in out
    facts = json.loads(Path("out/leaf.json").read_text())
    assert facts["labels"] == ["ä", "b", "c"] and facts["precision"] == "float16"
    assert facts["parity"]["passed"] is True


def test_another_process_imports_what_it_is_told(monkeypatch, made):
    asked = {}
    monkeypatch.setattr("keras.backend.backend", lambda: "another")

    def ask(command, **request):
        asked.update(request if command == "save" else {})
        raise KeyboardInterrupt

    monkeypatch.setattr("export.convert.worker.ask", ask)
    with pytest.raises(KeyboardInterrupt):
        export.to_tflite(
            keras.saving.load_model(made / "leaf.keras"), made / "x.tflite", imports=["json"]
        )
    assert asked["modules"] == ["json"]


def test_int8_from_the_command_line(here, capsys, tmp_path):
    words = ["convert", "leaf.keras", str(tmp_path / "leaf.tflite"), "--precision", "int8"]
    assert main([*words, "--calibration", "many.npy", "--no-measure"]) == 0
    assert "QUANTIZE 1" in capsys.readouterr().out


VERIFY = ["verify", "leaf.tflite", "--model", "leaf.keras", "--inputs", "samples.npy"]
CONVERT = ["convert", "leaf.keras", "new.tflite"]


def instead(words, **places):
    """Return `words` with others in some places: `_1=` the second."""
    return [places.get(f"_{i}", word) for i, word in enumerate(words)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "A file or a command is needed. `keras-blocks --help` shows how."),
        (["none.tflite"], "There is no file to measure. Received: path='none.tflite'."),
        (["."], "A file's path is needed to measure. Received: path='.', a directory."),
        (["cut.tflite"], "The .tflite file is damaged. Received: path='cut.tflite'."),
        (["noise.tflite"], "The .tflite file is damaged. Received: path='noise.tflite'."),
        (["leaf.keras"], "A .tflite file is needed. Received: path='leaf.keras'."),
        (["flex.tflite"], "Received: 'flex.tflite' with FlexErf. Convert without SELECT_TF_OPS"),
        (["flex.tflite", "leaf.tflite"], "Received: 'flex.tflite' with FlexErf."),
        (["leaf.tflite", "none.tflite"], "There is no file to measure"),
        (["leaf.tflite", "--threads", "0"], "`threads` must list whole numbers from 1"),
        (["leaf.tflite", "--threads", "two"], "--threads: invalid int value: 'two'. `keras-blocks"),
        (["leaf.tflite", "--runs", "0"], "`runs` must be a whole number from 1"),
        (["leaf.tflite", "--json", "facts.txt"], "must end in '.json'"),
        (["leaf.tflite", "--signature", "z"], "Received: signature='z'."),
        (["leaf.tflite", "leaf.tflite", "--signature", "z"], "`--signature` takes one file"),
        (["a", "b", "--device"], "`--device` takes one file. Received: 2: a, b."),
        (["leaf.tflite", "--tool", "x"], "`--tool` is pushed to a device. Received: no --device."),
        (["leaf.tflite", "--colour"], "Unrecognized arguments: --colour"),
        (["verify", "leaf.tflite"], "required: --model, --inputs. `keras-blocks verify --help`"),
        (instead(VERIFY, _1="none.tflite"), "There is no file to verify."),
        (instead(VERIFY, _1="."), "A file's path is needed to verify."),
        (instead(VERIFY, _1="cut.tflite"), "The .tflite file is damaged."),
        (instead(VERIFY, _1="noise.tflite"), "The .tflite file is damaged."),
        (instead(VERIFY, _1="labels.txt"), "A .tflite file is needed."),
        (instead(VERIFY, _1="flex.tflite"), "Received: 'flex.tflite' with FlexErf."),
        (instead(VERIFY, _3="none.keras"), "There is no file to load as the model."),
        (instead(VERIFY, _3="leaf.tflite"), "The model must load. Received: path='leaf.tflite', "),
        (instead(VERIFY, _3="cut.keras"), "The .keras file is damaged, or none. Received: path="),
        (instead(VERIFY, _5="none.npy"), "There is no file to read as --inputs."),
        (instead(VERIFY, _5="labels.txt"), "`--inputs` must be a .npy or .npz file of arrays"),
        (instead(VERIFY, _5="zip.npz"), "Received: path='zip.npz', BadZipFile."),
        ([*CONVERT[:2], "new.lite"], "must end in '.tflite'. Received: path='new.lite'."),
        ([*CONVERT[:2], "."], "must end in '.tflite'"),
        ([*CONVERT, "--precision", "int8"], "int8 needs typical samples"),
        ([*CONVERT, "--precision", "int9"], "invalid choice: 'int9' (choose from 'float32'"),
        ([*CONVERT, "--labels", "samples.npy"], "`--labels` must be a file of text in UTF-8."),
        ([*CONVERT, "--input-shape", "7"], "`input_shape` must fit input 'x' of shape (6,)"),
        ([*CONVERT, "--import", "nowhere"], "Received: nowhere, ModuleNotFoundError: No module"),
        ([*CONVERT, "--import", "broken"], "Received: broken, ZeroDivisionError: division by zero"),
        (["convert", "none.keras", "new.tflite"], "There is no file to load as the model."),
    ],
)
def test_what_a_user_can_mend_is_one_line(here, capsys, words, message):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert err.startswith("keras-blocks: error: ") and message in err


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("place", "error", "status", "message"),
    [
        ("export.files.os.fsync", FULL, 2, "error: No space left on device\n"),
        ("export.tflite.write_json", FULL, 2, "error: No space left on device\n"),
        ("export.convert.savedmodel.write", RuntimeError("/x; No space left on device"), 2, "for"),
        ("export.tflite.checked", KeyboardInterrupt(), 130, "keras-blocks: stopped\n"),
    ],
)
def test_nothing_is_half_written(here, capsys, monkeypatch, place, error, status, message):
    """`here` looks for what is left."""

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(place, fail)
    assert main([*CONVERT, "--no-measure"]) == status
    out, err = capsys.readouterr()
    assert out == "" and message in err and len(err.splitlines()) == 1


def test_no_folder_to_write_to(here, capsys):
    assert main(["convert", "leaf.keras", "labels.txt/new.tflite"]) == 2
    assert "labels.txt" in capsys.readouterr().err


def test_a_device_is_asked(here, capsys, monkeypatch):
    asked = []

    def on_device(file, **options):
        asked.append((file, options))
        return export.OnDevice(file, "Pixel 8", "R58M", options["threads"], 4, 2.5, 2.0, 3.0)

    monkeypatch.setattr("export.commands.on_device", on_device)
    assert main(["leaf.tflite", "--threads", "1", "4", "--runs", "4", "--device"]) == 0
    assert main(["leaf.tflite", "--device", "R58M", "--tool", "tool"]) == 0
    plain = {"tool": None, "serial": None, "runs": 4}
    assert asked == [
        ("leaf.tflite", {**plain, "threads": 1}),
        ("leaf.tflite", {**plain, "threads": 4}),
        ("leaf.tflite", {"tool": "tool", "serial": "R58M", "runs": 50, "threads": 1}),
    ]
    assert "latency, 4 threads  2.500 ms average, 2.000 to 3.000 ms of 4" in capsys.readouterr().out


def test_help_is_short_and_has_an_example(capsys):
    for words in (["--help"], *([name, "--help"] for name in ("measure", "verify", "convert"))):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert "example: keras-blocks " in text and len(text.splitlines()) < 30
        assert max(map(len, text.splitlines())) <= 100


def test_the_command_is_the_module():
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())
    module, _, name = project["project"]["scripts"]["keras-blocks"].partition(":")
    assert getattr(importlib.import_module(module), name) is main


def test_ctrl_c_ends_it_and_its_processes(made):
    """Of `python -m export`, while a process of its own runs the file."""
    process = subprocess.Popen(
        [sys.executable, "-m", "export", str(made / "leaf.tflite"), "--runs", "1000000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "KERAS_BACKEND": "numpy"},  # the quickest to start
        start_new_session=True,
        # A shell's background jobs ignore it, and what they start does.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        deadline = time.monotonic() + 300  # it imports Keras
        while not (running := timing(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert running and process.returncode == 130, err
    assert out == "" and err.endswith("keras-blocks: stopped\n") and "Traceback" not in err
    assert not timing(process.pid) and not any(Path(f"/proc/{x}").exists() for x in running)


def timing(parent):
    """Return the processes that a process has started to time a file."""
    place = Path(f"/proc/{parent}/task/{parent}/children")
    children = place.read_text().split() if place.exists() else []
    return [x for x in children if "latency.py" in Path(f"/proc/{x}/cmdline").read_text()]


INTERRUPTED = {
    "as it is": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "through C": "raise ImportError('initialization failed') from KeyboardInterrupt()",
}


@pytest.mark.parametrize("how", INTERRUPTED)
@pytest.mark.parametrize("words", [["-m", "export", "leaf.tflite"], ["-c", "import export"]])
def test_ctrl_c_while_libraries_are_imported(how, words, tmp_path):
    """It comes while Keras is imported; only the command makes a line of it."""
    (tmp_path / "keras.py").write_text(INTERRUPTED[how])
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    if words[0] == "-m":
        assert (done.returncode, done.stderr) == (130, "keras-blocks: stopped\n")
    else:
        assert done.returncode not in (0, 130) and "Traceback" in done.stderr


def test_only_packages_beside_this_one_are_imported_for_a_file(tmp_path, monkeypatch):
    """A file says which module registers a layer; it may say anything."""
    import zipfile

    import blocks
    from export.opened import _rooms_of, model_of

    x, asked = keras.Input((8, 8, 3)), []
    keras.Model(x, blocks.ConvNormAct(4)(x)).save(tmp_path / "own.keras")
    monkeypatch.setattr("export.opened._import", lambda name: asked.append(name))
    model_of(tmp_path / "own.keras", ["json"])
    assert asked == ["blocks", "json"]
    foreign = {"a": [{"registered_name": "keras_blocks>X", "module": "antigravity.b"}]}
    foreign["b"] = {"registered_name": "other>X", "module": "blocks.conv"}
    for name, content in (("foreign", json.dumps(foreign)), ("text", "no JSON")):
        with zipfile.ZipFile(tmp_path / f"{name}.keras", "w") as archive:
            archive.writestr("config.json", content)
        assert _rooms_of(tmp_path / f"{name}.keras") == []
    with zipfile.ZipFile(tmp_path / "empty.keras", "w"):
        pass
    assert _rooms_of(tmp_path / "empty.keras") == []
