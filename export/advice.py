"""Why a model did not convert: the layer, the operation, and what to use instead."""

import re

from blocks.graph import path_of
from export.errors import ExportError

ARGMAX = (
    "keras.ops.argmax and argmin of floats contain it: write ops.squeeze(ops.top_k(x, 1)[1], -1), "
    "and top_k of -x for argmin; bitwise operations have none"
)
BUILTIN = "A file holds built-in LiteRT operations only"
# Operations that LiteRT has no kernel for, and what does the same with built-in ones.
INSTEAD = {
    "BitwiseAnd": ARGMAX,
    "Bitcast": ARGMAX,  # ONNX lacks it, too
    "BitwiseOr": "ops.bitwise_xor, or ops.add where no bit is in both",
    "Mean": "tensors of at most 6 axes: reshape before and after",
    "Sum": "tensors of at most 6 axes: reshape before and after",
    "Erf": "keras.ops.gelu, or the activation 'gelu'",
    "Erfinv": "a polynomial of your own, or move it out of the model",
    "ResizeBicubic": "interpolation='bilinear'",
    "ScaleAndTranslate": "antialias=False, or do that resizing before the model",
    "MaxPool3D": "strides in a Conv3D, or MaxPooling2D twice over reshaped axes",
    "MaxPool3DV2": "strides in a Conv3D, or MaxPooling2D twice over reshaped axes",
    "AvgPool3D": "strides in a Conv3D, or AveragePooling2D twice over reshaped axes",
    "ImageProjectiveTransformV3": "ops.image.map_coordinates with the coordinates transformed",
    "RGBToHSV": "the formula in keras.ops (max, min, where), or do it before the model",
    "HSVToRGB": "the formula in keras.ops (floor, where), or do it before the model",
    "Roll": "a concatenation of two slices, with a fixed size of that axis",
    "LowerBound": "a sum of comparisons: ops.sum(x[..., None] > edges, -1)",
    "UpperBound": "a sum of comparisons: ops.sum(x[..., None] >= edges, -1)",
    "DenseBincount": "keras.ops.one_hot, and a sum over its axis; layers.CategoryEncoding and "
    "ops.bincount contain it",
    "Bincount": "keras.ops.one_hot, and a sum over its axis",
    "AsString": "integer ids made before the model; layers.Hashing contains it",
    "StringToHashBucketFast": "integer ids made before the model; layers.Hashing contains it",
    "LookupTableFindV2": "integer ids made before the model: dense indices 0, 1, 2, …",
    "Complex": "keras.ops.rfft or ops.stft, whose real and imaginary parts come apart",
    "FFT": "keras.ops.rfft or ops.stft",
    "FFT2D": "keras.ops.rfft over each axis, or do it before the model",
    "IFFT2D": "a product with a constant matrix, or do it after the model",
    "IRFFT": "a product with a constant matrix, or do it after the model",
    "MatrixDiagPartV3": "ops.sum(x * ops.eye(n), -1)",
    "MatrixDiagV3": "ops.eye(n) * x[..., None]",
    "CombinedNonMaxSuppression": "boxes and scores as outputs, and suppression after the model",
    "CropAndResize": "ops.image.map_coordinates at the boxes' points",
    "ExtractImagePatches": "keras.ops.image.extract_patches",
    "Transpose": "tensors of at most 6 axes: reshape before and after",
    "Tan": "ops.sin(x) / ops.cos(x)",
    "Sinh": "(ops.exp(x) - ops.exp(-x)) / 2",
    "Cosh": "(ops.exp(x) + ops.exp(-x)) / 2",
    "Atan": "ops.arctan2(x, 1.0)",
    "Asin": "ops.arctan2(x, ops.sqrt(1 - x * x))",
    "Acos": "ops.arctan2(ops.sqrt(1 - x * x), x)",
    "Asinh": "ops.log(x + ops.sqrt(x * x + 1))",
    "Acosh": "ops.log(x + ops.sqrt(x * x - 1))",
    "Atanh": "ops.log((1 + x) / (1 - x)) / 2",
    "Erfc": "a polynomial of your own, or move it out of the model",
    "BesselI0": "a polynomial of your own, or move it out of the model",
    "Cumprod": "ops.exp(ops.cumsum(ops.log(x))) of what is positive",
    "Unpack": "ops.where with three arguments: a mask has a fixed size, a list of places has none",
    "LeftShift": "x * 2**n",
    "Invert": "-x - 1",
    "InTopKV2": "ops.top_k, compared with the targets",
    "CTCGreedyDecoder": "the scores of each step as output, decoded after the model",
    "Conv3D": "a Conv3D for each group, and a concatenation; groups have no kernel",
    "SpaceToBatchND": "a Conv3D without dilation_rate, of a larger kernel",
    "Conv2DBackpropInput": "a Conv2DTranspose without dilation_rate, or UpSampling2D and a Conv2D",
    "FlashAttention": "flash_attention=False; its weights are the same",
    "AssignVariableOp": "stateful=False, with the state as input and output: initial_state=, "
    "return_state=True",
    **dict.fromkeys(
        ("Cholesky", "Eig", "LogMatrixDeterminant", "MatrixDeterminant", "MatrixInverse")
        + ("MatrixSolve", "MatrixTriangularSolve", "Qr", "SelfAdjointEigV2", "Svd"),
        "linear algebra before or after the model",
    ),
    "TensorListReserve": "a fixed length (input_shape=), or unroll=True on a recurrent layer",
    "TensorListStack": "a fixed length (input_shape=), or unroll=True on a recurrent layer",
}
LOCATION = re.compile(r'fused\["([\w.]+):", "([^"@]+)')
FAULT = re.compile(r"error: loc\((.*)\): '(\w+)\.(\w+)' op ")


