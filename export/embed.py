"""Metadata into a file, and out of it."""

import hashlib
from pathlib import Path

import numpy as np

from export import schema
from export.associated import appended, associated_files
from export.bundle import facts_beside
from export.compact import share_buffers, sharing_builder
from export.errors import ExportError
from export.files import aside, target, write_json
from export.int8 import bring_inside
from export.metadata import DETECTIONS, LABELS, check_fit, checked_labels, metadata_of
from export.metadata_tables import packed, unpacked
from export.reference import run

ENTRY = "TFLITE_METADATA"


def write_metadata(path, metadata, *, labels=None):
    """Write metadata into a `.tflite` file, so that MediaPipe Tasks load it as it is.

    The file is written aside, must answer exactly as before, and is renamed. Files inside stay, and
    facts beside it that are of this file are written anew.

    Args:
        path: A file with one image as its input; `export.to_tflite(…, metadata=…)` does the same
            at once.
        metadata: A `Metadata`, or the name of its task alone.
        labels: Names of the classes; by default those that are inside already. A detector needs
            some.

    Returns:
        What `read_metadata` reads from it.

    Raises:
        ValueError: If it is no whole `.tflite` file, or no task can read it with these labels.
        ExportError: If the file does not run, or would answer otherwise.
        OSError: If the file cannot be read or written.
    """
    path = target(getattr(path, "path", path), ".tflite")
    metadata, labels = metadata_of(metadata), checked_labels(labels)
    facts, files = schema.read(path), associated_files(path)
    if labels is None and LABELS in files:
        labels = files[LABELS].decode().splitlines()
    files.pop(LABELS, None)
    if len(facts.signatures) != 1:
        raise ValueError(
            "A file for a task has one signature. "
            f"Received: {', '.join(facts.signatures) or 'none'}, in {str(path)!r}."
        )
    check_fit(metadata, facts.inputs, facts.outputs, labels)
    before = path.read_bytes()
    content = embedded(before, metadata, labels, files)
    beside = path.with_suffix(".json")
    known = facts_beside(path)
    if known.get("sha256") != hashlib.sha256(before).hexdigest():
        known = {}
    with aside(path, *([beside] if known else [])) as parts:
        parts[0].write_bytes(content)
        samples = _samples(facts.inputs[0])
        expected, actual = run(path, samples), run(parts[0], samples)
        wrong = [k for k, x in expected.items() if not np.array_equal(x, actual.get(k), True)]
        if wrong:
            raise ExportError(
                f"A file with metadata answers as without. Received: other {', '.join(wrong)}."
            )
        if known:
            known |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            known |= {"labels": labels, "metadata": metadata.to_dict()}
            write_json(known, parts[1])
    return read_metadata(path)


def check_names(labels, files):
    """Raise where a file inside has the name of the labels."""
    if labels and LABELS in files:
        raise ValueError(
            f"The labels are inside as {LABELS}. Received: a file of that name, too. Leave out one."
        )


def read_metadata(path):
    """Return the metadata of a `.tflite` file as a plain dict, which is empty where there is none.

    Returns:
        A dict of `"task"` (`None` of metadata that is of no task on images), and, where it says
        so, `"name"`, `"description"`, `"mean"`, `"std"`, `"score_threshold"`, `"activation"` and
        `"labels"`.

    Raises:
        ValueError: If it is no `.tflite` file, or damaged.
    """
    path = Path(path).expanduser()
    schema.read(path)
    content = _entry(path.read_bytes())
    if content is None:
        return {}
    try:
        return unpacked(content, associated_files(path))
    except (ValueError, IndexError) as error:
        raise ValueError(
            f"The metadata of a .tflite file must be whole. Received: path={str(path)!r}. {error}"
        ) from error


def embedded(content, metadata, labels, files):
    """Return a file's content with metadata, labels and files inside."""
    from ai_edge_litert import schema_py_generated as flat

    model = flat.ModelT.InitFromObj(flat.Model.GetRootAs(content, 0))
    bring_inside(model, content)
    if len(model.subgraphs) != 1:
        raise ExportError(
            "A task runs a file of one graph, so without loops. Received: "
            f"{len(model.subgraphs)} graphs. Leave out recurrent layers and other loops."
        )
    graph = model.subgraphs[0]
    names = {x.tensorIndex: x.name.decode() for x in model.signatureDefs[0].outputs}
    if metadata.task == "detection":
        graph.outputs = sorted(graph.outputs, key=lambda i: DETECTIONS.index(names[i]))
    image = graph.tensors[graph.inputs[0]]
    data = packed(metadata, labels, image, [names[i] for i in graph.outputs])
    model.metadata = [x for x in model.metadata or () if x.name != ENTRY.encode()]
    model.metadataBuffer = None
    model.metadata.append(flat.MetadataT(ENTRY, len(model.buffers)))
    model.buffers.append(flat.BufferT(np.frombuffer(data, np.uint8)))
    share_buffers(model)  # without those of metadata before
    builder = sharing_builder(len(content) + len(data))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    inside = {LABELS: ("\n".join(labels) + "\n").encode()} if labels else {}
    return appended(bytes(builder.Output()), inside | files)


def _entry(content):
    from ai_edge_litert import schema_py_generated as flat

    model = flat.Model.GetRootAs(content, 0)
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name() == ENTRY.encode():
            buffer = model.Buffers(entry.Buffer())
            return bytes(buffer.DataAsNumpy()) if buffer.DataLength() else b""
    return None


def _samples(x, count=4):
    rng = np.random.default_rng(0)
    return {x.name: rng.integers(0, 256, (count, *x.shape[1:])).astype(x.dtype)}
