"""Where the stages of a network end: the last block's output at every stride."""

import keras
from keras import layers

from backbones.strides import strides_of

NORMS = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.RMSNormalization,
)
ACTIVATIONS = (layers.Activation, layers.ReLU, layers.PReLU, layers.LeakyReLU, layers.ELU)
DEPTHWISE = (layers.DepthwiseConv2D, layers.SeparableConv2D)
CONVS = (layers.Conv2D, *DEPTHWISE)
MERGES = ("Add", "Concatenate", "Maximum", "Average")
DEEPEST_BLOCK = 4  # convolutions from a block's input to its strided one: Inception has 3


def stage_ends(nodes):
    """Return the tensor that ends each stage of a flat graph, as `{"P1": …, "P2": …}`.

    All ways from a stage to the next go through its end, or the end is the last merge of the
    stage where they are many (NASNet's cells read from two cells before). Behind that
    tensor, a block may open with layers of its own before the stride: they are cut off.
    """
    strides = strides_of(nodes)
    maker = {id(x): node for node in nodes for x in node.outputs}
    depth, parent = _dominators(nodes, maker)
    length = {}  # of the longest way from an input
    for node in nodes:
        length[id(node)] = 1 + max(
            (length[id(maker[id(x)])] for x in node.input_tensors), default=0
        )
    ends = {}
    for stride in sorted({s for s in strides.values() if s and s > 1}):
        if stride & (stride - 1):  # no power of two has no level
            continue
        stage = [n for n in nodes if strides[id(n.outputs[0])] == stride]
        exits = [
            (maker[id(x)], node)
            for node in nodes
            for x in node.input_tensors
            if strides[id(x)] == stride and (strides[id(node.outputs[0])] or 0) > stride
        ]
        if not exits:
            end = stage[-1]
        else:
            end = _nearest(depth, parent, [source for source, _ in exits])
            if end not in stage or _convs_between(end, exits, maker) > DEEPEST_BLOCK:
                merges = [n for n in stage if type(n.operation).__name__ in MERGES]
                end = max(merges or stage, key=lambda n: length[id(n)])
            else:
                end = _block_end(end, [node for _, node in exits], maker)
        ends[f"P{stride.bit_length() - 1}"] = end.outputs[0]
    return ends


def _dominators(nodes, maker):
    """Return each node's depth in the dominator tree, and its parent there."""
    depth, parent = {}, {}
    for node in nodes:
        above = [maker[id(x)] for x in node.input_tensors]
        if above:
            parent[id(node)] = _nearest(depth, parent, above)
        up = parent.get(id(node))
        depth[id(node)] = depth[id(up)] + 1 if up else 0
    return depth, parent


def _nearest(depth, parent, nodes):
    """Return the nearest node that all ways from the inputs to these nodes go through."""
    first, *others = nodes
    for other in others:
        while first is not other and first is not None and other is not None:
            if depth[id(first)] >= depth[id(other)]:
                first = parent.get(id(first))
            else:
                other = parent.get(id(other))
        if first is not other:
            return None
    return first


def _convs_between(end, exits, maker):
    """Return the most convolutions on a way from `end` to an exit."""
    count = {id(end): 0}

    def most(node):
        stack = [node]
        while stack:
            node = stack[-1]
            above = [maker[id(x)] for x in node.input_tensors]
            todo = [n for n in above if id(n) not in count]
            if id(node) not in count and todo:
                stack += todo
                continue
            stack.pop()
            if id(node) not in count:
                best = max((count[id(n)] for n in above), default=-(10**6))
                count[id(node)] = best + isinstance(node.operation, CONVS)
        return count[id(node)]

    return max(most(source) for source, _ in exits)


def _block_end(end, exits, maker):
    """Return the node before the layers with which the next block opens."""
    chain = [end]  # back along single inputs
    while len(chain) < 8 and len(chain[-1].input_tensors) == 1:
        chain.append(maker[id(chain[-1].input_tensors[0])])
    start = 0
    while isinstance(chain[start].operation, (layers.ZeroPadding2D, layers.Cropping2D)):
        start += 1
    rest = chain[start:]
    widened = _match(rest, [ACTIVATIONS, NORMS, CONVS]) or _match(rest, [NORMS, CONVS])
    if widened and all(_is_depthwise(node) for node in exits):
        before = rest[widened]
        if not _is(before, ACTIVATIONS) and _pointwise(rest[widened - 1]):
            # An inverted residual widens what came linear, MobileNetV4's convolves it before.
            return rest[widened + _match(rest[widened:], [NORMS, DEPTHWISE])]
    for opening in ([CONVS, ACTIVATIONS, NORMS], [ACTIVATIONS, NORMS], [NORMS]):
        length = _match(rest, opening)
        if length and type(rest[length].operation).__name__ in MERGES:
            return rest[length]  # a block that normalizes first, as DenseNet and ConvNeXt
    return rest[0]


def _match(chain, kinds):
    """Return the length of `kinds` if the chain begins with them and goes on, else 0."""
    fits = len(chain) > len(kinds) and all(_is(node, kind) for node, kind in zip(chain, kinds))
    return len(kinds) if fits else 0


def _is(node, kinds):
    linear = getattr(node.operation, "activation", None) is keras.activations.linear
    return isinstance(node.operation, kinds) and not (kinds is ACTIVATIONS and linear)


def _is_depthwise(node):
    operation = node.operation
    one_each = getattr(operation, "groups", 1) == node.input_tensors[0].shape[-1] > 1
    return isinstance(operation, DEPTHWISE) or one_each


def _pointwise(node):
    return getattr(node.operation, "kernel_size", None) == (1, 1)
