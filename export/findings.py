"""What a graph's operations become in a file: not at all, slowly, or not exactly."""

from dataclasses import dataclass

import keras
from keras import layers

from blocks.graph import nodes_between, path_of
from export.advice import INSTEAD

ALONE = "the operations before it as outputs, and this after the model; or float_layers="
# Keras's operations that need one of TensorFlow's for which LiteRT has no kernel.
WITHOUT = {
    "AffineTransform": "ImageProjectiveTransformV3",
    "Arccos": "Acos",
    "Arccosh": "Acosh",
    "Arcsin": "Asin",
    "Arcsinh": "Asinh",
    "Arctan": "Atan",
    "Arctanh": "Atanh",
    "Bincount": "DenseBincount",
    "BitwiseAnd": "BitwiseAnd",
    "BitwiseInvert": "Invert",
    "BitwiseLeftShift": "LeftShift",
    "BitwiseNot": "Invert",
    "BitwiseOr": "BitwiseOr",
    "CTCDecode": "CTCGreedyDecoder",
    "Cholesky": "Cholesky",
    "Cosh": "Cosh",
    "Cumprod": "Cumprod",
    "Det": "MatrixDeterminant",
    "Diagonal": "MatrixDiagPartV3",
    "Eig": "Eig",
    "Eigh": "SelfAdjointEigV2",
    "Erf": "Erf",
    "Erfc": "Erfc",
    "Erfinv": "Erfinv",
    "FFT": "Complex",
    "FFT2": "Complex",
    "HSVToRGB": "HSVToRGB",
    "Hashing": "AsString",
    "I0": "BesselI0",
    "IFFT2": "Complex",
    "IRFFT": "Complex",
    "ISTFT": "Complex",
    "InTopK": "InTopKV2",
    "IntegerLookup": "LookupTableFindV2",
    "Inv": "MatrixInverse",
    "LeftShift": "LeftShift",
    "Logdet": "Cholesky",
    "Lstsq": "Svd",
    "MatrixRank": "Svd",
    "Nanargmax": "BitwiseAnd",
    "Nanargmin": "BitwiseAnd",
    "Nonzero": "Unpack",
    "PerspectiveTransform": "ImageProjectiveTransformV3",
    "Pinv": "Svd",
    "Qr": "Qr",
    "RGBToHSV": "RGBToHSV",
    "SVD": "Svd",
    "SearchSorted": "LowerBound",
    "Signbit": "BitwiseAnd",
    "Sinh": "Sinh",
    "Slogdet": "LogMatrixDeterminant",
    "Solve": "MatrixSolve",
    "SolveTriangular": "MatrixTriangularSolve",
    "Tan": "Tan",
    "Unfold": "ExtractImagePatches",
}
POOLS = {"Max": "MaxPool3D", "Ave": "AvgPool3D"}
MOST_AXES = 6
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Conv2DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv2D)
CONVOLUTIONS += DEPTHWISE
LOOPS = (layers.RNN, layers.Bidirectional)
RANKS = ("Argmax", "Argmin", "Argsort", "Best", "Sort", "TopK")
IDLE = (layers.Dropout, layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout)
IDLE += (layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D)
IDLE += (layers.ActivityRegularization,)


@dataclass(frozen=True)
class Finding:
    """What becomes of a layer in a file.

    Attributes:
        layer: Path of the layer, as `blocks.flatten` names it, or name of an operation in none.
        kind: `"refused"`, `"slow"`, `"inexact"` or `"rewritten"`.
        what: What was found, or done.
        instead: What to use instead.
        op: The TensorFlow operation that LiteRT has no kernel for, or `None`.
    """

    layer: str
    kind: str
    what: str
    instead: str = ""
    op: str | None = None


