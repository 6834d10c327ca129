"""ONNX files: written by Keras's exporter, read, and run by onnxruntime."""

import contextlib
import importlib.util
import logging
import warnings
from collections import Counter
from pathlib import Path

import keras
import numpy as np

from export import advice, delegated, signature
from export.errors import ExportError
from export.process import WorkerCrash, WorkerError, answered
from export.schema import FileFacts
from export.signature import Tensor

NEEDED = ("onnx", "onnxruntime", "tf2onnx")


def check_installed(*names):
    """Raise where a library is missing that ONNX files need."""
    missing = [name for name in names or NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(
            f"ONNX files need {', '.join(names or NEEDED)}. Received: no {', '.join(missing)}. "
            "pip install 'keras-blocks[onnx]'"
        )


def write(model, path, input_shape=None, batch=None, opset=None):
    """Write `model` to `path`; inputs and outputs have the names of `signature`.

    Args:
        model: A model that `float32.rebuilt` returned, fused (TensorFlow backend).
        path: Where to write.
        input_shape: See `signature.inputs_of`.
        batch: The batch size; `None` leaves it open.
        opset: Version of ONNX's operations; by default the exporter's.
    """
    import onnx

    graph = signature.graph_of(model)
    specs = [
        keras.InputSpec(shape=(batch, *x.shape[1:]), dtype=x.dtype, name=x.name)
        for x in signature.inputs_of(model, input_shape)
    ]
    named = keras.Model(graph.inputs, dict(zip(signature.output_names(model), graph.outputs)))
    with _quiet(), delegated.for_precision(model, "float32"):
        _teach_erfc()
        named.export(
            path, format="onnx", verbose=False, input_signature=[specs], opset_version=opset
        )
    written = onnx.load(path)
    if batch is None:
        for x in (*written.graph.input, *written.graph.output):
            if x.type.tensor_type.shape.dim:
                x.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(written, path)


def check_operations(path, model):
    """Raise where tf2onnx left an operation of TensorFlow in the file of a model."""
    import onnx

    nodes = _nodes(onnx.load(path).graph)
    foreign = {x.op_type: x.name for x in nodes if not onnx.defs.has(x.op_type, x.domain)}
    if foreign:
        raise advice.foreign(foreign, model, "An ONNX file holds operations of ONNX only")


@contextlib.contextmanager
def _quiet():
    """Keep tf2onnx from logging what is raised later, and Keras's patch of it from warning."""
    log = logging.getLogger("tf2onnx")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*np.object", category=FutureWarning)
            yield
    finally:
        log.setLevel(before)


def _teach_erfc():
    """Let tf2onnx write Erfc, which TensorFlow's exact GELU is made of, as 1 - Erf."""
    from tf2onnx import handler, utils

    @handler.tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, ctx, node, **kwargs):
            kind = utils.map_onnx_to_numpy_type(ctx.get_dtype(node.output[0]))
            one = ctx.make_const(utils.make_name("one"), np.array(1, kind))
            erf = ctx.make_node("Erf", node.input).output[0]
            shapes, types = [ctx.get_shape(node.output[0])], [ctx.get_dtype(node.output[0])]
            ctx.remove_node(node.name)
            ctx.make_node(
                "Sub",
                [one.output[0], erf],
                name=node.name,
                outputs=node.output,
                shapes=shapes,
                dtypes=types,
            )


def read(path, signature=None):
    """Return the `FileFacts` of the ONNX file at `path`; open sizes are `None`.

    Raises:
        ValueError: If it is no ONNX file.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ValueError(f"A whole .onnx file is needed. Received: path={str(path)!r}.") from error
    constants = {x.name for x in model.graph.initializer}
    return FileFacts(
        Counter(x.op_type for x in _nodes(model.graph)),
        [_tensor(x) for x in model.graph.input if x.name not in constants],
        [_tensor(x) for x in model.graph.output],
    )


def opset_of(path):
    """Return the version of ONNX's operations in a file."""
    import onnx

    known = onnx.load(path, load_external_data=False).opset_import
    return next(x.version for x in known if x.domain in ("", "ai.onnx"))


def _nodes(graph):
    for node in graph.node:
        yield node
        for value in node.attribute:
            for inner in (*value.graphs, *([value.g] if value.HasField("g") else [])):
                yield from _nodes(inner)


def _tensor(x):
    import onnx

    kind = x.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    return Tensor(x.name, shape, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name)


def run(path, samples, signature=None):
    """Return the file's answers to `samples`, as `reference.run` does of a `.tflite` file."""
    try:
        return answered("run_onnx", path, samples)
    except (WorkerError, WorkerCrash) as error:
        said = " ".join(str(error).split())[:500]
        raise ExportError(
            f"A file must run on onnxruntime. Received: {Path(path).name!r}, {said}"
        ) from error
