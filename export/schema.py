"""What a `.tflite` file says of itself, read without running it."""

import struct
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from export.signature import Tensor

# What reading random bytes as tables leads to.
DAMAGE = (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error)


@dataclass(frozen=True)
class FileFacts:
    """The operations of a file, over all its subgraphs, and the inputs and outputs by name.

    `inputs` and `outputs` are of the signature that was asked for, by default the first; `custom`
    names the operations that are not LiteRT's own, Flex ones (TensorFlow's) included.
    """

    ops: Counter
    inputs: list
    outputs: list
    signatures: tuple = ()
    custom: tuple = ()


def read(path, signature=None):
    """Return the `FileFacts` of the file at `path`; custom and Flex operations keep their names.

    Raises:
        ValueError: If it is no `.tflite` file, or has no such signature.
    """
    from ai_edge_litert import schema_py_generated as schema

    content = Path(path).read_bytes()
    if not schema.Model.ModelBufferHasIdentifier(content, 0):
        raise ValueError(f"A .tflite file is needed. Received: path={str(path)!r}.")
    try:
        facts, by_signature = _facts(schema, schema.Model.GetRootAs(content, 0))
    except DAMAGE as error:
        raise ValueError(f"The .tflite file is damaged. Received: path={str(path)!r}.") from error
    if signature is None:
        return facts
    if signature not in by_signature:
        raise ValueError(
            f"The file's signatures are {', '.join(by_signature) or 'none'}. "
            f"Received: signature={signature!r}."
        )
    return replace(facts, inputs=by_signature[signature][0], outputs=by_signature[signature][1])


def _facts(schema, model):
    graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
    names = _names(schema.BuiltinOperator)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    custom = tuple(_op_name(x, names) for x in codes if names[_builtin(x)] == "CUSTOM")
    codes = [_op_name(x, names) for x in codes]
    ops = Counter(
        codes[graph.Operators(i).OpcodeIndex()]
        for graph in graphs
        for i in range(graph.OperatorsLength())
    )
    types = _names(schema.TensorType)
    if not model.SignatureDefsLength():
        graph = graphs[0]
        tensors = [_tensor(None, graph, i, types) for i in graph.InputsAsNumpy()]
        made = [_tensor(None, graph, i, types) for i in graph.OutputsAsNumpy()]
        return FileFacts(ops, tensors, made, custom=custom), {}
    found = {}
    for signature in map(model.SignatureDefs, range(model.SignatureDefsLength())):
        graph = graphs[signature.SubgraphIndex()]
        inputs = [signature.Inputs(i) for i in range(signature.InputsLength())]
        outputs = [signature.Outputs(i) for i in range(signature.OutputsLength())]
        found[(signature.SignatureKey() or b"").decode()] = tuple(
            [_tensor(x.Name(), graph, x.TensorIndex(), types) for x in tensors]
            for tensors in (inputs, outputs)
        )
    return FileFacts(ops, *next(iter(found.values())), tuple(found), custom), found


def _names(enum):
    return {
        value: name
        for name, value in vars(enum).items()
        if isinstance(value, int) and not name.startswith("_")
    }


def _builtin(code):
    return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())


def _op_name(code, names):
    name = names[_builtin(code)]
    return code.CustomCode().decode() if name == "CUSTOM" else name


def _tensor(name, graph, index, types):
    tensor = graph.Tensors(int(index))
    shape = tuple(tensor.ShapeAsNumpy().tolist()) if tensor.ShapeLength() else ()
    return Tensor((name or tensor.Name() or b"").decode(), shape, types[tensor.Type()].lower())
