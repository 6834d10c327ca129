"""The values of inverted bottlenecks and of ConvNeXt's block."""

import math

import keras
import numpy as np
import pytest

import blocks
from blocks.channels import round_channels
from tests import numpy_layers as ref
from tests.values import assert_equal, numbers, shaken


def relu6(x):
    return np.clip(x, 0, 6)


def hard_sigmoid(x):
    return relu6(x + 3) / 6


def normed(x, layer, **reading):
    return ref.batch_norm(ref.convolve(x, layer.conv.kernel, **reading), layer.norm)


def normed_depthwise(x, layer, strides=1):
    """Of any rank: every channel is a group of its own."""
    kernel = np.swapaxes(ref.array(layer.conv.kernel), -1, -2)
    y = ref.convolve(x, kernel, strides=strides, groups=x.shape[-1])
    return ref.batch_norm(y, layer.norm)


def squeezed(x, layer, activation, gate):
    pooled = x.mean(tuple(range(1, x.ndim - 1)), keepdims=True)
    y = activation(ref.convolve(pooled, layer.reduce.kernel) + ref.array(layer.reduce.bias))
    return x * gate(ref.convolve(y, layer.expand.kernel) + ref.array(layer.expand.bias))


def silu(x):
    return x * ref.sigmoid(x)


@pytest.mark.parametrize("rank", [1, 2])
def test_inverted_residual_of_mobilenet_v3(rank):
    """Channels rounded to 8, hard gate, hard activation."""
    x = numbers(2, *(7, 6)[:rank], 4)
    squeeze = {"ratio": 0.25, "gate": "hard_sigmoid", "divisor": 8}
    layer = shaken(
        blocks.InvertedResidual(
            4, rank=rank, expansion=4.9, divisor=8, se_ratio=squeeze, activation="hard_swish"
        ),
        x,
    )
    assert layer.expand.conv.filters == 24  # 16 would be more than a tenth below 19.6
    assert layer.scale.reduce.filters == 8
    y = normed(x, layer.expand)
    y = normed_depthwise(y * hard_sigmoid(y), layer.depthwise)
    y = squeezed(y * hard_sigmoid(y), layer.scale, ref.relu, hard_sigmoid)
    assert_equal(layer, x, x + normed(y, layer.project))


def test_the_share_of_a_squeeze_does_not_fall_short():
    """EfficientNet counts from the narrow channels: a quarter of 152, seen from 912."""
    for narrow in (16, 24, 40, 112, 152, 192, 640):
        layer = blocks.SqueezeExcite(0.25 / 6)
        layer.build((1, 1, 1, 6 * narrow))
        assert layer.reduce.filters == narrow // 4
    assert [round_channels(x) for x in (3, 11, 12, 19.6, 33)] == [8, 16, 16, 24, 32]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_fused_inverted_residual(rank):
    x = numbers(2, *(7, 6, 5)[:rank], 4)
    layer = shaken(blocks.FusedInvertedResidual(4, rank=rank, expansion=3, se_ratio=0.5), x)
    y = silu(normed(x, layer.expand))
    assert y.shape[-1] == 12
    y = squeezed(y, layer.scale, ref.relu, ref.sigmoid)
    assert_equal(layer, x, x + normed(y, layer.project))


def test_fused_inverted_residual_that_widens_nothing_is_one_convolution():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.FusedInvertedResidual(4, expansion=1, kernel_size=5), x)
    assert_equal(layer, x, x + silu(normed(x, layer.project)))
    layer = shaken(blocks.FusedInvertedResidual(5, 2, expansion=1), x)
    assert_equal(layer, x, silu(normed(x, layer.project, strides=2)))


def test_fused_inverted_residual_strides_where_it_widens():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.FusedInvertedResidual(4, 2), x)
    y = silu(normed(x, layer.expand, strides=2))
    assert_equal(layer, x, normed(y, layer.project))


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(("start", "between"), [(None, 3), (5, None), (3, 5)])
def test_universal_inverted_bottleneck(rank, strides, start, between):
    x = numbers(2, *(7, 6)[:rank], 4)
    layer = shaken(
        blocks.UniversalInvertedBottleneck(
            4,
            strides,
            expansion=3,
            divisor=1,
            kernel_size=between,
            start_kernel_size=start,
            rank=rank,
        ),
        x,
    )
    y = ref.array(x)
    if start:
        assert set(layer.start.conv.kernel.shape[:rank]) == {start}
        y = normed_depthwise(y, layer.start, strides if between is None else 1)
    y = ref.relu(normed(y, layer.expand))
    assert y.shape[-1] == 12
    if between:
        assert set(layer.depthwise.conv.kernel.shape[:rank]) == {between}
        y = ref.relu(normed_depthwise(y, layer.depthwise, strides))
    y = normed(y, layer.project)
    assert_equal(layer, x, x + y if strides == 1 else y)


