"""Before a model is converted: what will not, what will be slow, and what is rewritten."""

import re
from dataclasses import asdict, dataclass, field

from blocks.graph import dotted, offers_fuse, scoped, trace
from export import advice, signature
from export.errors import ExportError
from export.findings import Finding, findings
from export.float32 import rebuilt
from export.fuse import fused, named_as
from export.parity import limits_of
from export.rewrites import rewritten
from export.table import render

IN_FLOAT32 = Finding("model", "rewritten", "in float32: a file computes in nothing narrower")


@dataclass
class Preflight:
    """What becomes of a model in a file; it prints as a table.

    Attributes:
        model: Name of the model.
        precision: Of the file.
        findings: A list of `Finding`s; layers that convert well are not in it.
        unseen: Why the model could not be looked into, or `None`. It may convert all the same.
    """

    model: str
    precision: str
    findings: list = field(default_factory=list)
    unseen: str | None = None

    @property
    def refused(self):
        """What does not convert."""
        return self._of("refused")

    @property
    def slow(self):
        """What converts and is slower than it need be."""
        return self._of("slow")

    @property
    def inexact(self):
        """What converts and answers worse than in floats."""
        return self._of("inexact")

    @property
    def rewritten(self):
        """What `to_tflite`, or the converter, replaces by what gives the same."""
        return self._of("rewritten")

    @property
    def rewrites(self):
        """`rewritten`, a line each."""
        return [f"{x.layer}: {x.what}" for x in self.rewritten]

    def _of(self, kind):
        return [x for x in self.findings if x.kind == kind]

    def to_dict(self):
        return {**vars(self), "findings": [asdict(x) for x in self.findings]}

    def __str__(self):
        head = f"preflight of {self.model} ({self.precision})"
        if self.unseen:
            return f"{head}\nnot looked into: {self.unseen}"
        if not self.findings:
            return f"{head}\nnothing found"
        rows = [(x.layer, f"{x.kind}: {x.what}", x.instead) for x in self.findings]
        return f"{head}\n{render([('layer', 'finding', 'instead'), *rows])}"


def preflight(model, precision="float32", input_shape=None):
    """Return what `to_tflite` will say of a model, without converting it.

    Args:
        model: A functional or `Sequential` `keras.Model`; it is not changed.
        precision: Of the file, as in `to_tflite`.
        input_shape: Sizes without the batch axis, where the model leaves some open.

    Returns:
        A `Preflight`: `refused`, `slow`, `inexact` and `rewritten` are its `Finding`s by kind.

    Raises:
        ValueError: If `precision` is unknown.

    >>> import keras
    >>> scores = keras.Input((3,))
    >>> print(preflight(keras.Model(scores, keras.ops.erf(scores), name="m")))
    preflight of m (float32)
    layer  finding                  instead
    erf    refused: no kernel: Erf  keras.ops.gelu, or the activation 'gelu'
    """
    limits_of(precision)
    try:
        signature.inputs_of(model, input_shape)
        copy = rebuilt(model)
    except ExportError as error:
        name = getattr(model, "name", type(model).__name__)
        refused = Finding(error.layer or "model", "refused", str(error), op=error.op)
        return Preflight(name, precision, [refused])
    _, report = examined(copy, precision, input_shape)
    report.findings[:0] = [IN_FLOAT32] * (copy is not model)
    return report


def prepared(model, precision, input_shape=None):
    """Return a float32 model as it converts to a file of a precision, and its `Preflight`.

    Raises:
        ExportError: If it certainly does not convert; `layer` and `op` say where.
    """
    runs, report = examined(model, precision, input_shape)
    if report.refused:
        raise refusal(report, model)
    return runs, report


def refusal(report, model):
    """Return the `ExportError` for what a `Preflight` of a model refuses."""
    names = [x.name for x in model._flatten_layers(include_self=False)]
    faults = [(x.op, _innermost(x.layer, names)) for x in report.refused]
    if all(op == "While" for op, _ in faults):
        return advice.loop_refusal(faults[0][1])
    return advice.refusal(faults)


def examined(model, precision, input_shape):
    """Return a float32 model as it converts, whatever is refused, and its `Preflight`."""
    report = Preflight(model.name, precision)
    shapes = [x.shape for x in signature.inputs_of(model, input_shape)]
    rounds = not signature.knows_ranges(model)
    try:
        flat, _, fill = trace(model, fuse=True)
        graph, changes = rewritten(flat, fill, precision, shapes, rounds)
        found = findings(graph, precision, rounds)
    except Exception as error:  # whatever a foreign layer raises: it may convert all the same
        said = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())  # Keras writes in bold
        report.unseen = said[:200] or type(error).__name__
        return fused(model), report
    for layer in model._flatten_layers():
        if layer.name != scoped(layer.name):
            what = f"called {scoped(layer.name)!r}: other characters name no operation"
            changes.append(Finding(layer.name, "rewritten", what))
        if offers_fuse(layer):
            what = "fused: it runs as fewer operations than it trains as"
            changes.append(Finding(layer.name, "rewritten", what))
    report.findings = list(dict.fromkeys(changes + found))
    if not changes:
        return model, report
    if graph is flat:
        fill()
    return named_as(model, graph), report


def _innermost(path, names):
    """Return the layer of a path, or `None` where it stands in none."""
    fits = [x for x in names if f".{path}".endswith(f".{dotted(scoped(x))}")]
    return max(fits, key=len, default=None)
