"""The values of pre-activation, dense and Inception blocks, and of shortcuts."""

import itertools

import keras
import numpy as np
import pytest

import blocks
from blocks.window import make_pool
from tests import numpy_layers as ref
from tests.values import assert_equal, numbers, shaken


def every_second(x):
    return x[(slice(None), *[slice(None, None, 2)] * (x.ndim - 2))]


def normed(x, layer):
    return ref.relu(ref.batch_norm(ref.convolve(x, layer.conv.kernel), layer.norm))


def biased(x, layer):
    return ref.convolve(x, layer.conv.kernel) + ref.array(layer.conv.bias)


def pooled(x, kind, size, strides=1, padding="same"):
    """Look at every window, of which a part may lie outside."""
    rank = x.ndim - 2
    sides = x.shape[1:-1]
    reach = (size - 1) // 2 if padding == "same" else 0
    stop = [side if padding == "same" else side - size + 1 for side in sides]
    places = [range(0, n, strides) for n in stop]
    y = np.zeros((x.shape[0], *map(len, places), x.shape[-1]))
    for place in itertools.product(*[range(len(p)) for p in places]):
        starts = [places[i][place[i]] - reach for i in range(rank)]
        window = tuple(slice(max(0, s), s + size) for s in starts)
        take = np.max if kind == "max" else np.mean
        y[(slice(None), *place)] = take(x[(slice(None), *window)], axis=tuple(range(1, rank + 1)))
    return y


SIDES = {1: (7,), 2: (7, 6), 3: (3, 4, 5)}


@pytest.mark.parametrize("rank", SIDES)
@pytest.mark.parametrize("filters", [4, 5])
def test_pre_activation_block(rank, filters):
    """With a stride the zeros are the same on both sides, whatever the side."""
    x = numbers(2, *SIDES[rank], 4)
    layer = shaken(blocks.PreActivationBlock(filters, strides=2, rank=rank), x)
    ready = ref.relu(ref.batch_norm(x, layer.norm))
    y = every_second(ref.convolve(ready, layer.conv.conv.kernel))
    y = biased(ref.relu(ref.batch_norm(y, layer.conv.norm)), layer.last)
    shortcut = every_second(x)  # as it came, where the channels stay
    if filters == 5:
        shortcut = biased(every_second(ready), layer.shortcut)
    assert_equal(layer, x, y + shortcut)


@pytest.mark.parametrize("strides", [1, 2])
def test_pre_activation_bottleneck(strides):
    x = numbers(2, 7, 6, 4)
    layer = shaken(
        blocks.PreActivationBlock(4, strides=strides, reduction=2, use_bias=False, se_ratio=0.5), x
    )
    y = normed(ref.relu(ref.batch_norm(x, layer.norm)), layer.narrow)
    y = ref.convolve(y, layer.conv.conv.kernel)[:, ::strides, ::strides]
    y = ref.convolve(ref.relu(ref.batch_norm(y, layer.conv.norm)), layer.last.conv.kernel)
    y = ref.array(layer.scale(y.astype("float32")))
    assert layer.narrow.conv.filters == layer.conv.conv.filters == 2
    assert_equal(layer, x, x[:, ::strides, ::strides] + y)


@pytest.mark.parametrize("rank", SIDES)
def test_dense_block(rank):
    x = numbers(2, *SIDES[rank], 4)
    layer = shaken(blocks.DenseBlock(3, 2, expansion=3, rank=rank), x)
    y = x
    for part in layer.parts:
        new = normed(ref.relu(ref.batch_norm(y, part.norm)), part.narrow)
        assert new.shape[-1] == 6
        y = np.concatenate([y, ref.convolve(new, part.conv.conv.kernel)], axis=-1)
    assert_equal(layer, x, y)


def test_dense_block_without_1x1_convolutions():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.DenseBlock(1, 2, expansion=None, kernel_size=5), x)
    (part,) = layer.parts
    new = ref.convolve(ref.relu(ref.batch_norm(x, part.norm)), part.conv.conv.kernel)
    assert_equal(layer, x, np.concatenate([x, new], axis=-1))


@pytest.mark.parametrize("rank", SIDES)
def test_transition_block(rank):
    x = numbers(2, *SIDES[rank], 5)
    layer = shaken(blocks.TransitionBlock(0.7, rank=rank), x)
    y = ref.convolve(ref.relu(ref.batch_norm(x, layer.norm)), layer.conv.conv.kernel)
    assert y.shape[-1] == 3
    assert_equal(layer, x, pooled(y, "avg", 2, 2, "valid"))


def steps(layer):
    """Return the layers of an Inception block by name."""
    return {step.name: step for step in layer.steps}


@pytest.mark.parametrize("rank", SIDES)
def test_inception_block(rank):
    """Branches in order, poolings without the border, factorised kernels, a split at the end."""
    row = (1, 3, 1)[:rank] if rank > 1 else 3
    x = numbers(2, *SIDES[rank], 4)
    branches = [
        [(3, 1)],
        [(2, 1), [[(2, row)], [(3, 3), (2, 1)]]],
        ["avg", (2, 1)],
        ["max"],
    ]
    layer = shaken(blocks.InceptionBlock(branches, rank=rank), x)
    step = steps(layer)
    start = normed(x, step["branch1_0"])
    split = steps(step["branch1_1"])
    expected = [
        normed(x, step["branch0_0"]),
        normed(start, split["branch0_0"]),
        normed(normed(start, split["branch1_0"]), split["branch1_1"]),
        normed(pooled(x, "avg", 3), step["branch2_1"]),
        pooled(x, "max", 3),
    ]
    assert split["branch0_0"].conv.kernel.shape[:rank] == ((3,) if rank == 1 else row)
    assert_equal(layer, x, np.concatenate(expected, axis=-1))