def findings(graph, precision, rounds=True):
    """Return the `Finding`s about a flat graph in a file of a precision.

    Args:
        graph: A functional model of leaves.
        precision: A key of `parity.TOLERANCES`.
        rounds: Whether an int8 file takes its ranges from samples.
    """
    nodes = nodes_between(graph.outputs, {id(x) for x in graph.inputs})
    found = []
    for node in nodes:
        if op := lacking(node):
            found.append(
                Finding(place(node), "refused", f"no kernel: {op}", INSTEAD.get(op, ""), op)
            )
    loops = [place(x) for x in nodes if loops_in(x.operation)]
    if precision == "int8" and rounds:
        step = "unroll=True and a fixed length (input_shape=), or precision='dynamic'"
        found += [Finding(x, "refused", "a loop in int8", step, "While") for x in loops]
        both = [place(x) for x in nodes if _joins_directions(x.operation)]
        what = "the sequences of both directions in one tensor of 8 bits"
        found += together(both, "inexact", what, 'merge_mode="sum", or precision="dynamic"')
        ranks = [place(x) for x in nodes if type(x.operation).__name__ in RANKS and floats(x)]
        found += together(ranks, "inexact", "ranks what has 256 steps", ALONE)
    else:
        what = "a loop, which no delegate takes"
        found += together(loops, "slow", what, "unroll=True where the length is short")
    if precision == "dynamic":
        deep = [place(x) for x in nodes if isinstance(x.operation, DEPTHWISE)]
        what = "a depthwise convolution with weights of 8 bits and floats, which no delegate takes"
        found += together(deep, "slow", what, '"float16", "weight_only" or "int8"')
    return found + vanishing(nodes, graph.outputs)


def vanishing(nodes, outputs):
    """Return what is said of layers of which the converter leaves nothing."""
    readers = {}
    for node in nodes:
        for x in node.input_tensors:
            readers.setdefault(id(x), []).append(node)
    ends = {id(x) for x in outputs}
    folded = []
    for node in nodes:
        if type(node.operation) is not layers.BatchNormalization:
            continue
        x = node.input_tensors[0]
        before = x._keras_history.operation
        takes = isinstance(before, (*CONVOLUTIONS, layers.Dense))
        if takes and before.activation is keras.activations.linear and len(readers[id(x)]) == 1:
            folded += [place(node)] * (id(x) not in ends)
    idle = [place(x) for x in nodes if isinstance(x.operation, IDLE)]
    return together(folded, "rewritten", "folded into the weights before it") + together(
        idle, "rewritten", "left out: it does nothing at inference"
    )


def lacking(node):
    """Return the TensorFlow operation without a kernel that a node needs, or `None`.

    Only Keras's own operations are known; what a layer of somebody else computes shows when it is
    converted.
    """
    operation, name = node.operation, type(node.operation).__name__
    if not type(operation).__module__.startswith("keras."):
        return None
    if name in WITHOUT:
        return WITHOUT[name]
    if name in ("Argmax", "Argmin"):
        return "BitwiseAnd" if floats(node) else None
    said = vars(operation).get
    rank = len(node.input_tensors[0].shape)
    if name in ("Resize", "Resizing", "UpSampling2D"):
        how, smooth = (
            said("interpolation"),
            said("antialias") and said("interpolation") != "nearest",
        )
        if smooth or str(how).startswith("lanczos"):
            return "ScaleAndTranslate"
        return "ResizeBicubic" if how == "bicubic" else None
    if name in ("MaxPool", "AveragePool", "MaxPooling3D", "AveragePooling3D"):
        return POOLS[name[:3]] if rank == 5 else None
    if name in ("CategoryEncoding", "Discretization"):
        return "DenseBincount" if said("output_mode") in ("multi_hot", "count") else None
    if name == "Conv3D" and max(operation.dilation_rate) > 1:
        return "SpaceToBatchND"
    if name == "Conv3D" and operation.groups > 1:
        return "Conv3D"
    if name == "Conv2DTranspose" and max(operation.dilation_rate) > 1:
        return "Conv2DBackpropInput"
    if name in ("Transpose", "Mean", "Sum", "Permute") and rank > MOST_AXES:
        return "Transpose" if name == "Permute" else name
    if said("flash_attention") or said("_flash_attention"):
        return "FlashAttention"
    return "AssignVariableOp" if said("stateful") else None


def loops_in(operation):
    """Return whether a layer computes in a loop."""
    if isinstance(operation, layers.Bidirectional):
        return loops_in(operation.forward_layer) or loops_in(operation.backward_layer)
    return isinstance(operation, layers.RNN) and not operation.unroll


def _joins_directions(operation):
    both = isinstance(operation, layers.Bidirectional)
    return both and operation.return_sequences and operation.merge_mode == "concat"


def place(node):
    """Return the path of the layer that a node is, or that it stands in."""
    name = path_of(node.operation)
    inside = "" if isinstance(node.operation, layers.Layer) else name.rpartition(".")[0]
    return inside or name


def together(places, kind, what, instead=""):
    """Return one `Finding` for all places, or none."""
    places = list(dict.fromkeys(places))
    if not places:
        return []
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return [Finding(places[0] + more, kind, what, instead)]


def floats(node):
    """Return whether a node reads floats."""
    return "float" in node.input_tensors[0].dtype
