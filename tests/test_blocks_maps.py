"""The values of blocks over maps: ghosts, dropped squares, pyramids, contexts, poolings."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import blocks
from tests import numpy_layers as ref
from tests.values import assert_equal, numbers, shaken

RANKS = [(2, 9, 4), (2, 7, 6, 4), (2, 3, 4, 5, 4)]


def conv_norm(x, layer, **reading):
    return ref.batch_norm(ref.convolve(x, layer.conv.kernel, **reading), layer.norm)


def hard_sigmoid(x):
    return np.clip(x / 6 + 0.5, 0, 1)


def ghosts(x, layer, act, strides=1):
    """Primary channels, then `ratio - 1` depthwise convolutions of each of them."""
    y = act(conv_norm(x, layer.primary, strides=strides))
    kernel = ref.array(layer.cheap.kernel)
    cheap = np.stack(
        [ref.depthwise(y, kernel[..., i : i + 1]) for i in range(kernel.shape[-1])], axis=-1
    ).reshape(*y.shape[:-1], -1)
    ghosts = act(ref.batch_norm(cheap, layer.cheap_norm))
    return np.concatenate([y, ghosts], -1)[..., : layer.filters]


@pytest.mark.parametrize("ratio", [2, 3])
def test_ghost_module(ratio):
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.GhostModule(7, 3, 2, ratio=ratio), x)
    assert layer.primary.conv.filters == {2: 4, 3: 3}[ratio]
    assert_equal(layer, x, ghosts(x, layer, ref.relu, 2))


def test_ghost_block():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.GhostBlock(6, 2, kernel_size=5, se_ratio=0.5), x)
    y = ghosts(x, layer.widen, ref.relu)
    assert y.shape[-1] == 12
    y = ref.batch_norm(ref.depthwise(y, layer.depthwise.conv.kernel, 2), layer.depthwise.norm)
    gate = y.mean((1, 2), keepdims=True)
    gate = ref.relu(gate @ ref.array(layer.scale.reduce.kernel)[0] + layer.scale.reduce.bias)
    gate = gate @ ref.array(layer.scale.expand.kernel)[0] + layer.scale.expand.bias
    y = ghosts(y * hard_sigmoid(gate), layer.narrow, lambda v: v)
    shortcut = ref.depthwise(x, layer.shortcut.depthwise.conv.kernel, 2)
    shortcut = ref.batch_norm(shortcut, layer.shortcut.depthwise.norm)
    assert_equal(layer, x, y + conv_norm(shortcut, layer.shortcut.pointwise))


def test_ghost_block_adds_its_input_where_the_shape_stays():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.GhostBlock(4), x)
    y = ghosts(ghosts(x, layer.widen, ref.relu), layer.narrow, lambda v: v)
    assert_equal(layer, x, x + y)


def dropped(layer, shape, seed=0):
    keras.utils.set_random_seed(seed)
    return ops.convert_to_numpy(layer(np.ones(shape, "float32"), training=True))


@pytest.mark.parametrize("shape", [(64, 40, 3), (16, 12, 13, 3), (8, 7, 8, 9, 3)])
@pytest.mark.parametrize("size", [2, 3])
def test_drop_block_drops_whole_squares_inside_the_map(shape, size):
    y = dropped(blocks.DropBlock(0.15, size, seed=3), shape)
    zero = y == 0
    assert 0.03 < zero.mean() < 0.2
    covered = np.zeros_like(zero)
    sides = shape[1:-1]
    for corner in np.ndindex(*(side - size + 1 for side in sides)):
        window = (slice(None), *(slice(c, c + size) for c in corner))
        whole = zero[window].all(axis=tuple(range(1, 1 + len(sides))), keepdims=True)
        covered[window] |= whole
    np.testing.assert_array_equal(covered, zero)  # every zero lies in a square of zeros


def test_drop_block_keeps_the_mean():
    y = dropped(blocks.DropBlock(0.3, 3, seed=3), (16, 12, 12, 4))
    np.testing.assert_allclose(y.mean(), 1, rtol=1e-5)
    left = (y != 0).mean()
    np.testing.assert_allclose(np.unique(y), [0, 1 / left], rtol=1e-5)
    assert len({tuple(a) for a in (y == 0).reshape(-1, 4).T}) == 4  # channels differ


@pytest.mark.parametrize("size", [1, 3, 4])
def test_drop_block_places_as_many_squares_as_the_paper(size):
    """With squares this rare, few overlap, and the share dropped is the rate."""
    y = dropped(blocks.DropBlock(0.01, size, seed=3), (200, 14, 15, 8))
    np.testing.assert_allclose((y == 0).mean(), 0.01, rtol=0.1)


def test_drop_block_of_a_small_map_drops_all_of_it():
    y = dropped(blocks.DropBlock(0.25, 7, seed=3), (500, 3, 4, 2))
    zero = (y == 0).all((1, 2))
    np.testing.assert_array_equal(zero, (y == 0).any((1, 2)))
    np.testing.assert_allclose(zero.mean(), 0.25, atol=0.05)


def test_drop_block_in_an_open_graph():
    x = keras.Input((None, None, 2))
    model = keras.Model(x, blocks.DropBlock(0.5, 3, seed=3)(x))
    trained = keras.Model(x, layers.Conv2D(2, 1)(model(x)))
    trained.compile("sgd", loss="mse")
    data = np.ones((4, 9, 8, 2), "float32")
    np.testing.assert_array_equal(model.predict(data, verbose=0), data)
    y = ops.convert_to_numpy(model(data, training=True))
    assert (y == 0).any() and np.isclose(y.mean(), 1)
    assert np.isfinite(trained.train_on_batch(data, data))


def test_drop_block_in_half_precision():
    layer = blocks.DropBlock(0.3, 3, seed=3, dtype="mixed_bfloat16")
    y = layer(np.ones((16, 12, 12, 4), "float32"), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(y, "float32")).mean(), 1, rtol=5e-3)


def fitted(x, other):
    """Cut, or continue the edges of, a map to the sides of another."""
    for axis in (1, 2):
        places = np.minimum(np.arange(other.shape[axis]), x.shape[axis] - 1)
        x = np.take(x, places, axis)
    return x


def doubled(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def convolved(x, conv, **reading):
    return ref.convolve(x, conv.kernel, **reading) + ref.array(conv.bias)


PYRAMIDS = [[(2, 13, 12, 3), (2, 7, 6, 4), (2, 4, 3, 5)], [(2, 14, 10, 3), (2, 6, 6, 4)]]


@pytest.mark.parametrize("shapes", PYRAMIDS)
def test_path_aggregation(shapes):
    maps = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    layer = shaken(blocks.PathAggregation(6), maps)
    fpn = layer.top_down
    merged = [convolved(x, conv) for x, conv in zip(maps, fpn.laterals)]
    for i in reversed(range(len(maps) - 1)):
        merged[i] = merged[i] + fitted(doubled(merged[i + 1]), merged[i])
    fine, *coarser = (convolved(x, conv) for x, conv in zip(merged, fpn.outputs))
    expected = [fine]
    for x, halve, output in zip(coarser, layer.halve, layer.outputs):
        up = fitted(ref.relu(convolved(expected[-1], halve.conv, strides=2)), x)
        expected.append(ref.relu(convolved(x + up, output.conv)))
    for a, b in zip(layer(maps), expected):
        np.testing.assert_allclose(ref.array(a), b, rtol=1e-3, atol=1e-3)


def max_pooled(x):
    """The largest of 3 x 3, every second position, padded as TensorFlow's 'same' does."""
    for axis in (1, 2):
        side = x.shape[axis]
        before = ((-(-side // 2) - 1) * 2 + 3 - side) // 2
        windows = [
            np.take(
                x, [p for p in range(2 * i - before, 2 * i - before + 3) if 0 <= p < side], axis
            )
            for i in range(-(-side // 2))
        ]
        x = np.stack([w.max(axis) for w in windows], axis)
    return x


def mixed(maps, node):
    shares = ref.relu(ref.array(node.mean.share))
    y = sum(x * share for x, share in zip(maps, shares)) / (shares.sum() + 1e-4)
    y = ref.depthwise(y * ref.sigmoid(y), node.conv.depthwise_kernel)
    return ref.batch_norm(ref.convolve(y, node.conv.pointwise_kernel), node.norm)


@pytest.mark.parametrize("shapes", PYRAMIDS)
def test_bifpn(shapes):
    maps = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    layer = shaken(blocks.BiFPN(6, 2), maps)
    expected = [conv_norm(x, lateral) for x, lateral in zip(maps, layer.laterals)]
    for both in layer.passes:
        given, last = expected, len(maps) - 1
        down = [None] * last + [given[last]]
        for i in reversed(range(last)):
            down[i] = mixed([given[i], fitted(doubled(down[i + 1]), given[i])], both.down[i])
        expected = down[:1]
        for i in range(1, last + 1):
            parts = [given[i], down[i]] if i < last else [given[i]]
            half = fitted(max_pooled(expected[-1]), given[i])
            expected.append(mixed([*parts, half], both.up[i - 1]))
    for a, b in zip(layer(maps), expected):
        np.testing.assert_allclose(ref.array(a), b, rtol=1e-3, atol=1e-3)


def test_a_negative_weight_of_a_mean_counts_nothing():
    a, b = numbers(2, 3), numbers(2, 3, seed=1)
    layer = shaken(blocks.bifpn.WeightedMean(), [a, b])
    layer.share.assign([2.0, -1.0])
    assert_equal(layer, [a, b], a * 2 / 2.0001)


@pytest.mark.parametrize("kind", [blocks.PathAggregation, blocks.BiFPN])
def test_levels_that_padding_shrank_are_the_same_open_and_closed(kind):
    """'valid' convolutions: 50, 24, 11 and 5 are not halves, and an open graph cannot know."""
    outputs, weights = [], None
    for sides in ((100, 100), (None, None)):
        x = image = keras.Input((*sides, 3))
        maps = {}
        for level in ("P1", "P2", "P3", "P4"):
            x = maps[level] = layers.Conv2D(4, 3, 2)(x)
        model = keras.Model(image, kind(4)(maps))
        model.set_weights(weights or model.get_weights())
        weights = model.get_weights()
        outputs.append(model.predict(numbers(1, 100, 100, 3), verbose=0))
    for level, side in zip(("P1", "P2", "P3", "P4"), (49, 24, 11, 5)):
        assert outputs[0][level].shape == (1, side, side, 4)
        np.testing.assert_allclose(outputs[0][level], outputs[1][level], rtol=1e-3, atol=1e-5)


def test_atrous_pyramid_pooling():
    x = numbers(2, 9, 8, 4)
    layer = shaken(blocks.AtrousPyramidPooling(5, [2, 4]), x)
    parts = [ref.relu(conv_norm(x, layer.point))]
    for atrous, rate in zip(layer.atrous, [2, 4]):
        parts.append(ref.relu(conv_norm(x, atrous, dilation=rate)))
    image = ref.relu(conv_norm(x.mean((1, 2), keepdims=True), layer.image))
    parts.append(np.broadcast_to(image, parts[0].shape))
    assert_equal(layer, x, ref.relu(conv_norm(np.concatenate(parts, -1), layer.project)))


def grid_average(x, cells):
    """Average from the floor of a cell's beginning to the ceiling of its end."""
    height, width = x.shape[1:3]
    y = np.zeros((len(x), cells, cells, x.shape[-1]))
    for i, j in np.ndindex(cells, cells):
        rows = slice(i * height // cells, -(-(i + 1) * height // cells))
        columns = slice(j * width // cells, -(-(j + 1) * width // cells))
        y[:, i, j] = x[:, rows, columns].mean((1, 2))
    return y


def interpolated(x, sides):
    """Interpolate linearly between the middles of positions."""
    for axis, side in zip((1, 2), sides):
        have = x.shape[axis]
        place = np.clip((np.arange(side) + 0.5) * have / side - 0.5, 0, have - 1)
        low = np.floor(place).astype(int)
        high, part = np.minimum(low + 1, have - 1), place - low
        part = part.reshape(-1, *[1] * (x.ndim - 1 - axis))
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def test_pyramid_pooling():
    x = numbers(2, 9, 8, 8)
    layer = shaken(blocks.PyramidPooling(), x)
    assert [conv.conv.filters for conv in layer.convs] == [2] * 4
    parts = [x]
    for cells, conv in zip([1, 2, 3, 6], layer.convs):
        grid = ref.relu(conv_norm(grid_average(x, cells), conv))
        parts.append(interpolated(grid, x.shape[1:3]))
    assert_equal(layer, x, np.concatenate(parts, -1))


@pytest.mark.parametrize("sides", [(2, 3), (6, 12), (7, 11)])
def test_grid_average_of_any_side_open_or_not(sides):
    x = numbers(2, *sides, 3)
    layer = blocks.context.GridAverage(6)
    np.testing.assert_allclose(layer(x), grid_average(x, 6), rtol=1e-4, atol=1e-6)
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layer(image))
    assert model.output.shape == (None, 6, 6, 3)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), grid_average(x, 6), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("sides", [(2, 3), (7, 11), (12, 5)])
def test_resizing_to_any_side_open_or_not(sides):
    x, other = numbers(2, 6, 5, 3), numbers(2, *sides, 2)
    layer, inputs = (
        blocks.context.ResizeTo(),
        [keras.Input((6, 5, 3)), keras.Input((None, None, 2))],
    )
    expected = interpolated(x, sides)
    assert_equal(layer, [x, other], expected)
    actual = keras.Model(inputs, layer(inputs)).predict([x, other], verbose=0)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", RANKS)
def test_generalized_mean_pooling(shape):
    x = numbers(*shape)
    layer = shaken(blocks.GeneralizedMeanPooling(2.5), x)
    power, sides = float(ref.array(layer.power)), tuple(range(1, len(shape) - 1))
    assert power > 2.5
    expected = (np.maximum(ref.array(x), 1e-6) ** power).mean(sides) ** (1 / power)
    assert_equal(layer, x, expected)


@pytest.mark.parametrize("largest", [0.0, 1e-3, 1.0, 6e4])
def test_generalized_mean_holds_in_half_precision(largest):
    """Sums of powers of 6e4 fit no float16, and their 12th power no float32."""
    x = largest * np.linspace(0, 1, 64, dtype="float32").reshape(1, 8, 8, 1)
    layer = blocks.GeneralizedMeanPooling(12.0, dtype="mixed_float16")
    y = layer(x)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    power = np.maximum(x.astype("float64"), 1e-6) ** 12
    expected = power.mean() ** (1 / 12)
    np.testing.assert_allclose(ops.convert_to_numpy(y)[0, 0], expected, rtol=2e-3, atol=1e-6)


def test_the_power_learns_and_stays_at_least_one():
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, blocks.GeneralizedMeanPooling(1.5)(x))
    model.compile(keras.optimizers.SGD(10.0), loss="mse")
    data = np.abs(numbers(32, 8, 8, 3))
    before = float(ops.convert_to_numpy(model.layers[1].power))
    for _ in range(3):
        model.train_on_batch(data, 0 * data[:, 0, 0])  # a smaller mean is better
    assert before == 1.5 and float(ops.convert_to_numpy(model.layers[1].power)) == 1.0
    np.testing.assert_allclose(
        model.predict(data, verbose=0), data.mean((1, 2)), rtol=1e-4, atol=1e-5
    )
    for _ in range(3):
        model.train_on_batch(data, data.max((1, 2)))
    assert float(ops.convert_to_numpy(model.layers[1].power)) > 1.0


def attended(x, layer, hidden=None):
    x = ref.array(x).reshape(len(x), -1, x.shape[-1])
    key, value = np.split(ref.dense(x, layer.key_value), 2, axis=-1)
    heads, queries = layer.num_heads, ref.array(layer.queries.values)

    def split(y):
        return y.reshape(len(y), -1, heads, x.shape[-1] // heads).transpose(0, 2, 1, 3)

    query = queries.transpose(1, 0, 2)[None]
    scores = query @ split(key).transpose(0, 1, 3, 2) / np.sqrt(query.shape[-1])
    if hidden is not None:
        scores = np.where(hidden.reshape(len(x), 1, 1, -1), -np.inf, scores)
    y = (ref.softmax(scores) @ split(value)).transpose(0, 2, 1, 3)
    return ref.dense(y.reshape(len(x), -1, x.shape[-1]), layer.output_projection)


@pytest.mark.parametrize("shape", [(2, 9, 8), (2, 3, 4, 8), (2, 3, 2, 2, 8)])
def test_attention_pooling(shape):
    x = numbers(*shape)
    layer = shaken(blocks.AttentionPooling(2, 3), x)
    assert_equal(layer, x, attended(x, layer))
    one = shaken(blocks.AttentionPooling(4), x)
    assert_equal(one, x, attended(x, one)[:, 0])


@pytest.mark.parametrize("shape", [(2, 6, 8), (2, 2, 3, 8)])
def test_attention_pooling_reads_no_masked_position(shape):
    x, mask = numbers(*shape), np.array([[True] * 6, [True] * 4 + [False] * 2])
    layer = shaken(blocks.AttentionPooling(2, 3), x)
    mask = mask.reshape(shape[:-1])
    assert_equal(layer, x, attended(x, layer, ~mask), mask=mask)
    nothing = ref.array(layer(x, mask=np.zeros_like(mask)))
    np.testing.assert_allclose(nothing, nothing * 0 + ref.array(layer.output_projection.bias))


@pytest.mark.parametrize("block", [blocks.FeaturePyramid, blocks.PathAggregation, blocks.BiFPN])
@pytest.mark.parametrize(
    "maps", [numbers(2, 8, 8, 4), [numbers(2, 8, 8, 4)], [numbers(2, 8, 4), numbers(2, 4, 4)]]
)
def test_what_is_no_pyramid_is_refused(block, maps):
    with pytest.raises(ValueError, match="list or dict of at least two maps.*Received: "):
        block(4)(maps)


def test_attention_pooling_takes_the_mask_of_an_embedding():
    ids = keras.Input((None,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=True)(ids)
    x = blocks.AttentionPooling(2)(x)
    model = keras.Model(ids, x)
    long, short = np.array([[3, 4, 5, 0, 0]]), np.array([[3, 4, 5]])
    np.testing.assert_allclose(
        ref.array(model(long)), ref.array(model(short)), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        ref.array(blocks.flatten(model)(long)), ref.array(model(short)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_grids_of_half_floats_keep_what_is_everywhere(policy):
    x = np.full((1, 300, 300, 2), 1.7, "float32")
    for cells in (1, 2, 6):
        y = blocks.context.GridAverage(cells, dtype=policy)(x)
        y = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(y, "float32")))
        np.testing.assert_allclose(y, 1.7, rtol=5e-3)


def test_multiply_adds_of_every_layer_are_known():
    from export import measure

    image, volume = keras.Input((8, 8, 8)), keras.Input((6, 5, 4, 8))
    y = blocks.GhostBlock(8)(blocks.DropBlock()(image))
    y = blocks.PyramidPooling()(blocks.AtrousPyramidPooling(8)(y))
    a = blocks.AttentionPooling(2)(y)
    b = blocks.GeneralizedMeanPooling()(y)
    c = blocks.BiFPN(8)([y, layers.AveragePooling2D(2)(y)])
    assert not measure(keras.Model(image, [a, b, *c])).uncounted
    depthwise = keras.Model(volume, blocks.DepthwiseNormAct(rank=3)(volume))
    assert measure(depthwise).macs == 6 * 5 * 4 * 8 * 27
