"""Metadata as tables of TFLite's format: what tasks on images read, and nothing else."""

import numpy as np

from export.flat import decoded, encoded
from export.metadata import ACTIVATIONS, LABELS

IDENTIFIER = b"M001"
OPTIONS_IDENTIFIER = b"V001"  # of what a task keeps of its own
PARSER = "1.5.0"  # the oldest reader that knows all of it

RGB = 1
BOUNDARIES = 1
AXIS_LABELS, VALUE_LABELS = 2, 3
SEGMENTER = "SEGMENTER_METADATA"
WORDS = {
    "location": "Left, top, right and bottom of boxes, as shares of the image's sides.",
    "category": "Classes of the boxes.",
    "score": "Scores of the boxes, the best first.",
    "number_of_detections": "How many rows are boxes.",
}

# Tables with their fields, in the order of the format.
SCHEMA = {
    "Model": [
        ("name", "string"),
        ("description", "string"),
        ("version", "string"),
        ("subgraphs", ["Subgraph"]),
        ("author", "string"),
        ("license", "string"),
        ("files", ["File"]),
        ("min_parser_version", "string"),
    ],
    "Subgraph": [
        ("name", "string"),
        ("description", "string"),
        ("inputs", ["Tensor"]),
        ("outputs", ["Tensor"]),
        ("files", ["File"]),
        ("input_units", ["Unit"]),
        ("output_units", ["Unit"]),
        ("input_groups", ["Group"]),
        ("output_groups", ["Group"]),
        ("custom", ["Custom"]),
    ],
    "Tensor": [
        ("name", "string"),
        ("description", "string"),
        ("dimensions", ["string"]),
        ("content", "Content"),
        ("units", ["Unit"]),
        ("stats", "Stats"),
        ("files", ["File"]),
    ],
    "Content": [("properties", ("Feature", "Image", "Box")), ("range", "Range")],
    "Feature": [],
    "Image": [("color_space", "int8"), ("default_size", "Size")],
    "Size": [("width", "uint32"), ("height", "uint32")],
    "Box": [("index", ["uint32"]), ("kind", "int8"), ("coordinates", "int8")],
    "Range": [("min", "int32"), ("max", "int32")],
    "Unit": [("options", ("Normalization", "Calibration", "Threshold"))],
    "Normalization": [("mean", ["float32"]), ("std", ["float32"])],
    "Calibration": [],
    "Threshold": [("score", "float32")],
    "Stats": [("max", ["float32"]), ("min", ["float32"])],
    "File": [
        ("name", "string"),
        ("description", "string"),
        ("kind", "int8"),
        ("locale", "string"),
        ("version", "string"),
    ],
    "Group": [("name", "string"), ("tensors", ["string"])],
    "Custom": [("name", "string"), ("data", "bytes")],
    "Segmenter": [("activation", "int8"), ("min_parser_version", "string")],
}


def packed(metadata, labels, image, outputs):
    """Return metadata as bytes.

    Args:
        metadata: A `Metadata`.
        labels: Names of the classes, or `None`.
        image: The input, a tensor of the file.
        outputs: Names of the outputs, in the file's order.
    """
    return encoded("Model", _described(metadata, labels, image, outputs), SCHEMA, IDENTIFIER)


def unpacked(content, files):
    """Return what bytes of metadata say, as `read_metadata` does; `files` are those inside."""
    return _plain(decoded("Model", content, SCHEMA, IDENTIFIER), files)


def _described(metadata, labels, image, outputs):
    _, height, width, _ = image.shape
    is_float = image.type == 0
    mean, std = np.array(metadata.mean), np.array(metadata.std)
    normalization = ("Normalization", {"mean": metadata.mean, "std": metadata.std})
    size = {"width": int(width), "height": int(height)}
    picture = {"color_space": RGB, "default_size": size}
    given = {
        "name": "image",
        "description": "Pixels of red, green and blue.",
        "content": {"properties": ("Image", picture)},
        "units": [{"options": normalization}] if is_float else None,
        "stats": {
            "max": (255 - mean) / std if is_float else [255.0],
            "min": -mean / std if is_float else [0.0],
        },
    }
    subgraph = {"inputs": [given], "outputs": [_output(metadata, labels, x) for x in outputs]}
    if metadata.task == "detection":
        tensors = ["location", "category", "score"]
        subgraph["output_groups"] = [{"name": "detection_result", "tensors": tensors}]
    if metadata.task == "segmentation":
        options = {
            "activation": ACTIVATIONS.index(metadata.activation),
            "min_parser_version": "1.0.0",
        }
        data = encoded("Segmenter", options, SCHEMA, OPTIONS_IDENTIFIER)
        subgraph["custom"] = [{"name": SEGMENTER, "data": data}]
    return {
        "name": metadata.name or metadata.task,
        "description": metadata.description,
        "version": "1",
        "subgraphs": [subgraph],
        "min_parser_version": PARSER,
    }


def _output(metadata, labels, name):
    files = {"category": VALUE_LABELS} if metadata.task == "detection" else {name: AXIS_LABELS}
    found = {
        "name": name.replace("_", " ") if name in WORDS else name,
        "description": WORDS.get(name, "What the model says of each class."),
        "content": {"properties": ("Feature", {})},
    }
    if name == "location" and metadata.task == "detection":
        box = {"index": [0, 1, 2, 3], "kind": BOUNDARIES, "coordinates": 0}
        found["content"] = {"properties": ("Box", box)}
    if metadata.task == "detection" and name != "number_of_detections":
        found["content"]["range"] = {"min": 2, "max": 2}
    if labels and name in files:
        found["files"] = [{"name": LABELS, "kind": files[name]}]
    if metadata.score_threshold is not None and (metadata.task, name) != ("detection", "location"):
        threshold = ("Threshold", {"score": metadata.score_threshold})
        if metadata.task == "classification" or name == "score":
            found["units"] = [{"options": threshold}]
    return found


def _plain(model, files):
    graphs = model.get("subgraphs") or [{}]
    inputs, outputs = graphs[0].get("inputs", []), graphs[0].get("outputs", [])
    custom = {x.get("name"): x.get("data", b"") for x in graphs[0].get("custom", [])}
    units = {}
    for tensor in inputs + outputs:
        for unit in tensor.get("units", []):
            units.update([unit["options"]] if "options" in unit else [])
    names = {x.get("name") for x in outputs}
    task = None
    if inputs and inputs[0].get("content", {}).get("properties", ("",))[0] == "Image":
        is_detector = {"location", "score"} <= names
        task = "detection" if is_detector else "classification"
    found = {key: model[key] for key in ("name", "description") if key in model}
    found |= units.get("Normalization", {})
    if "Threshold" in units:
        found["score_threshold"] = units["Threshold"].get("score", 0.0)
    if SEGMENTER in custom:
        task, options = "segmentation", OPTIONS_IDENTIFIER
        kept = decoded("Segmenter", custom[SEGMENTER], SCHEMA, options)
        found["activation"] = ACTIVATIONS[kept.get("activation", 0)]
    listed = [x.get("name") for tensor in outputs for x in tensor.get("files", [])]
    for name in listed[:1]:
        if name in files:
            found["labels"] = files[name].decode().splitlines()
    return {"task": task, **found}
