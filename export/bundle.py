"""What an export leaves beside the file: its facts, printed small and kept as JSON."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

from export.candidates import QuantizationReport
from export.measure import Measurement
from export.parity import Parity
from export.table import kilobytes, render


@dataclass
class Bundle:
    """A verified file and what is known of it.

    Attributes:
        path: The file; its facts lie beside it with the suffix `.json`.
        precision: `"float32"`, `"float16"`, `"dynamic"` or `"int8"`.
        size: Bytes of the file.
        ops: How often each operation occurs.
        parity: The `Parity` with Keras.
        measurement: A `Measurement`, or `None`.
        inputs, outputs: `signature.Tensor`s: name, shape, type.
        labels: Names of the classes, or `None`.
        files: Names of the files inside, but for labels.
        metadata: What its `Metadata` says, a dict, or `None`.
        versions: Versions of the libraries that made it, and of ONNX's operations.
        sha256: Hash of the file's bytes.
        report: The `QuantizationReport` that chose the precision, or `None`.
        normalization: By name of input, what the model's first layers do to it by themselves,
            `(x - mean) / std`: a dict of `"mean"`, `"std"` and the paths of the `"layers"`.
        rewrites: What was rewritten for the file, a line each: layer, what was done.
    """

    path: Path
    precision: str
    size: int
    ops: dict
    parity: Parity
    inputs: list
    outputs: list
    sha256: str
    labels: list | None = None
    files: list = field(default_factory=list)
    metadata: dict | None = None
    measurement: Measurement | None = None
    versions: dict = field(default_factory=dict)
    report: QuantizationReport | None = None
    normalization: dict = field(default_factory=dict)
    rewrites: list = field(default_factory=list)

    def to_dict(self):
        plain = {
            name: value
            for name, value in vars(self).items()
            if name not in ("path", "parity", "measurement", "inputs", "outputs", "report")
        }
        return {
            "file": self.path.name,
            **plain,
            "inputs": [asdict(x) for x in self.inputs],
            "outputs": [asdict(x) for x in self.outputs],
            "parity": self.parity.to_dict(),
            "measurement": self.measurement and self.measurement.to_dict(),
            "report": self.report and self.report.to_dict(),
        }

    def __str__(self):
        rows = [("file", self.path), ("precision", self.precision), ("size", kilobytes(self.size))]
        rows += [(f"input {x.name}", f"{list(x.shape)} {x.dtype}") for x in self.inputs]
        rows += [(f"output {x.name}", f"{list(x.shape)} {x.dtype}") for x in self.outputs]
        if self.labels:
            rows.append(("labels", len(self.labels)))
        if self.metadata:
            rows.append(("metadata", self.metadata["task"]))
        if self.files:
            rows.append(("files inside", ", ".join(self.files)))
        rows += [("rewritten", line) for line in self.rewrites]
        rows.append(("ops", ", ".join(f"{op} {count}" for op, count in sorted(self.ops.items()))))
        if self.measurement:
            rows += self.measurement.rows(file=False)
        chosen = f"\n{self.report}" if self.report else ""
        return f"{render(rows)}\n{self.parity}{chosen}"


def bundle_of(path, precision, content, facts, parity, **more):
    """Return the `Bundle` of a file's content, of the facts read of it and of its parity."""
    return Bundle(
        path=path,
        precision=precision,
        size=len(content),
        ops=dict(facts.ops),
        parity=parity,
        inputs=facts.inputs,
        outputs=facts.outputs,
        sha256=hashlib.sha256(content).hexdigest(),
        **more,
    )


def facts_beside(file):
    """Return the facts that an export left beside a file, of which there may be none."""
    try:
        known = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and "sha256" in known else {}  # or somebody else's


def versions(*more):
    """Return the installed versions of the libraries that make a file, and of some more."""
    found = {}
    for name in ("keras-blocks", "keras", "tensorflow", "ai-edge-litert", *more):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found
