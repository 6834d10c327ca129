"""What layers compute, written again in NumPy from their definitions."""

import itertools

import numpy as np
from keras import ops


def array(x):
    return np.asarray(ops.convert_to_numpy(x), "float64")


def convolve(x, kernel, *, strides=1, dilation=1, groups=1, causal=False):
    """Convolve maps of any rank, `(batch, *sides, channels)`, with zeros around ('same')."""
    x, kernel = array(x), array(kernel)
    rank = x.ndim - 2
    pads, outputs = [(0, 0)], []
    for side, size in zip(x.shape[1:-1], kernel.shape[:rank]):
        reach = (size - 1) * dilation + 1
        output = -(-side // strides)
        total = reach - 1 if causal else max(0, (output - 1) * strides + reach - side)
        before = total if causal else total // 2
        pads.append((before, total - before))
        outputs.append(output)
    x = np.pad(x, [*pads, (0, 0)])
    inputs, filters = kernel.shape[rank], kernel.shape[-1] // groups
    y = np.zeros((x.shape[0], *outputs, kernel.shape[-1]))
    for offset in itertools.product(*map(range, kernel.shape[:rank])):
        window = tuple(
            slice(o * dilation, o * dilation + (n - 1) * strides + 1, strides)
            for o, n in zip(offset, outputs)
        )
        read = x[(slice(None), *window)]
        for group in range(groups):
            a = slice(group * inputs, (group + 1) * inputs)
            b = slice(group * filters, (group + 1) * filters)
            y[..., b] += read[..., a] @ kernel[offset][:, b]
    return y


def depthwise(x, kernel, strides=1):
    """Convolve every channel with its own kernel, `(*sides, channels, 1)`."""
    channels = [
        convolve(x[..., i : i + 1], array(kernel)[..., i : i + 1, :], strides=strides)
        for i in range(x.shape[-1])
    ]
    return np.concatenate(channels, axis=-1)


def batch_norm(x, layer):
    """Normalize with a BatchNormalization layer's collected statistics."""
    scale = array(layer.gamma) / np.sqrt(array(layer.moving_variance) + layer.epsilon)
    return (x - array(layer.moving_mean)) * scale + array(layer.beta)


def layer_norm(x, layer):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    normal = (x - mean) / np.sqrt(variance + layer.epsilon)
    return normal * array(layer.gamma) + array(layer.beta)


def dense(x, layer):
    return array(x) @ array(layer.kernel) + array(layer.bias)


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def attention(query, key, value, num_heads, hidden=None):
    """Attend in several heads; `hidden` is true where a query must not see a key."""

    def heads(x):
        return x.reshape(*x.shape[:2], num_heads, -1).transpose(0, 2, 1, 3)

    q, k, v = heads(query), heads(key), heads(value)
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
    if hidden is not None:
        scores = np.where(hidden, -np.inf, scores)
    mixed = softmax(scores) @ v
    return mixed.transpose(0, 2, 1, 3).reshape(query.shape)