def explain(message, model):
    """Return the `ExportError` for a converter's message about `model`."""
    found = {}
    for location, dialect, op in FAULT.findall(message):
        places = LOCATION.findall(location)
        if dialect == "tf" and op not in found:
            found[op] = places[0][1] if places else ""
    if not found:
        place = LOCATION.search(message)
        layer = layer_at(place[2], model) if place else None
        return ExportError(
            f"The model does not convert{_at(layer)}. Received: {_first_line(message)}",
            layer=layer,
            details=message,
        )
    return foreign(found, model, details=message)


def foreign(found, model, rule=BUILTIN, details=None):
    """Return the `ExportError` for operations that a format lacks.

    Args:
        found: Dict from names of operations to scopes where they stand.
        model: The model that they came from.
        rule: What the format holds, for the message.
        details: What the converter said.
    """
    layers = {op: layer_at(scope, model) for op, scope in found.items()}
    if any(layers.values()):  # what stands in none makes the tables of one that does
        layers = {op: layer for op, layer in layers.items() if layer}
    return refusal(layers.items(), rule, details)


def refusal(faults, rule=BUILTIN, details=None):
    """Return the `ExportError` for pairs of an operation and the layer it stands in, or `None`."""
    faults = list(dict.fromkeys(faults))
    said = "; ".join(
        f"{op}{_at(layer)}" + (f" (instead: {INSTEAD[op]})" if op in INSTEAD else "")
        for op, layer in faults
    )
    op, layer = faults[0]
    return ExportError(
        f"{rule}. Received: {said}.",
        layer=layer,
        op=op,
        details=details,
    )


def explain_trace(error, model):
    """Return the `ExportError` for an exception from calling `model` while it was traced."""
    text = str(error)
    kind = re.search(r"calling (\w+)\.call\(\)", text)
    bold = re.search(r"\x1b\[1m(.+?)\x1b\[0m", text, re.DOTALL)  # how Keras prints the cause
    names = [x.name for x in model._flatten_layers() if kind and type(x).__name__ == kind[1]]
    layer = names[0] if len(names) == 1 else None
    where = _at(layer) or (f" in a layer of type {kind[1]}" if kind else "")
    advice = ""
    if "lash attention" in text:
        advice = " Build the layer with flash_attention=False; its weights are the same."
    return ExportError(
        f"The model must be callable on TensorFlow with a batch of one. Received{where}: "
        f"{bold[1] if bold else _first_line(text)}{advice}",
        layer=layer,
        details=text,
    )


def refuse_loops(loops, model):
    """Raise where loops stand in a model to be int8: they bring the converter down."""
    if loops:
        raise loop_refusal(layer_at(loops[0], model))


def loop_refusal(layer):
    """Return the `ExportError` for a loop in a layer of a model to be int8."""
    return ExportError(
        f"Static int8 holds no loop. Received: a loop{_at(layer)}. Say the length of its "
        "sequences with input_shape=, build it with unroll=True (its weights are the same), or use "
        'precision="dynamic" or "float16".',
        layer=layer,
        op="While",
    )


def layer_at(scope, model):
    """Return the path of the innermost layer of `model` in an operation's scope, or `None`.

    Keras opens a scope twice for each call, so that TensorFlow writes `conv` as `conv_1`.
    """
    names = {layer.name: path_of(layer) for layer in model._flatten_layers(include_self=False)}
    for part in reversed(scope.split("/")[:-1]):
        for name in (re.sub(r"_\d+$", "", part), part):
            if name in names:
                return names[name]
    return None


def _at(layer):
    return f" in layer {layer!r}" if layer else ""


def _first_line(text):
    return next((line.strip() for line in text.splitlines() if line.strip()), "no message")[:500]
