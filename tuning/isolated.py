"""A trial in a process of its own: its memory goes with it, and its crash costs one trial."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

import keras
import keras_tuner
from keras_tuner.engine import hyperparameters as kinds

from tuning.trainer import Hooks

SCRIPT = Path(__file__).with_name("child.py")


class TrialError(Exception):
    """What a trial in a process of its own ended with.

    Attributes:
        trace: What the process said, as long as it is.
    """

    def __init__(self, message, trace=None):
        self.trace = trace or message
        super().__init__(message)


class Isolation:
    """Hands trials to processes of their own.

    Args:
        tuner: The class of the tuner.

    Raises:
        ImportError: Without cloudpickle.
        ValueError: If the class has methods that KerasTuner calls while it trains.
    """

    def __init__(self, tuner=keras_tuner.Tuner):
        hooks = [name for name in vars(Hooks) if name.startswith("on_")]
        plain = keras_tuner.Tuner
        own = [name for name in hooks if getattr(tuner, name) is not getattr(plain, name)]
        if own:
            raise ValueError(
                "A trial in a process of its own calls no method of the tuner. Received: "
                f"isolate=True and {', '.join(own)} of {tuner.__name__}. Make callbacks of them."
            )
        try:
            import cloudpickle
        except ImportError:
            raise ImportError(
                "Trials in processes of their own need cloudpickle: pip install "
                "'keras-blocks[isolate]'."
            ) from None
        self.pickle = cloudpickle

    @contextlib.contextmanager
    def given(self, hypermodel, args, kwargs):
        """Keep what every trial is given in a file, for the length of a `with` block."""
        given = {"hypermodel": hypermodel, "args": args, "kwargs": kwargs}
        try:
            content = self.pickle.dumps(given)
        except Exception as error:  # whatever an object raises that cannot be pickled
            raise ValueError(
                "With isolate=True all that the search is given goes to another process: arrays, "
                f"a keras.utils.PyDataset, functions, callbacks. Received: {error}"
            ) from error
        with tempfile.TemporaryFile() as file:  # without a name: nothing stays behind a kill
            file.write(content)
            file.flush()
            self.file = file.fileno()
            yield

    def train(self, trial, running, oracle, settings, goes_on=None):
        """Return the results of a trial, as `run_trial` does, and the epochs of its training.

        Args:
            trial: The KerasTuner trial.
            running: What the oracle knows of it.
            oracle: The oracle.
            settings: `"folder"` of the trial, and number of `"executions"`.
            goes_on: See `Training`.
        """

        def drawn(config):
            return trial.hyperparameters._retrieve(kinds.deserialize(config))

        job = {
            "given": self.file,
            "path": sys.path,
            "policy": keras.config.dtype_policy().name,
            "values": trial.hyperparameters.get_config(),
            "seed": running.seed,
            "objective": (oracle.objective.name, oracle.objective.direction),
            "halving": goes_on is not None,
            **settings,
        }
        found, epochs = self._ask(job, {"draw": drawn, "goes_on": goes_on})
        return [history(x) if kind == "history" else x for kind, x in found], epochs

    def _ask(self, job, answers):
        """Return what `child.py` found for a job; answer what it asks."""
        ours, theirs = os.pipe(), os.pipe()  # from the child, to the child
        passed = ours[1], theirs[0]
        command = [sys.executable, "-P", str(SCRIPT), *map(str, passed)]
        process = subprocess.Popen(command, pass_fds=[*passed, self.file], stdin=subprocess.DEVNULL)
        for end in passed:
            os.close(end)
        asked = Connection(ours[0], writable=False)
        told = Connection(theirs[1], readable=False)
        try:
            told.send(job)
            while True:
                while not asked.poll(1):  # what the child began may hold the pipe open
                    if process.poll() is not None and not asked.poll():
                        raise EOFError
                word, *rest = asked.recv()
                if word == "done":
                    return rest
                if word == "failed":
                    raise failure(*rest)
                told.send(answers[word](*rest))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise TrialError(f"its process died: {death(process.wait())}") from None
        finally:
            asked.close()
            told.close()  # which ends the child, if it still runs
            ended(process)


def history(columns):
    """Return a Keras history of a training in another process."""
    found = keras.callbacks.History()
    found.history = columns
    return found


def failure(message, trace, fatal):
    """Return the error of a child as one of this process."""
    if fatal:
        return keras_tuner.errors.FatalError(message)
    return TrialError(message, trace)


def death(code):
    """Return, in words, how a process died."""
    if code >= 0:
        return f"exit status {code}"
    known = {int(x): x.name for x in signal.Signals}
    name = known.get(-code, f"signal {-code}")
    return f"{name}, as when memory runs out" if name == "SIGKILL" else name


def ended(process, seconds=5):
    """Wait for a process, and end it if it does not."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
