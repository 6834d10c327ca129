"""How close a file's answers are to Keras's, and how close they must be."""

import math
from dataclasses import asdict, dataclass

import numpy as np

# The bounds of a verification. `relative`: largest error, as a share of the largest value of the
# reference. `sqnr_db`: signal to quantization noise. `equal`: share of equal whole numbers.
# `agreement`: share of samples whose best class is also the file's; it counts from `ENOUGH`.
TOLERANCES = {
    "float32": {"relative": 1e-5, "equal": 1.0},
    "float16": {"relative": 1e-2, "equal": 0.99},
    "weight_only": {"sqnr_db": 30.0, "equal": 0.9, "agreement": 0.9},
    "dynamic": {"sqnr_db": 30.0, "equal": 0.9, "agreement": 0.9},
    "int8": {"sqnr_db": 20.0, "equal": 0.9, "agreement": 0.9},
}
ENOUGH = 50


@dataclass
class OutputParity:
    """The figures of one output; what does not apply to its type is `None`.

    `apart` counts samples of boxes that the other figures leave out: see `export.verify`.
    """

    name: str
    max_abs: float | None = None
    relative: float | None = None
    sqnr_db: float | None = None
    agreement: float | None = None
    equal: float | None = None
    apart: int | None = None
    failures: tuple = ()


@dataclass
class Parity:
    """What a verification found: `outputs` holds an `OutputParity` each."""

    precision: str
    samples: int
    limits: dict
    outputs: list

    @property
    def failures(self):
        """What was out of bounds, in words."""
        return [f"{x.name}: {text}" for x in self.outputs for text in x.failures]

    @property
    def passed(self):
        return not self.failures

    def to_dict(self):
        return {**asdict(self), "passed": self.passed}

    def __str__(self):
        lines = [f"parity with Keras on {self.samples} samples ({self.precision})"]
        for x in self.outputs:
            words = [
                f"{name} {_short(value)}"
                for name, value in asdict(x).items()
                if name not in ("name", "failures") and value is not None
            ]
            lines.append(f"  {x.name}: {', '.join(words)}")
        return "\n".join(lines + [f"  FAILED {text}" for text in self.failures])


def limits_of(precision, tolerance=None):
    """Return the bounds for `precision`, with those of `tolerance` in their place.

    Args:
        precision: A key of `TOLERANCES`.
        tolerance: A number for the precision's first bound, or a dict of bounds.
    """
    if precision not in TOLERANCES:
        raise ValueError(
            f"`precision` must be one of {list(TOLERANCES)}. Received: precision={precision!r}."
        )
    limits = dict(TOLERANCES[precision])
    if tolerance is None:
        return limits
    if not isinstance(tolerance, dict):
        tolerance = {next(iter(limits)): tolerance}
    unknown = sorted(set(tolerance) - {"relative", "sqnr_db", "equal", "agreement"})
    if unknown:
        raise ValueError(
            "`tolerance` is a number or a dict with the keys relative, sqnr_db, equal, "
            f"agreement. Received: {unknown}."
        )
    return {**limits, **{key: _bound(key, value) for key, value in tolerance.items()}}


def _bound(name, value):
    try:
        bound = float(value)
    except (TypeError, ValueError):
        bound = math.nan
    if math.isnan(bound) or (name == "relative" and bound < 0):
        raise ValueError(
            "A bound of `tolerance` must be a number, and a relative error not negative. "
            f"Received: {name}={value!r}."
        )
    return bound


def compare(expected, actual, precision, tolerance=None, class_scores=(), shares=None):
    """Compare outputs by name with Keras's, and return a `Parity`.

    Args:
        expected: Dict of arrays from Keras, the samples on the first axis.
        actual: Dict of arrays from the file.
        precision: A key of `TOLERANCES`.
        tolerance: See `limits_of`.
        class_scores: Names of outputs that are scores of classes, besides those whose rows
            are probabilities.
        shares: Dict from names of outputs to the share of their rows that agree, as the layer
            says that made them; such outputs are judged by it alone.
    """
    limits = limits_of(precision, tolerance)
    if set(expected) != set(actual):
        raise ValueError(
            f"The file must have the outputs {sorted(expected)}. Received: {sorted(actual)}."
        )
    samples = len(next(iter(expected.values())))
    outputs = []
    for name, reference in expected.items():
        found = _figures(name, reference, actual[name])
        scores = name in class_scores or _are_probabilities(reference)
        bounds = dict(limits)
        if samples < ENOUGH or not scores:
            bounds.pop("agreement", None)
        if name in (shares or {}):
            found.agreement = shares[name]
            bounds = {"agreement": limits.get("agreement", limits["equal"])}
        found.failures = (*found.failures, *_failures(found, bounds))
        outputs.append(found)
    return Parity(precision, samples, limits, outputs)


def _figures(name, reference, actual):
    if reference.shape != actual.shape:
        text = f"shape {actual.shape} instead of {reference.shape}"
        return OutputParity(name, failures=(text,))
    if reference.dtype.kind != "f":
        return OutputParity(name, equal=float(np.mean(reference == actual)))
    reference, actual = reference.astype("float64"), actual.astype("float64")
    if reference.size and not np.isfinite(reference).any():
        text = "the model itself answers NaN or infinity only; look for NaN among its weights"
        return OutputParity(name, failures=(text,))
    odd = ~np.isfinite(reference) | ~np.isfinite(actual)
    same = (reference == actual) | (np.isnan(reference) & np.isnan(actual))
    if (odd & ~same).any():
        where = [int(i) for i in np.argwhere(odd & ~same)[0]]
        text = f"{actual[tuple(where)]} instead of {reference[tuple(where)]} at {where}"
        return OutputParity(name, failures=(text,))
    error = np.where(odd, 0.0, actual) - np.where(odd, 0.0, reference)
    largest = np.abs(reference[~odd]).max(initial=0.0)
    signal, noise = np.square(reference[~odd]).sum(), np.square(error).sum()
    max_abs = float(np.abs(error).max(initial=0.0))
    return OutputParity(
        name,
        max_abs=max_abs,
        relative=max_abs / float(largest) if largest else max_abs,
        sqnr_db=_decibels(float(signal), float(noise)),
        agreement=same_best(reference, actual),
    )


def _decibels(signal, noise):
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def same_best(reference, actual):
    """Return the share of rows whose best column is among the best of `actual`, of scores alone."""
    if reference.ndim != 2 or reference.shape[1] < 2:
        return None
    best = np.take_along_axis(actual, reference.argmax(-1)[:, None], -1)[:, 0]
    return float(np.mean(best == actual.max(-1)))


def _are_probabilities(values):
    rows = values.dtype.kind == "f" and values.ndim == 2 and values.shape[1] > 1
    return bool(rows and (values >= 0).all() and np.allclose(values.sum(-1), 1, atol=1e-3))


def _failures(found, bounds):
    if found.max_abs is None and found.equal is None:
        return  # shape or NaN: said already
    for name, bound in bounds.items():
        value = getattr(found, name)
        if value is not None and not (value <= bound if name == "relative" else value >= bound):
            word = "at most" if name == "relative" else "at least"
            yield f"{name} {_short(value)}, must be {word} {bound:g}"


def _short(value):
    return f"{value:.3g}"
