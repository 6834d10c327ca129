"""The one worker process of this Python: started when needed, replaced when it falls."""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).with_name("worker.py")


class WorkerError(Exception):
    """The worker answered with an exception of its own: `kind` is its type."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class WorkerCrash(Exception):
    """The worker died; the message holds how, and the end of what it printed."""


class Worker:
    """Talks to `worker.py`, one request at a time."""

    def __init__(self):
        self._lock = threading.RLock()
        self._process = self._errors = self._owner = None

    def ask(self, command, **request):
        """Send a request and wait for its reply, a dict.

        The worker is stopped if waiting is interrupted.
        """
        with self._lock:
            self._start()
            start = self._errors.seek(0, os.SEEK_END)
            try:
                self._send({"command": command, **request})
                line = self._process.stdout.readline()
            except BrokenPipeError:
                line = ""
            except BaseException:
                self.stop()
                raise
            if not line:
                raise self._crash(start)
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerError(reply["error"], reply["message"])
        return reply

    def prepare(self):
        """Let the worker import TensorFlow while the caller does something else."""
        with self._lock:
            if self._start():
                self._send({"command": "prepare"})

    def stop(self):
        """End the worker; the next request starts another."""
        with self._lock:
            process, self._process = self._process, None
            if process is None or self._owner != os.getpid():
                return
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
            self._errors.close()

    def _start(self):
        # A forked child must not talk into the pipes of its parent's worker.
        mine = self._process is not None and self._owner == os.getpid()
        if mine and self._process.poll() is None:
            return False
        self.stop()
        self._owner = os.getpid()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for the parent, which then kills the worker
        )
        return True

    def _send(self, request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _crash(self, start):
        code = self._process.wait()
        self._errors.seek(start)
        text = self._errors.read().decode(errors="replace").strip()
        self.stop()
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return WorkerCrash(f"{how}. It last said: {text[-1000:] or 'nothing'}")


def _environment():
    return {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONWARNINGS": "ignore",
    }


worker = Worker()


def answered(command, path, samples, **request):
    """Return a file's answers to `samples` by output name, which the worker runs it on.

    Args:
        command: A command of the worker that runs files.
        path: The file.
        samples: Dict of arrays by input name.
        **request: What else the command takes.
    """
    with handed(path, samples) as (folder, asked):
        outputs = Path(folder, "outputs.npz")
        reply = worker.ask(command, **asked, outputs=str(outputs), **request)
        with np.load(outputs) as arrays:
            return {name: arrays[str(i)] for i, name in enumerate(reply["names"])}


@contextlib.contextmanager
def handed(path, samples):
    """Yield a folder with samples, and what the worker is told of them and of a file."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "inputs.npz")
        np.savez(inputs, **{str(i): values for i, values in enumerate(samples.values())})
        file = str(Path(path).absolute())
        yield folder, {"file": file, "names": list(samples), "inputs": str(inputs)}


atexit.register(worker.stop)