@pytest.mark.parametrize("rank", SIDES)
def test_strided_inception_block(rank):
    """Only the last window of each branch steps, and stays inside."""
    x = numbers(2, *[side + 2 for side in SIDES[rank]], 4)
    layer = blocks.InceptionBlock(
        [[(2, 3), (3, 3)], ["max"], [(2, 1), [["avg"], [(2, 3)]]]], strides=2, rank=rank
    )
    step = steps(shaken(layer, x))
    split = steps(step["branch2_1"])

    def stepped(x, layer):
        y = ref.convolve(x, layer.conv.kernel)
        inside = [slice(1, side - 1, 2) for side in x.shape[1:-1]]
        return ref.relu(ref.batch_norm(y[(slice(None), *inside)], layer.norm))

    start = normed(x, step["branch2_0"])
    expected = [
        stepped(normed(x, step["branch0_0"]), step["branch0_1"]),
        pooled(x, "max", 3, 2, "valid"),
        pooled(start, "avg", 3, 2, "valid"),
        stepped(start, split["branch1_0"]),
    ]
    assert_equal(layer, x, np.concatenate(expected, axis=-1))


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("args", [(3, 1, "same"), (3, 2, "valid"), (2, 2, "valid")])
def test_pooling_of_volumes_is_that_of_keras(kind, args):
    x = numbers(2, 5, 6, 7, 3)
    name = {"max": "MaxPooling3D", "avg": "AveragePooling3D"}[kind]
    keras_layer = getattr(keras.layers, name)(*args)
    layer = make_pool(kind, *args, rank=3)
    assert layer.compute_output_shape(x.shape) == keras_layer.compute_output_shape(x.shape)
    expected = keras.ops.convert_to_numpy(keras_layer(x))
    np.testing.assert_allclose(expected, pooled(x, kind, *args), rtol=1e-5, atol=1e-6)
    assert_equal(layer, x, expected)


@pytest.mark.parametrize("rank", SIDES)
def test_shortcut_of_zeros(rank):
    x = numbers(2, *SIDES[rank], 4)
    expected = np.concatenate([every_second(x), np.zeros_like(every_second(x))[..., :3]], axis=-1)
    assert_equal(blocks.Subsample(2, 7), x, expected)
    layer = shaken(blocks.ResidualBlock(7, strides=2, rank=rank, shortcut="pad"), x)
    y = ref.convolve(x, layer.conv1.conv.kernel, strides=2)
    y = ref.relu(ref.batch_norm(y, layer.conv1.norm))
    y = ref.batch_norm(ref.convolve(y, layer.conv2.conv.kernel), layer.conv2.norm)
    assert_equal(layer, x, ref.relu(y + expected))


def test_shortcut_without_a_norm():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.ResidualBlock(5, strides=2, shortcut="conv"), x)
    zeros = [np.zeros(w.shape) for w in layer.conv2.norm.get_weights()]
    layer.conv2.norm.set_weights(zeros)  # the shortcut alone is left
    assert_equal(layer, x, ref.relu(biased(every_second(x), layer.shortcut)))
    assert [part.name for part in layer.shortcut._flatten_layers() if part.weights] == [
        "shortcut",
        "conv",
    ]


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="files are written from the TensorFlow backend: run with KERAS_BACKEND=tensorflow",
)
@pytest.mark.parametrize("pool", [["max"], ["avg", (6, 1)]], ids=["max", "avg"])
def test_poolings_beside_convolutions_in_int8(pool, tmp_path):
    """Behind an activation, as every network has it, no value is cut off."""
    from export import to_tflite

    image = keras.Input((7, 8, 4))
    x = blocks.ConvNormAct(6, name="stem")(image)
    model = keras.Model(image, blocks.InceptionBlock([[(6, 3)], pool], name="mixed")(x))
    samples = numbers(32, 7, 8, 4)
    args = {"calibration": samples, "inputs": samples, "tolerance": 25.0, "measure": False}
    assert to_tflite(model, tmp_path / "block.tflite", "int8", **args).parity.passed


def test_even_kernels_reach_further_ahead():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.PreActivationBlock(4, kernel_size=4, strides=2), x)
    y = every_second(ref.convolve(ref.relu(ref.batch_norm(x, layer.norm)), layer.conv.conv.kernel))
    y = biased(ref.relu(ref.batch_norm(y, layer.conv.norm)), layer.last)
    assert_equal(layer, x, y + every_second(x))


@pytest.mark.parametrize(
    "layer",
    [
        blocks.PreActivationBlock(2, drop_path=0.5),
        blocks.ResidualBlock(2, drop_path=0.5, activation=None),
    ],
)
def test_a_dropped_branch_leaves_the_input(layer):
    x = numbers(400, 3, 3, 2)
    y = ref.array(shaken(layer, x)(x, training=True))
    np.testing.assert_allclose((y == x).all((1, 2, 3)).mean(), 0.5, atol=0.1)


def test_dense_block_has_one_activation():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.DenseBlock(1, 2, activation="tanh"), x)
    (part,) = layer.parts
    y = ref.convolve(np.tanh(ref.batch_norm(x, part.norm)), part.narrow.conv.kernel)
    y = ref.convolve(np.tanh(ref.batch_norm(y, part.narrow.norm)), part.conv.conv.kernel)
    assert_equal(layer, x, np.concatenate([x, y], axis=-1))


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_where_no_norm_follows_there_is_a_bias(norm):
    dense, transition = blocks.DenseBlock(1, 2, norm=norm), blocks.TransitionBlock(norm=norm)
    for layer in (dense, transition):
        layer.build((None, 8, 8, 4))
    for unit in (dense.parts[0].conv, transition.conv):
        assert unit.conv.use_bias == (norm == "none")
