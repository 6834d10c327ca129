"""Files beside each other, operation by operation, and files that do not run."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import export
from export import operations, schema
from export.latency import delegated, in_turn
from export.timing import ask

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small file, a larger one, and one whose last operation LiteRT does not know."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as litert

    folder = tmp_path_factory.mktemp("files")
    for name, filters in (("small", 2), ("large", 128)):
        image = keras.Input((32, 32, 3), name="image")
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(filters, 3, name="conv")(image))
        best = keras.ops.top_k(layers.Dense(4)(x), 2)[1]
        export.to_tflite(keras.Model(image, best), folder / f"{name}.tflite", measure=False)
    model = litert.ModelT.InitFromPackedBuf((folder / "small.tflite").read_bytes(), 0)
    code = model.operatorCodes[model.subgraphs[0].operators[-1].opcodeIndex]
    code.builtinCode = litert.BuiltinOperator.CUSTOM
    code.deprecatedBuiltinCode = litert.BuiltinOperator.CUSTOM
    for name, code.customCode in (("custom", b"MyOwn"), ("nameless", None)):
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        (folder / f"{name}.tflite").write_bytes(bytes(builder.Output()))
    return folder


def test_a_larger_file_is_slower_and_a_file_is_not_slower_than_itself(files):
    small, large = files / "small.tflite", files / "large.tflite"
    found = export.side_by_side([small, large], runs=20, rounds=4)
    assert [x.file for x in found.files] == [str(small), str(large)]
    first, second = found.files
    assert (first.ratio, first.lowest, first.highest) == (1, 1, 1)
    assert found.verdict(first) == "no difference"
    assert found.verdict(second) == "slower" and second.ratio > 1.5
    assert second.lowest <= second.ratio <= second.highest
    assert second.size == large.stat().st_size and second.min_ms <= second.median_ms
    assert found.noise[0] <= found.noise[1]
    back = export.side_by_side([large, small], runs=20, rounds=4)
    assert back.verdict(back.files[1]) == "faster"
    text = str(found)
    assert "slower" in text and "4 rounds of 20 runs each, 1 thread;" in text
    assert json.loads(json.dumps(found.to_dict()))["files"][1]["ratio"] == second.ratio


def test_every_other_round_goes_backwards(monkeypatch):
    order = []
    monkeypatch.setattr("export.latency.ready", lambda file, threads: (None, file))
    monkeypatch.setattr(
        "export.latency.timed", lambda run, runs: [order.append(run) or float(len(order))] * runs
    )
    found = in_turn(["a", "b", "c"], threads=1, runs=3, rounds=2)
    assert "".join(order) == "abccba"
    assert found == {"medians": [[1, 6], [2, 5], [3, 4]], "least": [1, 2, 3]}


def test_ratios_are_those_of_rounds(files, monkeypatch):
    """A machine that is slow in one round is slow for each file."""
    answer = {"medians": [[1.0, 9.0, 1.0], [2.0, 18.0, 3.0], [1.1, 9.0, 0.9]], "least": [1, 2, 1]}
    monkeypatch.setattr("export.together.ask", lambda *request: answer)
    found = export.side_by_side([files / "small.tflite", files / "large.tflite"])
    assert (found.files[1].ratio, found.files[1].lowest, found.files[1].highest) == (2, 2, 3)
    assert found.noise == (0.9, 1.1)


def test_a_copy_that_was_quicker_by_chance_makes_nothing_slower(files, monkeypatch):
    answer = {"medians": [[1.0, 1.0], [1.1, 1.1], [0.8, 0.9]], "least": [1, 1, 1]}
    monkeypatch.setattr("export.together.ask", lambda *request: answer)
    found = export.side_by_side([files / "small.tflite", files / "large.tflite"])
    assert [found.verdict(each) for each in found.files] == ["no difference"] * 2


def test_the_costs_of_operations_and_what_the_delegate_leaves(files):
    path = files / "large.tflite"
    found = export.profile(path, runs=20)
    assert found.runs == 20 and found.file == "large.tflite"
    kinds = [x.op for x in found.operations]
    assert "Convolution" in kinds[0] and kinds[-1] == "TOPK_V2"
    assert [x.op for x in found.operations if not x.delegated] == ["TOPK_V2"]
    assert {x.calls for x in found.operations} == {1}
    assert sum(x.share for x in found.operations) == pytest.approx(1, abs=0.01)
    assert found.outside_ms == found.operations[-1].ms
    lines = found.table(2).splitlines()
    assert lines[1].startswith("Convolution") and lines[-1].startswith(f"{len(kinds) - 2} others")
    assert "outside of the delegate" in str(found)
    measured = export.measure(path, runs=2, threads=(1,))
    assert (measured.latency[0]["parts"], measured.latency[0]["outside"]) == (1, {"TOPK_V2": 1})
    assert "1 part, outside: TOPK_V2 1" in str(measured)


def test_a_signature_is_measured_by_its_name(files, tmp_path):
    path = tmp_path / "both.tflite"
    export.join({"one": files / "small.tflite", "two": files / "large.tflite"}, path)
    assert export.profile(path, runs=3, signature="two").operations
    request = {"file": str(path), "threads": 1, "runs": 30}
    one, two = (ask("latency.py", {**request, "signature": x}, path) for x in ("one", "two"))
    assert two["median_ms"] > one["median_ms"]
    assert export.measure(path, runs=1, threads=(1,), signature="two").latency[0]["parts"] is None
    with pytest.raises(ValueError, match="signatures are one, two. Received: signature='three'"):
        export.measure(path, signature="three")


def test_each_kind_of_operation_between_the_delegates_is_counted():
    """The delegate's node stands last, for the first and the third of four."""
    rows = [("A", [0], [1]), ("B", [1], [2]), ("A", [2], [3]), ("B", [3, -1], [4])]
    rows += [("DELEGATE", [0], [1]), ("DELEGATE", [2], [3]), ("UNUSED", [0], [9])]

    class Interpreter:
        def _get_ops_details(self):
            return [
                {"index": i, "op_name": x[0], "inputs": np.array(x[1]), "outputs": np.array(x[2])}
                for i, x in enumerate(rows)
            ]

        def get_output_details(self):
            return [{"index": 4}]

    assert delegated(Interpreter()) == (2, {"B": 2})
    assert delegated(object()) == (None, None)


