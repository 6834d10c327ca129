"""The values of patches, positions and the simple pyramid, against formulas written in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

import blocks
from blocks.simple_pyramid import FoldLike
from tests import numpy_layers as ref
from tests.values import assert_equal, numbers, shaken


def test_patch_embedding():
    x = numbers(2, 8, 12, 3)
    layer = shaken(blocks.PatchEmbedding(6, 4), x)
    patches = x.reshape(2, 2, 4, 3, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 6, 48)
    kernel = ref.array(layer.project.kernel).reshape(48, 6)
    assert_equal(layer, x, patches @ kernel + ref.array(layer.project.bias))


@pytest.mark.parametrize("sides", [(9, 6), (3, 2), (7, 8)])
def test_images_that_patches_do_not_divide_are_padded_with_zeros(sides):
    x = numbers(2, *sides, 3)
    layer = blocks.PatchEmbedding(6, 4, flatten=False)
    missing = [-side % 4 for side in sides]
    padded = np.pad(x, [(0, 0), *((n // 2, n - n // 2) for n in missing), (0, 0)])
    expected = ops.convert_to_numpy(layer(padded))
    assert expected.shape[1:3] == tuple(-(-side // 4) for side in sides)
    assert_equal(layer, x, expected)


@pytest.mark.parametrize("rank", [1, 3])
def test_patches_of_signals_and_volumes(rank):
    x = numbers(2, *[4] * rank, 3)
    layer = blocks.PatchEmbedding(6, 2, rank=rank)
    assert layer(x).shape == (2, 2**rank, 6)


def interpolated(table, sides):
    """Read a table, `(*sides, channels)`, at the centres of other positions, linearly."""
    for axis, side in enumerate(sides):
        length = table.shape[axis]
        place = np.clip((np.arange(side) + 0.5) * length / side - 0.5, 0, length - 1)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, length - 1)
        share = (place - below).reshape(-1, *[1] * (table.ndim - axis - 1))
        low, high = np.take(table, below, axis), np.take(table, above, axis)
        table = low * (1 - share) + high * share
    return table


@pytest.mark.parametrize("sides", [(3, 4), (6, 8), (2, 5), (1, 1)])
@pytest.mark.parametrize("class_token", [False, True])
def test_position_embedding_of_maps(sides, class_token):
    x = numbers(2, *sides, 8)
    layer = shaken(blocks.PositionEmbedding((3, 4), class_token=class_token), x)
    table = ref.array(layer.positions)
    expected = x + interpolated(table[class_token:].reshape(3, 4, 8), sides)
    if class_token:
        assert layer.count_params() == 14 * 8
        first = np.broadcast_to(ref.array(layer.token) + table[:1], (2, 1, 8))
        expected = np.concatenate([first, expected.reshape(2, -1, 8)], axis=1)
    assert_equal(layer, x, expected)
    image = keras.Input((None, None, 8))
    model = keras.Model(image, layer(image))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_position_embedding_of_volumes():
    x = numbers(2, 3, 2, 4, 8)
    layer = shaken(blocks.PositionEmbedding((2, 2, 3)), x)
    assert_equal(
        layer, x, x + interpolated(ref.array(layer.positions).reshape(2, 2, 3, 8), (3, 2, 4))
    )


@pytest.mark.parametrize("length", [5, 3, 9])
def test_position_embedding_of_sequences(length):
    x = numbers(2, length, 8)
    layer = shaken(blocks.PositionEmbedding(5), numbers(2, 5, 8))
    assert_equal(layer, x, x + interpolated(ref.array(layer.positions), [length]))


def test_text_takes_the_beginning_of_its_positions():
    layer = shaken(blocks.PositionEmbedding(6, interpolate=False), numbers(2, 4, 8))
    x = numbers(2, 4, 8)
    assert_equal(layer, x, x + ref.array(layer.positions)[:4])
    ids = keras.Input((None, 8))
    model = keras.Model(ids, layer(ids))
    np.testing.assert_allclose(model.predict(x, verbose=0), ref.array(layer(x)), rtol=1e-6)
    with pytest.raises(ValueError, match="Received: length 7"):
        layer(numbers(2, 7, 8))
    with pytest.raises(ValueError, match="Received: length 7"):
        layer(keras.Input((7, 8)))


def test_open_sides_need_a_table():
    with pytest.raises(ValueError, match="Received: sides=None"):
        blocks.PositionEmbedding()(keras.Input((None, None, 8)))
    with pytest.raises(ValueError, match=r"Received: sides=\(3, 4\)"):
        blocks.PositionEmbedding((3, 4))(keras.Input((None, 8)))


def doubled(x, layer):
    """A transposed convolution of 2x2 with a step of 2: each position becomes four."""
    y = np.einsum("bhwc,ijoc->bhiwjo", x, ref.array(layer.kernel))
    batch, height, _, width, _, filters = y.shape
    return y.reshape(batch, 2 * height, 2 * width, filters) + ref.array(layer.bias)


def test_simple_feature_pyramid():
    x = numbers(2, 3, 4, 8)
    layer = shaken(blocks.SimpleFeaturePyramid(6), x)
    y = ref.layer_norm(doubled(x, layer.up2), layer.up_norm)
    gelu = ops.convert_to_numpy(keras.activations.gelu(y))
    halved = np.pad(x, [(0, 0), (0, 1), (0, 0), (0, 0)], constant_values=-np.inf)
    halved = halved.reshape(2, 2, 2, 2, 2, 8).max((2, 4))
    maps = [doubled(gelu, layer.up4), doubled(x, layer.up), x, halved]
    assert (layer.up2.filters, layer.up4.filters, layer.up.filters) == (4, 2, 4)
    for i, (actual, y) in enumerate(zip(layer(x), maps)):
        for convs, norms in (
            (layer.laterals, layer.lateral_norms),
            (layer.outputs, layer.output_norms),
        ):
            y = ref.layer_norm(ref.convolve(y, convs[i].kernel), norms[i])
        np.testing.assert_allclose(ref.array(actual), y, rtol=1e-3, atol=1e-4)


def test_tokens_are_folded_behind_the_class_token():
    x, like = numbers(2, 7, 5), numbers(2, 2, 3, 4)
    np.testing.assert_array_equal(FoldLike()([x, like]), x[:, 1:].reshape(2, 2, 3, 5))