def test_universal_inverted_bottleneck_as_a_feed_forward_network():
    x = numbers(2, 7, 6, 4)
    args = {"kernel_size": None, "layer_scale": 0.5, "expansion": 2}
    layer = shaken(blocks.UniversalInvertedBottleneck(4, **args), x)
    assert layer.expand.conv.filters == 8
    y = normed(ref.relu(normed(x, layer.expand)), layer.project)
    assert_equal(layer, x, x + y * ref.array(layer.scale.scale))
    wider = shaken(blocks.UniversalInvertedBottleneck(6, **args), x)  # nothing to add to
    assert_equal(wider, x, normed(ref.relu(normed(x, wider.expand)), wider.project))


def responded(x, layer):
    """As the paper writes it: by the sum of squares."""
    strength = np.sqrt((x**2).sum(tuple(range(1, x.ndim - 1)), keepdims=True))
    share = strength / (strength.mean(-1, keepdims=True) + layer.epsilon)
    return ref.array(layer.gamma) * (x * share) + ref.array(layer.beta) + x


@pytest.mark.parametrize("shape", [(2, 7, 4), (2, 7, 6, 4), (2, 3, 4, 5, 4)])
def test_global_response_norm(shape):
    x = numbers(*shape)
    layer = blocks.GlobalResponseNorm(epsilon=1e-3)
    assert layer.epsilon == 1e-3
    assert_equal(layer, x, x)  # it starts as the identity
    assert_equal(shaken(layer, x), x, responded(ref.array(x), layer))


def test_global_response_norm_learns_from_silent_channels():
    x = numbers(2, 7, 6, 4)
    x[..., 1] = 0
    dense = keras.layers.Dense(4, use_bias=False)
    model = keras.Sequential([keras.Input((7, 6, 4)), dense, blocks.GlobalResponseNorm()])
    dense.kernel.assign(np.eye(4))  # channel 1 stays silent
    model.layers[-1].gamma.assign(np.ones(4))
    model.compile("sgd", loss="mse")
    model.fit(x, np.ones_like(x), verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_global_response_norm_in_half_floats():
    x = 100 * numbers(1, 64, 64, 4)  # the sum of squares is far beyond 65504
    layer = blocks.GlobalResponseNorm(dtype="mixed_float16")
    layer.build(x.shape)
    layer.gamma.assign(np.ones(4))
    actual = keras.ops.convert_to_numpy(layer(x)).astype("float32")
    np.testing.assert_allclose(actual, responded(ref.array(x), layer), rtol=0.01, atol=1)


def gelu(x):
    """The exact form, by the error function."""
    erf = np.vectorize(math.erf)
    return x * (1 + erf(x / np.sqrt(2))) / 2


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("version", [1, 2])
def test_convnext_block(rank, version):
    x = numbers(2, *(9, 8)[:rank], 4)
    args = {"layer_scale": 0.1} if version == 1 else {"layer_scale": 0, "response_norm": True}
    layer = shaken(blocks.ConvNeXtBlock(rank=rank, **args), x)
    kernel = np.swapaxes(ref.array(layer.depthwise.kernel), -1, -2)
    assert set(kernel.shape[:rank]) == {7}
    y = ref.convolve(x, kernel, groups=4) + ref.array(layer.depthwise.bias)
    y = ref.layer_norm(y, layer.norm)
    y = gelu(ref.convolve(y, layer.widen.kernel) + ref.array(layer.widen.bias))
    assert y.shape[-1] == 16
    if version == 2:
        y = responded(y, layer.response)
    y = ref.convolve(y, layer.narrow.kernel) + ref.array(layer.narrow.bias)
    if version == 1:
        y = y * ref.array(layer.scale.scale)
    assert_equal(layer, x, x + y)
