"""The values of gates over channels and positions, against formulas written in NumPy."""

import numpy as np
import pytest

import blocks
from tests import numpy_layers as ref
from tests.values import assert_equal, numbers, shaken

RANKS = {1: (2, 9, 8), 2: (2, 5, 6, 8), 3: (2, 3, 4, 5, 8)}
ranks = pytest.mark.parametrize("rank", RANKS)


# Read off figure 3's formula by hand: |log2(C) / 2 + 1 / 2|, cut, and the next odd number.
@pytest.mark.parametrize(("channels", "size"), [(8, 3), (16, 3), (64, 3), (128, 5), (512, 5)])
def test_the_kernel_of_channels_grows_with_their_logarithm(channels, size):
    layer = blocks.EfficientChannelAttention()
    layer.build((None, 4, 4, channels))
    assert layer.conv.kernel_size == (size,)


@ranks
def test_efficient_channel_attention(rank):
    x = numbers(*RANKS[rank])
    layer = shaken(blocks.EfficientChannelAttention(5), x)
    means = x.mean(tuple(range(1, rank + 1)))
    gate = ref.sigmoid(ref.convolve(means[..., None], layer.conv.kernel)[..., 0])
    assert_equal(layer, x, x * gate.reshape(2, *[1] * rank, 8))


@ranks
def test_channel_spatial_attention(rank):
    x, sides = numbers(*RANKS[rank]), tuple(range(1, rank + 1))
    layer = shaken(blocks.ChannelSpatialAttention(0.5, kernel_size=3), x)

    def shared(pooled):
        return ref.dense(ref.relu(ref.dense(pooled, layer.reduce)), layer.expand)

    assert layer.reduce.units == 4
    y = x * ref.sigmoid(shared(x.mean(sides, keepdims=True)) + shared(x.max(sides, keepdims=True)))
    read = np.stack([y.mean(-1), y.max(-1)], axis=-1)
    kernels = [layer.position_mean.kernel, layer.position_peak.kernel]
    kernel = np.concatenate([ref.array(k) for k in kernels], axis=-2)
    assert_equal(layer, x, y * ref.sigmoid(ref.convolve(read, kernel)))


def hard_swish(x):
    return x * np.clip(x + 3, 0, 6) / 6


@pytest.mark.parametrize("rank", [2, 3])
def test_coordinate_attention(rank):
    x = numbers(*RANKS[rank])
    layer = shaken(blocks.CoordinateAttention(2.0), x)
    kernel = ref.array(layer.reduce.kernel)
    assert kernel.shape[-1] == 16
    expected = ref.array(x)
    for side in range(rank):
        others = tuple(i + 1 for i in range(rank) if i != side)
        y = hard_swish(ref.batch_norm(x.mean(others) @ kernel, layer.norm))
        gate = ref.sigmoid(ref.dense(y, layer.gates[side]))
        expected = expected * np.expand_dims(gate, others)
    assert_equal(layer, x, expected)


def test_the_bottleneck_of_coordinates_has_eight_channels_at_least():
    layer = blocks.CoordinateAttention()
    layer.build((None, 4, 4, 64))
    assert layer.reduce.units == 8
    layer = blocks.CoordinateAttention()
    layer.build((None, 4, 4, 512))
    assert layer.reduce.units == 16


def test_the_bottleneck_of_few_channels_has_one():
    layer = blocks.ChannelSpatialAttention()  # a sixteenth of 8 channels is less
    assert layer(numbers(2, 5, 6, 8)).shape == (2, 5, 6, 8) and layer.reduce.units == 1
