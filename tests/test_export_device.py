"""Measuring on a device, with an `adb` that answers as one would."""

import os
import struct

import numpy as np
import pytest

import export
from export import device, operations

TIMED = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [50]
INFO: Num threads: [2]
INFO: Graph: [/data/local/tmp/keras-blocks-1/model.tflite]
INFO: #threads used for CPU inference: [2]
INFO: Loaded model /data/local/tmp/keras-blocks-1/model.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 3.67827
INFO: Initialized session in 18.777ms.
INFO: Running benchmark for at least 5 iterations and at least 0.5 seconds but terminate if ...
INFO: count=9 first=64791 curr=56295 min=54873 max=65831 avg=57758.2 std=4065

INFO: Running benchmark for at least 50 iterations and at least 0 seconds but terminate if ...
INFO: count=50 first=58154 curr=53809 min=53077 max=60727 avg=55043.2 std=1562{more}

INFO: Inference timings in us: Init: 18777, First inference: 64791, Warmup (avg): 57758.2, ...
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only ...
INFO: Memory footprint delta from the start of the tool (MB): init=8.97656 overall=18.5
"""
HEAD = (
    "\t[node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]\n"
)
PROFILED = f"""\
{TIMED.format(more="")}
INFO: Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
{HEAD}\t ModifyGraphWithDelegate\t 3.18\t 3.18\t 78.154%\t 78.154%\t 2176.000\t 1\tModify/0
\t         AllocateTensors\t 0.88\t 0.445\t 21.846%\t100.000%\t 0.000\t 2\tAllocateTensors/0

Number of nodes executed: 2
INFO: Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
{HEAD}\t   TfLiteXNNPackDelegate\t 41.2\t 40.000\t 80.000%\t 80.000%\t 0.000\t 1\t[Relu:0, x]:64
\t                 TOPK_V2\t 5.1\t 5.000\t 20.000%\t100.000%\t 0.000\t 2\t[Partitioned]:65

============================== Top by Computation Time ==============================
{HEAD}\t   TfLiteXNNPackDelegate\t 41.2\t 40.000\t 80.000%\t 80.000%\t 0.000\t 1\t[Relu:0, x]:64

Number of nodes executed: 2
Timings (microseconds): count=50 first=50000 curr=50000 min=49000 max=51000 avg=50000 std=1
Memory (bytes): count=0
2 nodes observed

Delegate internal:
============================== Run Order ==============================
{HEAD}\tDelegate/Convolution (NHWC, F32) IGEMM\t 30.1\t 30.0\t 75.0%\t 75.0%\t 0\t 1\tDelegate/C:0
\tDelegate/Fully Connected (NC, F32) GEMM\t 10.1\t 10.000\t 25.000%\t100.000%\t 0\t 1\tDelegate/F:1

"""
ADB = """\
#!/bin/sh
echo "$*" >> {here}/log
case "$*" in
  devices) cat {here}/devices;;
  *"test -f"*) cat {here}/tool;;
  *ro.product.model*) echo "Pixel 8";;
  *ro.product.cpu.abi*) echo arm64-v8a;;
  *enable_op_profiling*) cat {here}/profiled;;
  *--graph=*) cat {here}/timed; exit $(cat {here}/status);;
  *push*) echo "1 file pushed, 0 skipped."; exit $(cat {here}/pushed);;
