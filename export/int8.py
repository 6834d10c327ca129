"""Files of 8 bits, made of float ones; the worker process runs this."""

import re
from collections import Counter

import numpy as np

OUTPUT = "output:"  # before the name of an output, among patterns of scopes
# XNNPACK, LiteRT's quick kernels, leaves these out in 8 bits; the reference kernels take up to ten
# times as long as floats do. The results of some have fixed ranges, of 256 steps.
FLOATING = {"EXP", "GELU", "L2_NORMALIZATION", "LOG_SOFTMAX", "PRELU", "RSQRT", "SOFTMAX"}
FLOATING |= {"SELECT", "SELECT_V2", "SQUARED_DIFFERENCE"}  # masks fill in what is far from all else
WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"}
FIXED = {"SOFTMAX", "LOG_SOFTMAX", "LOGISTIC", "TANH", "L2_NORMALIZATION"}  # have one range always
# What has one range on both sides in 8 bits.
SAME_RANGE = {"AVERAGE_POOL_2D", "CONCATENATION", "EXPAND_DIMS", "GATHER", "MAX_POOL_2D"}
SAME_RANGE |= {"MIRROR_PAD", "PACK", "PAD", "PADV2", "RESHAPE", "RESIZE_BILINEAR"}
SAME_RANGE |= {"RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "SLICE", "SPLIT", "SPLIT_V", "SQUEEZE"}
SAME_RANGE |= {"STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK"}
TINY = 1e-12  # LiteRT takes no file of smaller numbers; units that are dead have them
FAR = 1e6  # larger numbers are masks
BOUNDS = {"MAXIMUM", "MINIMUM"}  # they, too; what they alone read is cut off by its range
STEPS = {"ADD", "CAST", "MUL", "NEG", "SUB"}  # that masks are made by
SCORED = {"LOG_SOFTMAX", "SOFTMAX"}
CUT = {"GELU", "LOGISTIC", "MAXIMUM", "MINIMUM", "REDUCE_MAX", "REDUCE_MIN", "TANH", "TOPK_V2"}
SATURATED = {"LOGISTIC": 16, "TANH": 8}  # beyond which they give the same
MOST = 8  # times a term that a sum may be, for 32 of 256 steps to be left to it
MANY = 100  # few sums of features are so large; masks are


def inside(content):
    """Return a file with the weights in its flatbuffer that lie behind it."""
    model, builder = opened(content)
    bring_inside(model, content)
    return closed(model, builder)


def bring_inside(model, content):
    """Give the buffers of a file's objects the data that lies behind its flatbuffer."""
    for buffer in model.buffers:
        if (buffer.offset or 0) > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0


def opened(content):
    """Return a file as objects, and the builder that writes them."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for graph in model.subgraphs:  # of outputs that are inputs
        graph.operators = [] if graph.operators is None else graph.operators
    return model, flatbuffers.Builder(len(content))


def closed(model, builder):
    """Return the file of objects."""
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def quantized(content, floating=()):
    """Return the int8 file of a calibrated one, of which what patterns find stays in floats.

    So do the operations that LiteRT computes worse in 8 bits: see `FLOATING`.
    """
    from tensorflow.lite.python.convert import mlir_quantize

    model, builder = opened(content)
    endless = unbounded(model)
    widen_ranges(model)
    stay, several = tensors_of(floating, model, endless)
    if not stay:
        return mlir_quantize(closed(model, builder))
    drop_ranges(model, stay)
    return mlir_quantize(closed(model, builder), denylisted_nodes=stay, denylisted_ops=several)


def kinds_of(model):
    """Return the names of a file's kinds of operations, as its operations count them."""
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    return [names[max(x.builtinCode, x.deprecatedBuiltinCode)] for x in model.operatorCodes or ()]


def ranged(model):
    """Return the places of what a calibrated file reads and computes, where it knows a range."""
    graph = model.subgraphs[0]
    places = {*graph.inputs, *(x for operation in graph.operators for x in operation.outputs)}
    return [int(x) for x in sorted(places) if _ranges(graph, [x])]


def set_ranges(model, ranges):
    """Give the tensors of a calibrated file the least and the largest number they had."""
    for place, ends in ranges.items():
        known = model.subgraphs[0].tensors[place].quantization
        known.min, known.max = (np.float32(x) for x in zip(*ends))


def unbounded(model):
    """Return the places of what had infinite numbers, which `set_ranges` noted; forget them."""
    graph = model.subgraphs[0]
    found = {i for i in range(len(graph.tensors)) for x in _ranges(graph, [i]) if len(x.min) > 1}
    for x in _ranges(graph, found):
        x.min, x.max = x.min[:1], x.max[:1]
    return found


def widen_ranges(model):
    """Widen the ranges of a calibrated file: nothing that is moved, joined or pooled is cut off.

    The converter may give what is read the range of what is made, for all else that reads it, too.
    """
    graph, kinds = model.subgraphs[0], kinds_of(model)
    for x in _ranges(graph, range(len(graph.tensors))):
        if _size(x) < TINY:
            x.max = np.ones_like(x.max)
    reads = Counter([i for x in graph.operators for i in x.inputs] + list(graph.outputs))
    for operation in graph.operators:
        kind, read = kinds[operation.opcodeIndex], operation.inputs
        read = [x for x in read if reads[x] > 1] if kind in BOUNDS else read
        given, made = _ranges(graph, read), _ranges(graph, operation.outputs)
        if given and kind in SAME_RANGE | BOUNDS:
            _widen(made, [*given, *made])


def _widen(some, by):
    """Give ranges the least and the largest number of others."""
    for x in some:
        x.min, x.max = np.min([y.min for y in by], axis=0), np.max([y.max for y in by], axis=0)


def _ranges(graph, places):
    """Return the ranges of the tensors at places, of those that have one."""
    found = [graph.tensors[x].quantization for x in places if x >= 0]
    return [x for x in found if x is not None and x.min is not None]


def drop_ranges(model, names):
    """Leave a file's tensors of these names without a range, so not of 8 bits.

    The list is not enough: between its operations values were rounded to 8 bits and back. What an
    operation of 8 bits reads keeps its range, which the converter gives to all joined with it.
    """
    names = {name.encode() for name in names}
    graph, kinds = model.subgraphs[0], kinds_of(model)
    stay = {i for i, tensor in enumerate(graph.tensors) if tensor.name in names}
    for x in reversed(graph.operators):
        given = _ranges(graph, x.inputs)
        if kinds[x.opcodeIndex] in SAME_RANGE and len(given) > 1 and stay & set(x.outputs):
            _widen(given, [*given, *_ranges(graph, x.outputs)])
    others = [x for x in graph.operators if stay.isdisjoint(x.outputs)]
    for i in stay.difference(*(x.inputs for x in others)):
        graph.tensors[i].quantization = None


def tensors_of(patterns, model, ends):
    """Return the names of tensors at places, of those whose scope patterns find, and what follows.

    A convolution or a dense layer behind them takes 8 bits again, and what follows it. What
    operations of `FLOATING` make is found, too. Operations of several outputs are not known by the
    names of these, so their kinds are returned as well.
    """
    graph, kinds = model.subgraphs[0], kinds_of(model)
    names = [x.name.decode() for x in graph.tensors]
    scope = re.compile("|".join(x for x in patterns if not x.startswith(OUTPUT)) or "(?!)")
    made = [x for signature in model.signatureDefs or () for x in signature.outputs]
    asked = {x.tensorIndex for x in made if OUTPUT + x.name.decode() in patterns}
    if patterns and not asked and not any(map(scope.search, names)):
        raise ValueError(f"The file must name the operations of its layers. Received: {patterns}.")
    ends = asked | ends | in_floats(graph, kinds)
    found, several = {}, {"TOPK_V2"}
    for operation in graph.operators:
        again = kinds[operation.opcodeIndex] in WEIGHTED
        follows = not again and any(x in found for x in operation.inputs)
        if follows or any(x in ends or scope.search(names[x]) for x in operation.outputs):
            found.update((x, names[x]) for x in operation.outputs)
            several |= {kinds[operation.opcodeIndex]} if len(operation.outputs) > 1 else set()
    return list(found.values()), sorted(several)


def in_floats(graph, kinds):
    """Return the places of the tensors that operations of `FLOATING` make, and what is like them.

    These are products of two results, as in attention, the means that variances are around,
    probabilities and the like that are the answer, numbers beyond `FAR` with what makes them, and
    sums that are `masked`.
    """
    from ai_edge_litert import schema_py_generated as schema

    makers = {made: x for x in graph.operators for made in x.outputs}
    computed = makers.keys() | set(graph.inputs)
    found, answers, far = masked(graph, kinds), set(graph.outputs), set()
    for operation in reversed(graph.operators):
        kind, read, made = kinds[operation.opcodeIndex], operation.inputs, set(operation.outputs)
        if kind in SAME_RANGE and made & answers:
            answers.update(read)
        large = any(x > FAR for x in _sizes(graph, made))
        masks = kind in STEPS | SAME_RANGE and (large or made & far)
        far.update(read if masks else ())
        product = kind == "BATCH_MATMUL" and computed.issuperset(read)
        if kind in FLOATING or product or masks or kind in FIXED and made & answers:
            found |= made
        if kind == "SQUARED_DIFFERENCE":
            befores = [makers[x] for x in read if x in makers]
            means = [x for x in befores if kinds[x.opcodeIndex] == "MEAN"]
            found.update(x for mean in means for x in mean.outputs)
    return {x for x in found if graph.tensors[x].type == schema.TensorType.FLOAT32}


def masked(graph, kinds):
    """Return the places of sums that masks may be in, which keep no step for their other term.

    So are sums of scores, sums that are far larger than a term and than all that is made of them,
    and large ones in which a term has less than four steps.
    """
    found, behind = set(), {x: {None: 0} for x in graph.outputs}  # by place: what reads it, sizes
    for operation in reversed(graph.operators):
        kind, made = kinds[operation.opcodeIndex], operation.outputs
        reads = {kind: SATURATED.get(kind) or max(_sizes(graph, made), default=0)}
        if kind in SAME_RANGE:
            moved = [each for place in made for each in behind.get(place, {}).items()]
            reads = {key: max(x for other, x in moved if other == key) for key, _ in moved}
        for x in operation.inputs:
            known = behind.setdefault(x, {})
            known.update({key: max(size, known.get(key, 0)) for key, size in reads.items()})
        whole, terms = _sizes(graph, made), _sizes(graph, operation.inputs)
        if kind in {"ADD", "SUB"} and whole and terms and made[0] in behind:
            reads, few = behind[made[0]], min(terms) * MOST < whole[0]
            cut = reads.keys() & CUT and reads.keys() <= CUT | {"MUL"}
            vanishes = few and cut and max(reads.values()) * MOST < whole[0]
            less = whole[0] > MANY and min(terms) * 64 < whole[0]
            if reads.keys() <= SCORED or vanishes or less:
                found.update(made)
    return found


def _sizes(graph, places):
    return [_size(x) for x in _ranges(graph, places)]


def _size(known):
    """Return the largest size of a number in a range."""
    return max(-known.min[0], known.max[0])