FUNCTIONS = {
    "measure": lambda path: export.measure(path, runs=1, threads=(1,)),
    "profile": lambda path: export.profile(path, runs=1),
    "side_by_side": lambda path: export.side_by_side([path, path], runs=1, rounds=1),
    "predict": lambda path: export.predict(path, np.zeros((1, 32, 32, 3))),
    "verify": lambda path: export.verify(anything(), path, np.zeros((1, 32, 32, 3))),
}


def anything():
    image = keras.Input((32, 32, 3), name="image")
    return keras.Model(image, layers.Flatten()(image))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations_that_are_not_built_in_are_named(name, files):
    with pytest.raises(export.ExportError, match="Received: 'custom.tflite' with MyOwn. Convert"):
        FUNCTIONS[name](files / "custom.tflite")


def test_what_the_file_says_of_them_is_read_without_running_it(files):
    assert schema.read(files / "custom.tflite").custom == ("MyOwn",)
    assert schema.read(files / "small.tflite").custom == ()
    assert export.measure(files / "custom.tflite", runtime=False).ops["MyOwn"] == 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_file_a_folder_and_files_that_are_none(name, files, tmp_path):
    function, bad = FUNCTIONS[name], tmp_path / "bad.tflite"
    with pytest.raises(FileNotFoundError, match="[Nn]o .*file.*none.tflite"):
        function(tmp_path / "none.tflite")
    with pytest.raises(IsADirectoryError):
        function(tmp_path)
    good = (files / "small.tflite").read_bytes()
    noise = np.random.default_rng(0).bytes(300)
    nameless = (files / "nameless.tflite").read_bytes()
    for content in (b"", b"PK\x03\x04" + noise, noise[:4] + b"TFL3" + noise, good[:-5], nameless):
        bad.write_bytes(content)
        with pytest.raises(ValueError, match="needed|damaged"):
            function(bad)


def test_damage_anywhere_is_an_error(files, tmp_path):
    """Bytes cut off or changed: read, or refused, in no time and never by another exception."""
    good, rng = (files / "small.tflite").read_bytes(), np.random.default_rng(0)
    refused = 0
    for i in range(300):
        content = bytearray(good[: rng.integers(8, len(good))] if i % 3 == 0 else good)
        for place in rng.integers(8, len(content), (0, 1, 12)[i % 3]):
            content[place] = rng.integers(256)
        (tmp_path / "bad.tflite").write_bytes(content)
        try:
            schema.read(tmp_path / "bad.tflite")
        except ValueError as error:
            assert "damaged. Received: path=" in str(error)
            refused += 1
    assert refused > 100


def test_a_process_that_dies_is_told(files, monkeypatch):
    path = files / "small.tflite"
    with pytest.raises(export.ExportError, match="'small.tflite', TypeError: .*'threads'"):
        ask("latency.py", {"file": str(path)}, path)
    monkeypatch.setattr("export.timing.FOLDER", files)
    (files / "dies.py").write_text("import os; os.kill(os.getpid(), 11)")
    with pytest.raises(export.ExportError, match="which ended its process by SIGSEGV"):
        ask("dies.py", {}, path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rounds": 0}, "`rounds` must be a whole number from 1. Received: rounds=0"),
        ({"threads": (1, 2)}, "`threads` must be a whole number"),
        ({"runs": True}, "`runs` must be a whole number"),
        ({"files": "a.tflite"}, "`files` must list two paths or more. Received: files='a"),
        ({"files": []}, "Received: 0"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        export.side_by_side(**{"files": ["a", "b"], **wrong})
    with pytest.raises(ValueError, match="`runs` must be"):
        export.profile("a", runs=0)


def test_numbers_of_numpy_are_numbers(files):
    path = files / "small.tflite"
    assert export.profile(path, runs=np.int64(2)).runs == 2
    assert operations.read("nothing of a profiler") == []
