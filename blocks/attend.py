"""The product of attention: values mixed by how well queries and keys agree."""

from keras import backend, layers, ops

from blocks.base import PlainArguments, register

# How far below the lowest score a hidden one is put. exp(-24) times a thousand positions is still
# less than float32 resolves beside 1, and little enough to leave int8 its resolution.
MARGIN = 24.0


@register
class ScaledDotProduct(PlainArguments, layers.Layer):
    """Mix values by the softmax of how well their keys agree with each query.

    Shape: a list of queries, `(batch, length, heads, width)`, and keys and values,
    `(batch, other_length, kv_heads, width)`, to the shape of the queries. `visible`, boolean
    and broadcast to `(batch, heads, length, other_length)`, hides keys from queries.

    Args:
        causal: Whether a query sees only keys of its own position and those before it.

    >>> key = value = np.ones((1, 3, 1, 4))
    >>> ScaledDotProduct()([np.ones((1, 5, 2, 4)), key, value]).shape
    (1, 5, 2, 4)
    """

    def __init__(self, causal=False, **kwargs):
        super().__init__(**kwargs)
        self.causal = causal

    def call(self, inputs, visible=None):
        query, key, value = inputs
        if self.causal:
            place = ops.arange(ops.shape(query)[1], dtype="int32")
            earlier = place[:, None] >= place[None, :]
            visible = earlier if visible is None else ops.logical_and(visible, earlier)
        return attend(query, key, value, visible=visible)

    def compute_output_shape(self, input_shape):
        query, _, value = input_shape
        return (*query[:-1], value[-1])


def attend(query, key, value, *, bias=None, visible=None):
    """Return `value` mixed for every query, `(..., length, heads, width)`.

    Hidden keys weigh exactly 0, and a query that sees nothing reads zeros. No score is
    replaced by a huge negative number, which would take the whole range of an int8 tensor.

    Args:
        query: `(..., length, heads, width)`.
        key: `(..., other_length, kv_heads, width)`; each is read by `heads / kv_heads` heads.
        value: As `key`.
        bias: Numbers added to the scores, broadcast to `(..., heads, length, other_length)`.
        visible: Booleans, broadcast likewise: whether a query may read a key.
    """
    groups = query.shape[-2] // key.shape[-2]
    if groups > 1:
        key, value = (ops.repeat(x, groups, axis=-2) for x in (key, value))
    if bias is None and visible is None and len(query.shape) == 4:
        # Scaled before the product: on TensorFlow it is made in half floats, which end at 65504.
        return ops.dot_product_attention(query * query.shape[-1] ** -0.5, key, value, scale=1.0)
    query, key, value = (ops.swapaxes(x, -3, -2) for x in (query, key, value))
    scores = ops.matmul(query * query.shape[-1] ** -0.5, ops.swapaxes(key, -2, -1))
    if bias is not None:
        scores = scores + ops.cast(bias, scores.dtype)
    scores = wide(scores)
    weights = ops.softmax(scores) if visible is None else masked_softmax(scores, visible)
    return ops.swapaxes(ops.matmul(ops.cast(weights, value.dtype), value), -3, -2)


def masked_softmax(scores, visible):
    """Return the softmax over the visible scores of the last axis; hidden ones weigh 0."""
    floor = ops.min(scores, axis=-1, keepdims=True) - MARGIN
    weights = ops.softmax(ops.where(visible, scores, ops.stop_gradient(floor)))
    return weights * ops.cast(visible, weights.dtype)


def wide(x):
    """Return `x` in at least float32, in which sums over many positions are safe."""
    return ops.cast(x, backend.result_type(x.dtype, "float32"))


def head_width(channels, num_heads):
    """Return the channels of a head, or say that the heads do not divide them."""
    width, rest = divmod(channels, num_heads)
    if rest:
        raise ValueError(
            "`num_heads` must divide the channels. "
            f"Received: num_heads={num_heads}, channels={channels}."
        )
    return width


def key_mask(mask):
    """Return a mask of positions, `(batch, length)`, as one that all heads and queries see."""
    if mask is None:
        return None
    if len(mask.shape) != 2:
        raise ValueError(
            "A mask says which positions there are, (batch, length). "
            f"Received: shape {tuple(mask.shape)}. `causal=True` hides what comes later."
        )
    return ops.cast(mask, "bool")[:, None, None, :]