esac
"""
ONE = "List of devices attached\nR58M\tdevice\n\n"


@pytest.fixture
def adb(tmp_path, monkeypatch):
    """A folder whose files are what `adb` answers; `log` has the commands it got."""
    here = tmp_path / "adb"
    here.mkdir()
    program = here / "adb"
    program.write_text(ADB.format(here=here))
    program.chmod(0o755)
    answers = {"devices": ONE, "tool": "yes\n", "timed": TIMED.format(more=""), "log": ""}
    answers |= {"profiled": PROFILED, "status": "0", "pushed": "0"}
    for name, text in answers.items():
        (here / name).write_text(text)
    monkeypatch.setenv("PATH", f"{here}{os.pathsep}{os.environ['PATH']}")
    return here


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The smallest `.tflite` file: a model of nothing."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as litert

    model = litert.ModelT()
    model.subgraphs = [litert.SubGraphT()]
    model.subgraphs[0].inputs = model.subgraphs[0].outputs = np.zeros(0, "int32")
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path = tmp_path_factory.mktemp("file") / "two words.tflite"
    path.write_bytes(bytes(builder.Output()))
    return path


def test_what_the_tool_prints_is_read(adb, file):
    found = export.on_device(file, threads=2, runs=50)
    assert (found.file, found.device, found.serial) == ("two words.tflite", "Pixel 8", "R58M")
    assert (found.threads, found.runs) == (2, 50)
    assert (found.average_ms, found.min_ms, found.max_ms) == (55.0432, 53.077, 60.727)
    assert found.median_ms is None and found.start_ms == 18.777
    assert found.memory == 18.5 * 2**20
    assert [(x.op, x.ms, x.calls, x.delegated) for x in found.operations] == [
        ("TOPK_V2", 10.0, 2, False),
        ("Delegate/Convolution (NHWC, F32) IGEMM", 30.0, 1, True),
        ("Delegate/Fully Connected (NC, F32) GEMM", 10.0, 1, True),
    ]
    assert [x.share for x in found.operations] == pytest.approx([0.2, 0.6, 0.2])
    text = str(found)
    for words in ("Pixel 8 (R58M)", "55.043 ms average", "53.077 to 60.727", "19.40 MB"):
        assert words in text
    assert "TOPK_V2" in text and "outside of the delegate" in text and "[Partitioned]:65" in text
    assert found.to_dict()["operations"][0]["op"] == "TOPK_V2"


def test_what_is_pushed_is_removed(adb, file, tmp_path):
    tool = tmp_path / "my_tool"
    tool.write_bytes(b"ELF")
    export.on_device(file, tool=tool, runs=7)
    log = (adb / "log").read_text().splitlines()
    folder = next(line.split()[-1] for line in log if "mkdir" in line)
    assert folder.startswith("/data/local/tmp/keras-blocks-")
    pushed = [line for line in log if " push " in line]
    assert pushed == [
        f"-s R58M push {file} {folder}/model.tflite",
        f"-s R58M push {tool} {folder}/benchmark_model",
    ]
    timed = [line for line in log if "--graph" in line]
    assert all(f"shell {folder}/benchmark_model --graph={folder}/model" in x for x in timed)
    assert all("--num_threads=1 --num_runs=7 " in x for x in timed)
    assert ["profiling" in x for x in timed] == [False, True]
    assert log[-1] == f"-s R58M shell rm -rf {folder}"


def test_a_median_is_read_where_it_is_printed(adb, file):
    (adb / "timed").write_text(TIMED.format(more=" p5=53100 median=54999 p95=60000"))
    found = export.on_device(file)
    assert found.median_ms == 54.999 and "54.999 ms median" in str(found)
    assert (adb / "log").read_text().count("/data/local/tmp/benchmark_model --graph") == 2


def test_runs_that_all_took_as_long():
    text = "count=1 curr=3678\n\ncount=50 curr=300(all same)\n"
    assert device.figures(text) == {
        "runs": 50,
        "average_ms": 0.3,
        "min_ms": 0.3,
        "max_ms": 0.3,
        "median_ms": None,
        "start_ms": None,
        "memory": None,
    }
    assert device.figures("count=1 curr=3678\n") == {}


def test_calls_are_those_of_a_run():
    table = (
        "=== Run Order ===\n [node type] [start] [first] [avg ms] [%] [cdf%] [mem KB] "
        "[times called] [Name]\n   WHILE 0.0 3.6 1.480 98.000% 98.000% 0.000 5 [Builtin]:1\n"
        "   LESS 0.1 0.1 0.002 2.000% 100.000% 0.000 30 [Builtin]:0\n\n"
    )
    loop, less = operations.read(table, runs=5)
    assert (loop.calls, loop.ms, loop.share, loop.delegated) == (1, 1.48, 0.98, False)
    assert (less.calls, less.ms, less.name) == (6, 0.012, "[Builtin]:0")


@pytest.mark.parametrize(
    ("devices", "serial", "message"),
    [
        ("List of devices attached\n\n", None, "must be attached.* Received: no device"),
        (ONE, "X1", "Received: serial='X1' among R58M \\(device\\)"),
        ("List of devices attached\nR58M\tunauthorized\n", None, "trust this computer"),
        ("List of devices attached\nR58M\toffline\n", None, "be ready. Received: R58M \\(offline"),
        (ONE + "E5\tdevice\n", None, "One of several .* R58M \\(device\\), E5 \\(device\\)"),
        ("List of devices attached\n?? no permissions (user in plugdev)\n", None, "no perm"),
    ],
)
def test_no_device_or_not_the_one(adb, file, devices, serial, message):
    (adb / "devices").write_text(devices)
    with pytest.raises(export.ExportError, match=message):
        export.on_device(file, serial=serial)
    assert (adb / "log").read_text().splitlines() == ["devices"]


def test_one_of_several_is_named(adb, file):
    (adb / "devices").write_text("* daemon started\n" + ONE.strip() + "\nE5\tdevice\n")
    assert export.on_device(file, serial="E5").serial == "E5"


def test_no_adb(file, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(export.ExportError, match="needs `adb`. Received: none on PATH. Install"):
        export.on_device(file)


def test_no_tool(adb, file, tmp_path):
    (adb / "tool").write_text("")
    with pytest.raises(export.ExportError, match="benchmark_model. Build .* for arm64-v8a"):
        export.on_device(file)
    assert "push" not in (adb / "log").read_text()
    with pytest.raises(FileNotFoundError, match="no file to push as the tool"):
        export.on_device(file, tool=tmp_path / "none")


@pytest.mark.parametrize(
    ("answer", "text", "message"),
    [
        ("status", "1", "must run on the device. Received: 'two words.tflite', "),
        ("timed", "Didn't find op for builtin opcode\n", "Received: .*builtin opcode. Is the tool"),
        ("timed", "error: device 'R58M' not found\n", "device 'R58M' not found"),
        ("pushed", "1", "adb push must work on the device. Received: 1 file pushed"),
    ],
)
def test_what_fails_there_is_told_and_the_folder_removed(adb, file, answer, text, message):
    (adb / answer).write_text(text)
    with pytest.raises(export.ExportError, match=message):
        export.on_device(file)
    assert (adb / "log").read_text().splitlines()[-1].startswith("-s R58M shell rm -rf /data/lo")


def test_a_tool_without_a_profiler_gives_the_times(adb, file):
    (adb / "profiled").write_text("Unconsumed cmdline flags: --enable_op_profiling=true\n")
    assert export.on_device(file).operations == []


def test_wrong_arguments(adb, file, tmp_path):
    with pytest.raises(ValueError, match="`threads` must be a whole number from 1"):
        export.on_device(file, threads=0)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(struct.pack("<I", 99) + b"TFL3")
    with pytest.raises(ValueError, match="damaged"):
        export.on_device(broken)
    assert (adb / "log").read_text() == ""
