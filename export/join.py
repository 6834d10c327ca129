"""Several files as one, each under a signature of its own."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import samples as data
from export import schema
from export.associated import appended, associated_files, checked
from export.compact import share_buffers, sharing_builder
from export.errors import ExportError
from export.files import aside, target
from export.reference import run


@dataclass(frozen=True)
class Joined:
    """A file of several signatures.

    Attributes:
        path: The file.
        size: Its bytes.
        parts: Bytes of each file that it was made of, by signature.
        sha256: Hash of the file's bytes.
    """

    path: Path
    size: int
    parts: dict
    sha256: str

    def __str__(self):
        parts = ", ".join(f"{name} {size / 1e3:.1f}" for name, size in self.parts.items())
        return f"{self.path}: {self.size / 1e3:.1f} kB, of {parts} kB"


def join(files, path, *, inputs=None):
    """Write several `.tflite` files as one that answers to several signatures.

    Weights that are equal are stored once, so a tower that two signatures share costs little more
    than one. The file is written aside, and must answer to every signature exactly as the file it
    came from; only then is it renamed. Files inside the files go along.

    Args:
        files: Paths, or `Bundle`s, by the names of signatures:
            `{"embed": "user.tflite", "recommend": "items.tflite"}`.
        path: Where to write, ending in `.tflite`.
        inputs: Samples to compare on, by signature, as a dict of arrays by name of input each;
            by default random numbers, and zeros for whole numbers.

    Returns:
        A `Joined`: `export.predict(path, samples, signature="embed")` asks the file.

    Raises:
        ValueError: If there are fewer than two files, one has several signatures or is none, or
            files inside of one name differ.
        ExportError: If the file does not answer as its parts do.
    """
    if not isinstance(files, dict) or len(files) < 2:
        raise ValueError(
            f"`files` must be a dict of two or more files by signature. Received: {files!r}."
        )
    paths = {str(name): Path(getattr(x, "path", x)).expanduser() for name, x in files.items()}
    path = target(path, ".tflite")
    if path.resolve() in {x.resolve() for x in paths.values()}:
        raise ValueError(f"A joined file is none of its parts. Received: path={str(path)!r}.")
    if unknown := sorted(set(inputs or {}) - set(paths)):
        raise ValueError(
            f"`inputs` are by signature, {', '.join(paths)}. Received: {', '.join(unknown)}."
        )
    known = {name: schema.read(x) for name, x in paths.items()}
    for name, facts in known.items():
        if len(facts.signatures) != 1:
            raise ValueError(
                "Files of one signature each are joined. Received: "
                f"{', '.join(facts.signatures) or 'none'} in {paths[name]}."
            )
    samples = {name: _samples(facts, (inputs or {}).get(name)) for name, facts in known.items()}
    with aside(path) as [part]:
        content = appended(_joined(paths), _inside(paths))
        part.write_bytes(content)
        for name, given in samples.items():
            expected, actual = run(paths[name], given), run(part, given, name)
            wrong = [k for k, x in expected.items() if not np.array_equal(x, actual[k], True)]
            if wrong or set(expected) != set(actual):
                raise ExportError(
                    "A file of several must answer as each of them. Received: other "
                    f"{', '.join(wrong) or 'outputs'} of {name!r}."
                )
    return Joined(
        path,
        len(content),
        {name: x.stat().st_size for name, x in paths.items()},
        hashlib.sha256(content).hexdigest(),
    )


def _samples(facts, given, count=4):
    if given is not None:
        return data.take(given, facts.inputs, "inputs", missing=True)
    rng, found = np.random.default_rng(0), {}
    for x in facts.inputs:
        numbers = rng.normal(size=(count, *x.shape[1:]))
        found[x.name] = (numbers if "float" in x.dtype else 0 * numbers).astype(x.dtype)
    return found


def _inside(paths):
    """Return the files inside several, which may have a name twice for the same content."""
    found = {}
    for path in paths.values():
        for name, content in associated_files(path).items():
            if found.setdefault(name, content) != content:
                raise ValueError(
                    f"Files inside of one name must be equal. Received: two of {name!r}."
                )
    return checked(found)


def _joined(paths):
    """Return the content of several files as one."""
    from ai_edge_litert import schema_py_generated as schema

    whole = None
    for name, path in paths.items():
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        if any(buffer.offset for buffer in model.buffers):
            raise ValueError(f"Files are joined up to 2 GB. Received: {path}.")
        model.signatureDefs[0].signatureKey = name.encode()
        model.metadataBuffer, model.metadata = None, model.metadata or []
        if whole is None:
            whole = model
        else:
            _add(whole, model)
    share_buffers(whole)
    builder = sharing_builder(sum(path.stat().st_size for path in paths.values()))
    builder.Finish(whole.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _add(whole, model):
    """Put a model's graphs behind another's: operations, buffers and graphs are counted on."""
    codes, graphs = len(whole.operatorCodes), len(whole.subgraphs)
    buffers = len(whole.buffers)
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = tensor.buffer and tensor.buffer + buffers
        for operator in graph.operators:
            operator.opcodeIndex += codes
            for options in (operator.builtinOptions, operator.builtinOptions2):
                _count_on(options, graphs)
    model.signatureDefs[0].subgraphIndex += graphs
    whole.operatorCodes += model.operatorCodes
    whole.buffers += model.buffers
    whole.subgraphs += model.subgraphs
    whole.signatureDefs += model.signatureDefs


def _count_on(options, graphs):
    """Count on the numbers of graphs that an operation's options name."""
    for key, value in vars(options).items() if options is not None else ():
        if key == "subgraph" or key.endswith("SubgraphIndex"):
            setattr(options, key, value + graphs)
        elif key.endswith("SubgraphIndices"):
            setattr(options, key, [x + graphs for x in value])
