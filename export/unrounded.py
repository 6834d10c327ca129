"""Files of 8 bits without rounding where floats follow floats; the worker process runs this."""


def unround(graph, kinds, fixed):
    """Let nothing between operations in floats be rounded to a fixed range.

    The converter rounds what a softmax, a sigmoid or tanh gives, whatever reads it: of two hundred
    positions, all weights of attention would be a step or none.

    Args:
        graph: The graph of a file as objects, which is changed.
        kinds: Names of its kinds of operations.
        fixed: Those whose results have one range always.
    """
    makers = {x.outputs[0]: x for x in graph.operators if len(x.outputs) == 1}

    def made_by(tensor, some):
        maker = makers.get(tensor)
        return maker if maker is not None and kinds[maker.opcodeIndex] in some else None

    exact = {}  # by tensor: what it was before it was rounded
    for back in [x for x in graph.operators if kinds[x.opcodeIndex] == "DEQUANTIZE"]:
        rounds = made_by(back.inputs[0], {"QUANTIZE"})
        if rounds and made_by(rounds.inputs[0], fixed) and back.outputs[0] not in graph.outputs:
            exact[back.outputs[0]] = rounds.inputs[0]
    for back in [x for x in (made_by(y, {"DEQUANTIZE"}) for y in graph.outputs) if x]:
        _swap(graph, made_by(back.inputs[0], {"SOFTMAX", "LOGISTIC"}), back)
    for operation in graph.operators:
        operation.inputs = [exact.get(x, x) for x in operation.inputs]
    graph.operators = [x for x in graph.operators if x.outputs[0] not in exact]
    read = {i for x in graph.operators for i in x.inputs} | set(graph.outputs)
    graph.operators = [
        x
        for x in graph.operators
        if x.outputs[0] in read or made_by(x.outputs[0], {"QUANTIZE"}) is None
    ]


def _swap(graph, answer, back):
    """Let what gives an answer in 8 bits compute in floats: it reads what it was brought `back`."""
    between, after = back.inputs[0], back.outputs[0]
    alone = [x for x in graph.operators if {between, after} & set(x.inputs)] == [back]
    if answer is None or not alone or between in graph.outputs:
        return
    given, tensor = graph.tensors[answer.inputs[0]], graph.tensors[between]
    tensor.type, tensor.quantization = graph.tensors[after].type, None
    tensor.shape, tensor.shapeSignature = given.shape, given.shapeSignature
    back.inputs, answer.inputs = answer.inputs, [between]
    back.outputs, answer.outputs = [between], back.outputs
    rest = [x for x in graph.operators if x is not answer and x is not back]
    graph.operators = [*rest, back, answer]  # nothing reads it
