"""The values of attention blocks, against formulas written in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

import blocks
from blocks.attend import ScaledDotProduct, attend
from tests import numpy_layers as ref
from tests.values import assert_equal, numbers, shaken


def grouped(key, num_heads, num_kv_heads):
    """Repeat the heads of keys or values, `(batch, length, channels)`, for their readers."""
    heads = key.reshape(*key.shape[:2], num_kv_heads, -1)
    return heads.repeat(num_heads // num_kv_heads, axis=2).reshape(*key.shape[:2], -1)


def turned(x, num_heads, base=10000.0):
    """Turn each pair of channels as a complex number, position by position."""
    y = x.reshape(*x.shape[:2], num_heads, -1)
    half = y.shape[-1] // 2
    speeds = base ** (-np.arange(half) / half)
    turns = np.exp(1j * np.arange(x.shape[1])[:, None, None] * speeds)
    z = (y[..., :half] + 1j * y[..., half:]) * turns
    return np.concatenate([z.real, z.imag], axis=-1).reshape(x.shape)


@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_grouped_and_rotary_self_attention(causal, num_kv_heads):
    x, inner = numbers(2, 5, 16), 4 * num_kv_heads
    layer = shaken(
        blocks.SelfAttention(4, num_kv_heads=num_kv_heads, causal=causal, rotary=True), x
    )
    query, key, value = np.split(ref.dense(x, layer.project), [16, 16 + inner], axis=-1)
    key = grouped(turned(key, num_kv_heads), 4, num_kv_heads)
    later = np.triu(np.ones((5, 5), bool), 1) if causal else None
    mixed = ref.attention(turned(query, 4), key, grouped(value, 4, num_kv_heads), 4, later)
    assert_equal(layer, x, ref.dense(mixed, layer.output_projection))


@pytest.mark.parametrize("num_kv_heads", [None, 2])
def test_cross_attention(num_kv_heads):
    x, context = numbers(2, 5, 8), numbers(2, 3, 6, seed=1)
    layer = shaken(blocks.CrossAttention(4, num_kv_heads=num_kv_heads), [x, context])
    query = ref.dense(x, layer.query)
    key, value = np.split(ref.dense(context, layer.key_value), 2, axis=-1)
    key, value = (grouped(a, 4, num_kv_heads or 4) for a in (key, value))

    def attended(hidden):
        q, k, v = (a.reshape(2, -1, 4, 2).transpose(0, 2, 1, 3) for a in (query, key, value))
        scores = np.where(hidden, -np.inf, q @ k.transpose(0, 1, 3, 2) / np.sqrt(2))
        mixed = (ref.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(2, 5, 8)
        return ref.dense(mixed, layer.output_projection)

    assert_equal(layer, [x, context], attended(np.zeros((1, 1, 1, 3), bool)))
    mask = np.array([[True, False, True], [True, True, True]])
    expected = attended(~mask[:, None, None, :])
    assert_equal(layer, [x, context], expected, mask=[None, ops.convert_to_tensor(mask)])


def test_a_hidden_position_weighs_nothing_whatever_it_holds():
    """Exactly nothing: what it holds may be large, and may score far above all others."""
    query, key, value = (
        numbers(1, 4, 2, 8),
        numbers(1, 4, 2, 8, seed=1),
        numbers(1, 4, 2, 8, seed=2),
    )
    layer = ScaledDotProduct(causal=True)
    expected = ops.convert_to_numpy(layer([query, key, value]))
    key[:, 2:] *= 1e4
    value[:, 2:] = 1e30
    actual = ops.convert_to_numpy(layer([query, key, value]))
    np.testing.assert_allclose(actual[:, :2], expected[:, :2], rtol=1e-6)
    assert (np.abs(actual[:, 2:]) > 1e20).any()  # they do see it


def test_visible_positions_lose_nothing_to_many_hidden_ones():
    length = 2000
    query = np.zeros((1, 1, 1, 4), "float32")
    key, value = numbers(1, length, 1, 4), np.ones((1, length, 1, 4), "float32")
    visible = np.arange(length) == 7
    mixed = attend(query, key, value, visible=ops.convert_to_tensor(visible[None, None, None]))
    np.testing.assert_allclose(mixed, 1.0, rtol=1e-6)


def test_a_position_that_sees_nothing_reads_zeros():
    x, mask = numbers(2, 3, 8), np.array([[True, True, True], [False, False, False]])
    layer = blocks.SelfAttention(2)
    np.testing.assert_array_equal(ref.array(layer(x, mask=mask))[1], np.zeros((3, 8)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("make", [blocks.SelfAttention, blocks.LinearAttention])
def test_half_precision_keeps_large_scores_finite(make, policy):
    x = 30 * numbers(1, 400, 16)
    args = {"causal": True} if make is blocks.SelfAttention else {}
    layer = make(2, dtype=policy, **args)
    y = ops.convert_to_numpy(ops.cast(layer(x), "float32"))
    exact = make(2, dtype="float32", **args)
    exact.build(x.shape)
    exact.set_weights(layer.get_weights())
    expected = ops.convert_to_numpy(exact(x))
    assert np.isfinite(y).all()
    assert np.square(y - expected).sum() < 0.01 * np.square(expected).sum()


def test_rotary_products_know_distances_alone():
    layer = blocks.RotaryEmbedding()
    query, key = (np.tile(numbers(1, 1, 1, 8, seed=i), (1, 9, 1, 1)) for i in (0, 1))
    scores = np.einsum("qc,kc->qk", layer(query)[0, :, 0], layer(key)[0, :, 0])
    for distance in range(-8, 9):
        np.testing.assert_allclose(np.ptp(np.diagonal(scores, distance)), 0, atol=1e-4)
    assert np.ptp(scores[:, 0]) > 0.1


def test_rotary_embedding_of_a_map_turns_by_row_and_by_column():
    x = numbers(2, 3, 4, 2, 8)
    y = ops.convert_to_numpy(blocks.RotaryEmbedding(2, base=100.0)(x))
    for column in range(4):
        rows = x[:, :, column, :, :4].reshape(2, 3, 8)
        expected = turned(rows, 2, 100.0).reshape(2, 3, 2, 4)
        np.testing.assert_allclose(y[:, :, column, :, :4], expected, rtol=1e-4, atol=1e-5)
    for row in range(3):
        columns = x[:, row, :, :, 4:].reshape(2, 4, 8)
        expected = turned(columns, 2, 100.0).reshape(2, 4, 2, 4)
        np.testing.assert_allclose(y[:, row, :, :, 4:], expected, rtol=1e-4, atol=1e-5)


FEATURES = {"elu": lambda x: np.where(x > 0, x + 1, np.exp(x)), "relu": ref.relu}


@pytest.mark.parametrize("feature_map", FEATURES)
@pytest.mark.parametrize("masked", [False, True])
def test_linear_attention_is_a_normalized_kernel(feature_map, masked):
    """As attention with the matrix of all weights, which it never makes."""
    x = numbers(2, 5, 8)
    layer = shaken(blocks.LinearAttention(2, feature_map=feature_map), x)
    mask = np.array([[True, True, False, True, False], [True] * 5]) if masked else None
    q, k, v = (
        a.reshape(2, 5, 2, 4).transpose(0, 2, 1, 3)
        for a in np.split(ref.dense(x, layer.project), 3, axis=-1)
    )
    f = FEATURES[feature_map]
    weights = f(q) @ f(k).transpose(0, 1, 3, 2)
    if masked:
        weights = weights * mask[:, None, None, :]
    # ReLU may agree with none: what has no weight is zero.
    total = weights.sum(-1, keepdims=True)
    mixed = (weights @ v) / np.where(total > 0, total, 1)
    mixed = mixed.transpose(0, 2, 1, 3).reshape(2, 5, 8)
    assert_equal(layer, x, ref.dense(mixed, layer.output_projection), mask=mask)


def test_linear_attention_of_a_map_is_that_of_its_positions():
    x = numbers(2, 3, 4, 8)
    layer = blocks.LinearAttention(2, feature_map="relu")
    tokens = ops.convert_to_numpy(layer(x)).reshape(2, 12, 8)
    np.testing.assert_allclose(tokens, ref.array(layer(x.reshape(2, 12, 8))), rtol=1e-4, atol=1e-6)


def windowed(x, layer, size, shift):
    """Attend over the whole map, each position hidden from those in other windows."""
    batch, height, width, channels = x.shape
    rows, columns = np.divmod(np.arange(height * width), width)
    rows_shift, columns_shift = (shift if side > size else 0 for side in (height, width))
    window = np.stack([(rows - rows_shift) // size, (columns - columns_shift) // size])
    hidden = (window[:, :, None] != window[:, None, :]).any(0)
    apart = np.stack([rows[:, None] - rows, columns[:, None] - columns])
    near = np.clip(apart + size - 1, 0, 2 * size - 2)  # those in other windows are hidden
    bias = ref.array(layer.attend.bias)[near[0] * (2 * size - 1) + near[1]].transpose(2, 0, 1)
    heads = layer.num_heads
    q, k, v = (
        a.reshape(batch, height * width, heads, -1).transpose(0, 2, 1, 3)
        for a in np.split(ref.dense(x, layer.project), 3, axis=-1)
    )
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]) + bias
    mixed = ref.softmax(np.where(hidden, -np.inf, scores)) @ v
    mixed = mixed.transpose(0, 2, 1, 3).reshape(x.shape)
    return ref.dense(mixed, layer.output_projection)


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("sides", [(8, 8), (7, 5), (4, 4), (3, 9), (2, 3), (5, 13)])
def test_window_attention(sides, shift):
    x = numbers(2, *sides, 8)
    layer = shaken(blocks.WindowAttention(2, window_size=4, shift=shift), x)
    expected = windowed(x, layer, 4, 2 if shift else 0)
    assert_equal(layer, x, expected)
    image = keras.Input((None, None, 8))
    np.testing.assert_allclose(
        keras.Model(image, layer(image)).predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5
    )


def test_odd_windows_shift_by_the_smaller_half():
    x = numbers(1, 10, 6, 8)
    layer = shaken(blocks.WindowAttention(2, window_size=5, shift=True), x)
    assert_equal(layer, x, windowed(x, layer, 5, 2))


def test_causal_attention_hears_the_mask():
    x, mask = numbers(2, 5, 8), np.array([[True, False, True, True, False], [True] * 5])
    layer = shaken(blocks.SelfAttention(2, causal=True), x)
    other = np.where(mask[..., None], x, 9.0)  # what is hidden may hold anything
    y, z = (ref.array(layer(a, mask=mask)) for a in (x, other))
    np.testing.assert_allclose(y[mask], z[mask], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_rotary_angles_are_whole_in_half_precision(policy):
    x = numbers(1, 600, 1, 8)
    exact = ref.array(blocks.RotaryEmbedding(dtype="float32")(x))
    y = ref.array(ops.cast(blocks.RotaryEmbedding(dtype=policy)(x), "float32"))
    np.testing.assert_allclose(y, exact, atol=0.05)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_unmasked_scores_are_scaled_before_half_floats_end(policy):
    """Queries and keys of 64 numbers, of which no product is scaled afterwards."""
    layer = blocks.SelfAttention(1, dtype=policy)
    x = numbers(1, 6, 64)
    layer.build(x.shape)
    x *= 110 / np.abs(x).max() * 2
    seen = [layer(x), layer(x, mask=np.ones((1, 6), bool))]
    assert all(np.isfinite(keras.ops.convert_to_numpy(y).astype("float32")).all() for y in seen)


def test_a_mask_says_which_positions_there_are():
    x = numbers(2, 5, 8)
    for layer, inputs, mask in (
        (blocks.SelfAttention(2), x, np.ones((2, 5, 5), bool)),
        (blocks.CrossAttention(2), [x, x[:, :3]], [None, np.ones((2, 5, 3), bool)]),
    ):
        with pytest.raises(ValueError, match=r"\(batch, length\). Received: shape \(2, 5, [35]\)"):
            layer(inputs, mask=mask)


def test_relu_attention_knows_no_scale():
    layer = blocks.LinearAttention(2, feature_map="relu")
    x = numbers(2, 9, 8)
    layer.build(x.shape)
    whole, small = (keras.ops.convert_to_numpy(layer(s * x)) / s for s in (1.0, 1e-2))
    np.testing.assert_allclose(small, whole, rtol=2e-2, atol=1e-3)
