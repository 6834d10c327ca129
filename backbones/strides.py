"""How much smaller than the image each tensor of a graph is, counted along the graph."""

from keras import layers

# Operations that may read every second position, or put positions into channels.
RESAMPLERS = ("GetItem", "Resize", "Resizing", "ExtractPatches", "Reshape")


def strides_of(nodes):
    """Return the stride of every tensor of a flat graph, by id; `None` where it has none.

    A tensor has a stride if it is a map, `(batch, height, width, channels)`, on the way down:
    not a pooled vector, and not what an up-sampling made.
    """
    strides = {}
    image = None
    for node in nodes:
        for y in node.outputs:
            if not node.input_tensors:  # an input
                strides[id(y)] = 1 if len(y.shape) == 4 else None
                image = y if len(y.shape) == 4 else image
            else:
                strides[id(y)] = _stride(node, y, strides, image)
    return strides


def _stride(node, y, strides, image):
    operation = node.operation
    if getattr(operation, "data_format", None) == "channels_first" and len(y.shape) == 4:
        raise ValueError(
            "Maps have their channels on the last axis, as mobile runtimes take them. "
            f"Received: layer {operation.name!r} with data_format='channels_first'."
        )
    kind = type(operation).__name__
    if len(y.shape) != 4 or "Global" in kind:
        return None
    maps = [x for x in node.input_tensors if strides[id(x)] is not None]
    if not maps:
        return _from_tokens(node.input_tensors[0], y, image) if kind == "Reshape" else None
    x = max(maps, key=lambda x: strides[id(x)])
    stride = strides[id(x)]
    if "Transpose" in kind or isinstance(operation, layers.UpSampling2D):
        return None
    if hasattr(operation, "strides"):
        steps = operation.strides or operation.pool_size  # a pooling operation's default
        return stride * (max(steps) if isinstance(steps, (list, tuple)) else steps)
    if y.shape[1] == 1 and x.shape[1] != 1:  # a mean over all positions
        return None
    if kind not in RESAMPLERS or None in (x.shape[1], y.shape[1]):
        return stride
    if kind.startswith("Resiz") and stride == 1:  # the image is brought to the network's size
        return stride
    return stride * round(x.shape[1] / y.shape[1]) or None  # None: made larger


def _from_tokens(x, y, image):
    """Return the stride of tokens that are laid out as a map again, from its size."""
    height, width, channels = y.shape[1:]
    if image is None or None in (*image.shape[1:3], *y.shape[1:]) or height < 2:
        return None
    if tuple(x.shape[1:]) != (height * width, channels):  # not tokens, but heads or a vector
        return None
    strides = {round(image.shape[1] / height), round(image.shape[2] / width)}
    return strides.pop() if len(strides) == 1 else None
