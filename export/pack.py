"""A bundle to hand over: the file, what belongs to it, and how to check it."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import samples as data
from export import schema
from export.associated import WHEN
from export.bundle_facts import facts_of
from export.files import as_json, aside, check_place, folder_aside, target
from export.reference import run
from export.starter import starter

MODEL, FACTS, GOLDEN, SUMS = "model.tflite", "bundle.json", "golden.npz", "SHA256SUMS"
CHECK = Path(__file__).with_name("check.py")


@dataclass(frozen=True)
class Packed:
    """A bundle that was written.

    Attributes:
        path: The folder, or the `.zip` file.
        files: Names of the files in it.
        sha256: Hash of the list of hashes in it: `python check.py SHA256` holds it to that.
    """

    path: Path
    files: tuple
    sha256: str

    def __str__(self):
        return f"{self.path}: {len(self.files)} files, {self.sha256}"


def pack(file, path, inputs, *, units=None, tolerance=None, count=4):
    """Write a bundle: all that another team needs to run a file, and to see that it is right.

    It holds `model.tflite`; `bundle.json`, its signature, units, preprocessing, versions, bounds
    and what was measured; `labels.txt`; `golden.npz`, inputs and what the file answers to them;
    `check.py`, which needs NumPy and LiteRT alone; code to begin with for Android and the browser;
    and `SHA256SUMS`. It is written aside and renamed, and takes the place of a bundle alone.

    Args:
        file: A `.tflite` file, or its `Bundle`. Facts that lie beside it must be of this file.
        path: Where to write: a folder, or a file if it ends in `.zip`.
        inputs: Samples, as `to_tflite` takes them.
        units: Dict of words by name of input or output, such as `{"age": "years"}`.
        tolerance: A number in place of the relative error that `check.py` allows, or a dict with
            `"relative"` and `"equal"`.
        count: How many samples are kept.

    Returns:
        A `Packed`.

    Raises:
        ValueError: If it is no whole `.tflite` file, or is another than its facts say, or an
            argument is wrong.
        ExportError: If the file does not run.
        FileExistsError: If there is something else at `path`.
        OSError: If the bundle cannot be written.
    """
    file, path = Path(getattr(file, "path", file)).expanduser(), Path(path).expanduser()
    is_archive = path.suffix == ".zip"
    check_place(target(path, ".zip") if is_archive else path, _is_bundle, folder=not is_archive)
    content = file.read_bytes()
    facts = facts_of(file, content, units or {}, tolerance)
    golden, samples = _golden(file, inputs, count)
    facts |= {"file": MODEL, "golden": {"file": GOLDEN, "samples": samples}}
    texts = starter(facts) | {"check.py": CHECK.read_text(encoding="utf-8")}
    if facts["labels"]:
        texts["labels.txt"] = "\n".join(facts["labels"]) + "\n"
    texts[FACTS] = as_json(facts)
    files = {name: text.encode() for name, text in texts.items()}
    files |= {MODEL: content, GOLDEN: golden}
    lines = [f"{hashlib.sha256(x).hexdigest()}  {name}\n" for name, x in sorted(files.items())]
    files[SUMS] = "".join(lines).encode()
    (_write_archive if is_archive else _write_folder)(path, files)
    return Packed(path, tuple(sorted(files)), hashlib.sha256(files[SUMS]).hexdigest())


def _write_folder(path, files):
    with folder_aside(path, _is_bundle) as folder:
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)


def _write_archive(path, files):
    with aside(path) as [part]:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name, WHEN), content, zipfile.ZIP_DEFLATED)
        part.write_bytes(stream.getvalue())


def _golden(file, inputs, count):
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= data.MOST:
        raise ValueError(f"`count` must lie in 1 to {data.MOST}. Received: count={count!r}.")
    known = data.take(inputs, schema.read(file).inputs, "inputs", missing=True)
    known = {name: x[:count] for name, x in known.items()}
    answers = run(file, known)
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        **{f"input:{name}": x for name, x in known.items()},
        **{f"output:{name}": x for name, x in answers.items()},
    )
    return stream.getvalue(), len(next(iter(known.values())))


def _is_bundle(path):
    """Return whether a folder or archive holds a bundle and nothing else."""
    try:
        if path.is_dir():
            names = {x.relative_to(path).as_posix() for x in path.rglob("*") if x.is_file()}
            listed = (path / SUMS).read_text(encoding="utf-8")
        else:
            with zipfile.ZipFile(path) as archive:
                names = set(archive.namelist())
                listed = archive.read(SUMS).decode()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return False
    known = {line.partition("  ")[2] for line in listed.splitlines()}
    return {FACTS, MODEL} <= known and names <= {*known, SUMS}
