"""What a model costs on a device: its file, untrained, is made and run."""

import contextlib
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import export
import heads

RUNS = 50
# What trains and does not compute when a model answers.
TRAINING = {"seed", "rate", "dropout", "drop_path", "trainable"}
TRAINING_ENDS = ("_initializer", "_regularizer", "_constraint")


@dataclasses.dataclass(frozen=True)
class Device:
    """Measures files of models, one at a time on this machine.

    Args:
        precision: Precision of the files, as in `export.to_tflite`.
        threads: Number of threads that they run on.
        answer: Function from a model to the one that runs on the device; by default its heads'
            answers, of a model without heads the model itself.

    Raises:
        ValueError: If the precision is unknown, or threads are no whole number above zero.
    """

    precision: str = "float32"
    threads: int = 1
    answer: Callable | None = None

    def __post_init__(self):
        if self.precision not in export.TOLERANCES:
            raise ValueError(
                f"`precision` must be one of {list(export.TOLERANCES)}. "
                f"Received: precision={self.precision!r}."
            )
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or self.threads < 1:
            raise ValueError(
                f"`threads` must be a whole number above zero. Received: threads={self.threads!r}."
            )

    def settings(self) -> dict:
        """Return what is measured, as plain data."""
        name = getattr(self.answer, "__qualname__", type(self.answer).__name__)
        own = {} if self.answer is None else {"answer": name}
        return {"precision": self.precision, "threads": self.threads, **own}

    def answered(self, model):
        """Return the model that runs on the device in place of one that is trained."""
        return (self.answer or answering)(model)

    def measure(self, model) -> dict:
        """Return `{"size_kb": …, "latency_ms": …, "memory_mb": …}` of a model's file."""
        with alone():
            found = export.measure(
                self.answered(model),
                runtime=True,
                precision=self.precision,
                runs=RUNS,
                threads=(self.threads,),
            )
        times = found.latency[0]
        return {
            "size_kb": round(found.size / 1e3, 3),
            "latency_ms": times["min_ms"],
            "memory_mb": round(times["own_memory"] / 1e6, 3),
        }


def answering(model):
    """Return a model's answers, where it has heads; else the model itself."""
    try:
        heads.graph.heads_of(model)
    except ValueError:
        return model
    return heads.deploy(model)


def architecture(model) -> str | None:
    """Return the same text for models that cost the same; `None` if it cannot be told.

    Names count, so that layers must be named alike, as those of models of a search are.

    >>> import keras
    >>> def make(rate):
    ...     x = keras.Input((3,), name="x")
    ...     return keras.Model(x, keras.layers.Dropout(rate, name="drop")(x))
    >>> architecture(make(0.1)) == architecture(make(0.5))
    True
    """
    try:
        config = model.get_config()
        config.pop("name", None)
        text = json.dumps(_plain(config), sort_keys=True, default=str)
    except Exception:  # a foreign model may have no configuration
        return None
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value):
    if isinstance(value, (list, tuple)):
        return [_plain(x) for x in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("config"), dict) and _is_known(value):
        value = {**value, "config": {k: x for k, x in value["config"].items() if _counts(k)}}
    return {name: _plain(x) for name, x in value.items()}


def _is_known(layer):
    """Return whether a configuration is of a class of Keras or of this package."""
    module, registered = str(layer.get("module")), str(layer.get("registered_name"))
    return module.startswith("keras.") or registered.startswith("keras_blocks>")


def _counts(name):
    return name not in TRAINING and not name.endswith(TRAINING_ENDS)


def alone():
    """Wait until no other process of this machine measures."""
    return locked(Path(tempfile.gettempdir(), "keras_blocks_measure.lock"))


@contextlib.contextmanager
def locked(path):
    """Hold a file's lock, which the death of the process ends, too; Windows has none."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    if not path.exists():
        path.touch()
    with path.open() as file:  # for reading: it may be another user's
        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file ends it
