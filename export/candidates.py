"""What a report on precisions holds, and which it recommends."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from export.parity import Parity
from export.report import describe
from export.table import kilobytes, render

HIDDEN = ("candidates", "calibration", "known")  # from the report as plain data


@dataclass
class Candidate:
    """A file of one precision.

    Attributes:
        name: Its precision, and how many layers stay in floats.
        precision, float_layers: What `to_tflite` takes to make it.
        size: Bytes.
        latency_ms: Median time of a run.
        spread: How far the medians of the rounds lie apart, as a share of it.
        speed: `"faster"`, `"slower"` or `"no difference"` than float32, as `SideBySide` says.
        memory: Peak memory of its process in bytes.
        score: What the metric says of its answers.
        drop: By how much that is worse than Keras's.
        parity: Its `Parity` with Keras.
        ops: How often each LiteRT operation occurs.
        error: Why there is no such file.
        path: Where it was made; it is gone unless the report had a folder.
    """

    name: str
    precision: str
    float_layers: tuple = ()
    size: int | None = None
    latency_ms: float | None = None
    spread: float = 0.0
    speed: str = "no difference"
    memory: int | None = None
    score: float | None = None
    drop: float | None = None
    parity: Parity | None = None
    ops: dict | None = None
    error: str | None = None
    path: Path | None = None


@dataclass
class QuantizationReport:
    """Files of every precision, measured and scored.

    Attributes:
        model, metric: Names of the model and of the metric.
        mode: Whether `"max"` or `"min"` of the metric is better.
        samples: How many were scored.
        max_drop: By how much a file's score may be worse than Keras's.
        reference: Keras's own score.
        candidates: A `Candidate` each.
        calibration: The samples that int8 files were calibrated on, by input.
        known: The samples that files were compared with Keras on, by input.
        sensitivity: By path of layer, its share of the noise that layers make, each alone in 8
            bits.
    """

    model: str
    metric: str
    mode: str
    samples: int
    max_drop: float
    reference: float
    candidates: list = field(default_factory=list)
    sensitivity: dict = field(default_factory=dict)
    calibration: dict | None = field(default=None, repr=False, compare=False)
    known: dict | None = field(default=None, repr=False, compare=False)

    def allows(self, candidate):
        """Return whether a candidate answers well enough."""
        good = candidate.error is None and candidate.parity.passed
        return bool(good and candidate.drop <= self.max_drop)

    @property
    def recommended(self):
        """The fastest `Candidate` of those that answer well; of equally fast ones the smallest."""
        good = [x for x in self.candidates if self.allows(x) and x.speed != "slower"]
        if not good:
            return self.candidates[0]
        fastest = min(good, key=lambda x: x.latency_ms)
        as_fast = [
            x
            for x in good
            if x.latency_ms <= fastest.latency_ms * (1 + max(x.spread, fastest.spread))
        ]
        return min(as_fast, key=lambda x: x.size)

    @property
    def front(self):
        """The candidates that none equals in score, time and size and exceeds in one."""
        made = [x for x in self.candidates if x.error is None]
        costs = [(x.drop, x.latency_ms, x.size) for x in made]
        return [
            x
            for x, cost in zip(made, costs)
            if not any(
                other != cost and all(a <= b for a, b in zip(other, cost)) for other in costs
            )
        ]

    def verdict(self, candidate):
        """Return in words what speaks against a candidate, or for the recommended one."""
        if candidate.error:
            return candidate.error
        if not candidate.parity.passed:
            return "; ".join(candidate.parity.failures)
        if not candidate.drop <= self.max_drop:
            return f"drops more than {self.max_drop:g}"
        if candidate.speed == "slower":
            return "slower than float32"
        return "recommended" if candidate is self.recommended else ""

    def rows(self):
        """Return the lines of the printed table."""
        for x in self.candidates:
            if x.error:
                yield [x.name, "–", "–", "–", "–", self.verdict(x)]
            else:
                yield [
                    x.name,
                    kilobytes(x.size),
                    f"{x.latency_ms:.3f}",
                    f"{x.score:.4f}",
                    f"{x.drop:+.4f}",
                    self.verdict(x),
                ]

    COLUMNS = ("file", "size", "ms", "score", "drop", "")

    def __str__(self):
        head = (
            f"{self.model}: {self.metric} of {self.samples} samples, Keras {self.reference:.4f}, "
            f"at most {self.max_drop:g} worse"
        )
        lines = [head, render([self.COLUMNS, *self.rows()])]
        if self.sensitivity:
            worst = sorted(self.sensitivity.items(), key=lambda x: -x[1])[:5]
            text = ", ".join(f"{name} {share:.0%}" for name, share in worst)
            lines.append(
                f"most sensitive layers (share of the noise, each alone in 8 bits): {text}"
            )
        return "\n".join(lines)

    def to_dict(self):
        """Return the report as plain data."""
        return {
            **{k: v for k, v in vars(self).items() if k not in HIDDEN},
            "candidates": [
                {**asdict(x), "path": x.path and str(x.path), "verdict": self.verdict(x)}
                for x in self.candidates
            ],
            "recommended": self.recommended.name,
        }

    def write(self, path):
        """Write the report as a page of its own; return its path."""
        made = [x for x in self.candidates if x.error is None]
        points = [
            {
                "x": x.latency_ms,
                "y": x.score,
                "label": x.name,
                "group": "front" if x in self.front else "others",
            }
            for x in made
        ]
        bars = dict(sorted(self.sensitivity.items(), key=lambda x: -x[1])[:30])
        sections = [
            {
                "kind": "facts",
                "facts": {
                    "metric": self.metric,
                    "samples": self.samples,
                    "Keras": f"{self.reference:.4f}",
                    "may drop by": f"{self.max_drop:g}",
                    "recommended": self.recommended.name,
                },
            },
            {"kind": "table", "columns": list(self.COLUMNS), "rows": list(self.rows())},
            {
                "kind": "scatter",
                "title": "Score and time",
                "points": points,
                "x_label": "ms",
                "y_label": self.metric,
            },
        ]
        if bars:
            sections.append(
                {
                    "kind": "bars",
                    "title": "Layers by sensitivity",
                    "bars": bars,
                    "x_label": "share of the noise, each alone in 8 bits",
                }
            )
        return describe(path, f"Precisions of {self.model}", sections)
