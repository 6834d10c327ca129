"""What a file costs on an Android device, as TensorFlow Lite's benchmark tool tells over `adb`."""

import re
import shutil
import subprocess
import uuid
from dataclasses import asdict, dataclass, field

from export import schema
from export.errors import ExportError
from export.files import existing
from export.operations import costs, read
from export.table import kilobytes, render
from export.timing import check_counts

FOLDER = "/data/local/tmp"
TOOL = f"{FOLDER}/benchmark_model"
TIMES = re.compile(r"count=\d+ .*curr=.*")
NUMBER = re.compile(r"(\w+)=([\d.e+-]+)")
WARM_UP = 5


@dataclass(frozen=True)
class OnDevice:
    """What `on_device` found.

    Attributes:
        file: The file's name.
        device, serial: The device's model and its serial number.
        threads, runs: Number of threads, and of timed runs.
        average_ms, min_ms, max_ms: Time of a run.
        median_ms: Its median, or `None` where the tool does not print it.
        start_ms: Time to load the file.
        memory: Bytes that loading and running it added to the tool's process, or `None`.
        operations: An `Operation` for each that ran, of a second, profiled call of the tool.
    """

    file: str
    device: str
    serial: str
    threads: int
    runs: int
    average_ms: float
    min_ms: float
    max_ms: float
    median_ms: float | None = None
    start_ms: float | None = None
    memory: int | None = None
    operations: list = field(default_factory=list)

    def to_dict(self):
        return asdict(self)

    def __str__(self):
        median = "" if self.median_ms is None else f"{self.median_ms:.3f} ms median, "
        rows = [
            ("measured", self.file),
            ("device", f"{self.device} ({self.serial})"),
            (
                f"latency, {self.threads} thread{'s' * (self.threads > 1)}",
                f"{median}{self.average_ms:.3f} ms average, {self.min_ms:.3f} to "
                f"{self.max_ms:.3f} ms of {self.runs}",
            ),
        ]
        if self.start_ms is not None:
            rows.append(("start", f"{self.start_ms:.1f} ms"))
        if self.memory is not None:
            rows.append(("memory", f"{kilobytes(self.memory)} more than the tool's"))
        return render(rows) + (f"\n{costs(self.operations, 10)}" if self.operations else "")


def on_device(file, *, tool=None, threads=1, runs=50, serial=None):
    """Return what a `.tflite` file costs on an attached Android device, as an `OnDevice`.

    The file is pushed to a folder of its own, run by TensorFlow Lite's `benchmark_model`, and the
    folder is removed. The tool runs twice: for the latency, and with its profiler for the
    operations.

    Args:
        file: Its path.
        tool: Path of a `benchmark_model` built for the device; by default one that lies at
            `/data/local/tmp/benchmark_model` there.
        threads: Number of threads.
        runs: Timed runs, after five or more that are not.
        serial: Serial number of the device, where several are attached.

    Raises:
        ValueError: If an argument is wrong, or the file is no `.tflite` file or damaged.
        ExportError: If there is no `adb`, no device, no tool, or the file does not run there.
    """
    check_counts(threads=threads, runs=runs)
    path = existing(file, "measure")
    schema.read(path)
    tool = None if tool is None else existing(tool, "push as the tool")
    device = Device(_serial(serial))
    folder = f"{FOLDER}/keras-blocks-{uuid.uuid4().hex[:12]}"
    if tool is None and "yes" not in device.shell(f"test -f {TOOL} && echo yes").stdout:
        abi = device.shell("getprop ro.product.cpu.abi").stdout.strip()
        raise ExportError(
            f"The device needs TensorFlow Lite's benchmark tool. Received: no {TOOL}. Build or "
            f"download benchmark_model for {abi or 'the device'} and name it: tool=, or --tool."
        )
    try:
        device.shell(f"mkdir {folder}", check=True)
        device.run("push", str(path), f"{folder}/model.tflite")
        program = TOOL
        if tool is not None:
            program = f"{folder}/benchmark_model"
            device.run("push", str(tool), program)
            device.shell(f"chmod 755 {program}", check=True)
        command = (
            f"{program} --graph={folder}/model.tflite --num_threads={threads} --num_runs={runs} "
            f"--warmup_runs={WARM_UP} --min_secs=0"
        )
        timed = device.shell(command)
        facts = figures(timed.stdout)
        if timed.returncode or not facts:
            raise _not_there(path, timed)
        profiled = device.shell(f"{command} --enable_op_profiling=true")
        name = device.shell("getprop ro.product.model").stdout.strip()
    finally:
        device.shell(f"rm -rf {folder}")
    return OnDevice(
        path.name,
        name or "unknown",
        device.serial,
        threads,
        operations=read(profiled.stdout) if not profiled.returncode else [],
        **facts,
    )


