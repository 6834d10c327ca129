"""What a bundle says of its file: signature, units, preprocessing, bounds, what was measured."""

import hashlib

from export import schema
from export.bundle import facts_beside, versions
from export.embed import read_metadata
from export.parity import limits_of

# How far another machine's answers may be off: the largest error as a share of the largest number,
# and the share of equal whole numbers.
TOLERANCES = {
    "float32": {"relative": 1e-4, "equal": 1.0},
    "float16": {"relative": 1e-2, "equal": 0.99},
    "weight_only": {"relative": 1e-4, "equal": 1.0},  # computed in floats
    "dynamic": {"relative": 5e-2, "equal": 0.9},
    "int8": {"relative": 5e-2, "equal": 0.9},
}
UNITS = {
    "classification": {"*": "probability of each label, 0 to 1"},
    "segmentation": {"*": "what the model says of each label at each pixel"},
    "detection": {
        "location": "left, top, right, bottom of boxes, as shares of the image's sides",
        "category": "number of the label of each box, from 0",
        "score": "score of each box, 0 to 1, the best first",
        "number_of_detections": "how many rows are boxes",
    },
}


def facts_of(file, content, units, tolerance):
    """Return what `bundle.json` holds, but for the golden samples.

    Args:
        file: The path of a `.tflite` file.
        content: Its bytes.
        units: Dict of words by name of input or output.
        tolerance: As in `export.pack`.
    """
    found, metadata = schema.read(file), read_metadata(file) or None
    if len(found.signatures) != 1:
        raise ValueError(
            "A file with one signature is packed. "
            f"Received: {', '.join(found.signatures) or 'none'}, in {str(file)!r}."
        )
    sha256 = hashlib.sha256(content).hexdigest()
    known = facts_beside(file)
    if known.get("sha256", sha256) != sha256:
        beside = file.with_suffix(".json").name
        raise ValueError(
            "A file is packed as it was verified. Received: one whose hash is not that in "
            f"{beside}. Export it again, or take {beside} away."
        )
    names = [x.name for x in found.inputs + found.outputs]
    if unknown := sorted(set(units) - set(names)):
        raise ValueError(
            f"`units` are those of {', '.join(names)}. Received: {', '.join(unknown)}."
        )
    for name, text in units.items():
        if not isinstance(text, str) or len(text.splitlines()) > 1:
            raise ValueError(f"Units are one line of text. Received: {text!r} for {name}.")
    task = (metadata or {}).get("task")
    if task is None:
        metadata = None
    precision = known.get("precision", "float32")
    said = UNITS.get(task, {})
    pixels = "pixels, red, green and blue"
    return {
        "sha256": sha256,
        "size": len(content),
        "precision": precision,
        "signature": found.signatures[0],
        "inputs": [_tensor(x, units.get(x.name, pixels if task else "")) for x in found.inputs],
        "outputs": [
            _tensor(x, units.get(x.name, said.get(x.name, said.get("*", ""))))
            for x in found.outputs
        ],
        "preprocessing": _preprocessing(metadata, found.inputs[0]) if task else None,
        "normalization": known.get("normalization") or {},
        "metadata": metadata,
        "labels": (metadata or {}).get("labels") or known.get("labels"),
        "tolerances": _bounds(precision, tolerance),
        "ops": dict(found.ops),
        "parity": known.get("parity"),
        "measurement": known.get("measurement"),
        "versions": known.get("versions") or versions(),
    }


def _tensor(x, units):
    return {"name": x.name, "shape": list(x.shape), "dtype": x.dtype, "units": units}


def _preprocessing(metadata, x):
    _, height, width, _ = x.shape
    return {
        "resize": {"height": height, "width": width, "how": "bilinear, the aspect is not kept"},
        "channels": "red, green, blue",
        "range": [0, 255],
        "then": "(pixel - mean) / std",
        "mean": metadata.get("mean", [0.0]),
        "std": metadata.get("std", [1.0]),
    }


def _bounds(precision, tolerance):
    limits_of(precision)
    bounds = TOLERANCES[precision]
    if tolerance is not None:
        given = tolerance if isinstance(tolerance, dict) else {"relative": tolerance}
        numbers = [isinstance(x, (int, float)) and x >= 0 for x in given.values()]
        if not set(given) <= set(bounds) or not all(numbers):
            raise ValueError(
                "`tolerance` is a number, or a dict of numbers by `relative` and `equal`. "
                f"Received: tolerance={tolerance!r}."
            )
        bounds = bounds | given
    return bounds
