"""Convolution blocks over signals, images and volumes."""

import keras
import numpy as np
import pytest

import blocks
from tests import numpy_layers as ref
from tests.values import assert_equal, numbers, shaken

SHAPES = {1: (2, 9, 4), 2: (2, 8, 7, 4), 3: (2, 5, 4, 6, 4)}
every_rank = pytest.mark.parametrize("rank", [1, 2, 3])


def conv_norm(x, layer, **reading):
    return ref.batch_norm(ref.convolve(x, layer.conv.kernel, **reading), layer.norm)


@every_rank
@pytest.mark.parametrize("reading", [{"strides": 2}, {"dilation": 2}, {"groups": 2}])
def test_conv_norm_act(rank, reading):
    x = numbers(*SHAPES[rank])
    args = {"dilation_rate" if key == "dilation" else key: n for key, n in reading.items()}
    layer = shaken(blocks.ConvNormAct(6, rank=rank, **args), x)
    assert_equal(layer, x, ref.relu(conv_norm(x, layer, **reading)))


def depthwise(x, kernel, *, strides=1, dilation=1):
    """Convolve every channel with its own kernel."""
    kernel = ref.array(kernel)
    channels = [
        ref.convolve(x[..., [i]], kernel[..., [i], :], strides=strides, dilation=dilation)
        for i in range(x.shape[-1])
    ]
    return np.concatenate(channels, -1)


@every_rank
@pytest.mark.parametrize("reading", [{}, {"strides": 2}, {"dilation": 2}, {"strides": 3}])
@pytest.mark.parametrize("size", [2, 3])
def test_depthwise_separable_conv(rank, size, reading):
    x = numbers(*SHAPES[rank])
    args = {"dilation_rate" if key == "dilation" else key: n for key, n in reading.items()}
    layer = shaken(blocks.DepthwiseSeparableConv(6, size, rank=rank, **args), x)
    y = depthwise(x, layer.depthwise.conv.kernel, **reading)
    y = ref.relu(ref.batch_norm(y, layer.depthwise.norm))
    assert_equal(layer, x, ref.relu(conv_norm(y, layer.pointwise)))


@pytest.mark.parametrize("strides", [1, 2])
def test_a_depthwise_volume_open_or_not(strides):
    layer = blocks.DepthwiseNormAct(3, strides, rank=3)
    volume = keras.Input((None, None, None, 2))
    model = keras.Model(volume, layer(volume))
    for shape in ((2, 5, 4, 6, 2), (2, 6, 5, 3, 2), (1, 1, 1, 1, 2)):
        x = numbers(*shape)
        y = depthwise(x, layer.conv.kernel, strides=strides)
        expected = ref.relu(ref.batch_norm(y, layer.norm))
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_channels_of_a_depthwise_volume_are_multiplied():
    x = numbers(2, 3, 4, 5, 2)
    layer = shaken(blocks.depthwise3d.DepthwiseConv3D(3, depth_multiplier=3), x)
    kernel = ref.array(layer.kernel)
    each = [depthwise(x, kernel[..., [i]]) for i in range(3)]
    assert_equal(layer, x, np.stack(each, -1).reshape(2, 3, 4, 5, 6) + ref.array(layer.bias))


@every_rank
def test_residual_block(rank):
    x = numbers(*SHAPES[rank])
    layer = shaken(blocks.ResidualBlock(6, strides=2, rank=rank), x)
    y = ref.relu(conv_norm(x, layer.conv1, strides=2))
    y = conv_norm(y, layer.conv2) + conv_norm(x, layer.shortcut, strides=2)
    assert_equal(layer, x, ref.relu(y))


@every_rank
def test_bottleneck_block(rank):
    x = numbers(*SHAPES[rank])
    layer = shaken(blocks.BottleneckBlock(8, 2, groups=2, rank=rank), x)
    y = ref.relu(conv_norm(x, layer.narrow, strides=2))
    y = conv_norm(ref.relu(conv_norm(y, layer.conv, groups=2)), layer.widen)
    assert_equal(layer, x, ref.relu(y + conv_norm(x, layer.shortcut, strides=2)))


@every_rank
def test_squeeze_excite(rank):
    x = numbers(*SHAPES[rank])
    layer = shaken(blocks.SqueezeExcite(0.5), x)
    y = x.mean(tuple(range(1, rank + 1)), keepdims=True)
    for conv, act in ((layer.reduce, ref.relu), (layer.expand, ref.sigmoid)):
        kernel = ref.array(conv.kernel)
        y = act(y @ kernel.reshape(kernel.shape[-2:]) + ref.array(conv.bias))
    assert_equal(layer, x, x * y)


@every_rank
@pytest.mark.parametrize("kind", [blocks.GhostModule, blocks.GhostBlock, blocks.RepConv])
def test_other_blocks_take_every_rank(kind, rank):
    x = numbers(*SHAPES[rank])
    assert kind(6, rank=rank)(x).shape == (*x.shape[:-1], 6)


def test_depthwise_strides_are_those_that_every_backend_runs():
    for strides in ((2, 1), (1, 2)):
        with pytest.raises(ValueError, match="equal strides over height and width.*Received"):
            blocks.DepthwiseSeparableConv(4, 3, strides)
    x = np.ones((1, 4, 6, 6, 2), "float32")
    assert blocks.DepthwiseSeparableConv(4, 3, (1, 2, 2), rank=3)(x).shape == (1, 4, 3, 3, 4)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_side_of_one_is_not_halved(rank):
    with pytest.raises(ValueError, match="must have two positions.*Received: "):
        blocks.TransitionBlock(rank=rank)(np.ones((1, *(1, 4, 4)[:rank], 8), "float32"))


@pytest.mark.parametrize("start", [0, -1.0, float("nan"), "x"])
def test_scales_start_above_zero(start):
    with pytest.raises(ValueError, match="must be .*Received: "):
        blocks.LayerScale(start)
    if start != 0:
        with pytest.raises(ValueError, match="`layer_scale` must be .*Received: "):
            blocks.UniversalInvertedBottleneck(8, layer_scale=start)