class Device:
    """A device by its serial number."""

    def __init__(self, serial):
        self.serial = serial

    def run(self, *arguments, check=True):
        """Run `adb` with these arguments; raise where it fails, if that is to be checked."""
        done = _adb("-s", self.serial, *arguments)
        if check and done.returncode:
            raise ExportError(
                f"adb {arguments[0]} must work on the device. Received: {_last(done)}."
            )
        return done

    def shell(self, command, check=False):
        """Run a command on the device; its output and errors are one text."""
        return self.run("shell", command, check=check)


def figures(text):
    """Return what the tool printed of its timed runs as arguments of `OnDevice`, or nothing."""
    counts = [dict(NUMBER.findall(x[0])) for x in TIMES.finditer(text)]
    if len(counts) < 2:  # the first line is of runs to warm up
        return {}
    times = {name: float(value) for name, value in counts[1].items()}
    found = {
        "runs": int(times["count"]),
        "average_ms": times.get("avg", times["curr"]) / 1e3,
        "min_ms": times.get("min", times["curr"]) / 1e3,
        "max_ms": times.get("max", times["curr"]) / 1e3,
        "median_ms": times["median"] / 1e3 if "median" in times else None,
    }
    start = re.search(r"Initialized session in ([\d.]+)ms", text)
    memory = re.search(r"[Mm]emory footprint.*\(MB\): init=\S+ overall=([\d.]+)", text)
    found["start_ms"] = float(start[1]) if start else None
    found["memory"] = int(float(memory[1]) * 2**20) if memory else None
    return found


def _serial(wanted):
    """Return the serial number of the one device that is meant and ready."""
    listed = _adb("devices")
    if listed.returncode:
        raise ExportError(f"`adb devices` must list devices. Received: {_last(listed)}.")
    lines = listed.stdout.partition("List of devices attached")[2].splitlines()
    states = dict(line.split(None, 1) for line in lines if len(line.split(None, 1)) == 2)
    found = ", ".join(f"{serial} ({state.strip()})" for serial, state in states.items())
    if wanted is None and len(states) > 1:
        raise ExportError(
            f"One of several devices is named: serial=, or --device. Received: {found}."
        )
    if not states or (wanted is not None and wanted not in states):
        said = f"serial={wanted!r} among {found or 'no device'}" if wanted else "no device"
        raise ExportError(
            f"A device must be attached, with USB debugging on. Received: {said}. `adb devices` "
            "lists what is."
        )
    serial = wanted or next(iter(states))
    state = states[serial].strip()
    if state == "unauthorized":
        raise ExportError(
            f"The device must trust this computer. Received: {serial} (unauthorized). Accept the "
            "question on its screen."
        )
    if state != "device":
        raise ExportError(
            f"The device must be ready. Received: {serial} ({state}). Attach it anew, or run "
            "`adb reconnect`."
        )
    return serial


def _adb(*arguments):
    program = shutil.which("adb")
    if program is None:
        raise ExportError(
            "Measuring on a device needs `adb`. Received: none on PATH. Install Android's "
            "platform-tools."
        )
    return subprocess.run(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _not_there(path, done):
    return ExportError(
        f"The file must run on the device. Received: {path.name!r}, {_last(done)}. Is the tool "
        "built for the device, and are all operations built in?"
    )


def _last(done):
    """Return the end of what a command said."""
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return "; ".join(lines[-3:])[-500:].rstrip(".") or f"exit status {done.returncode}"
