"""The values of blocks, against formulas written in NumPy."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import blocks
from tests import numpy_layers as ref
from tests.values import assert_equal, numbers, shaken


@pytest.mark.parametrize(
    ("args", "shape", "reading"),
    [
        ({"strides": 2}, (2, 9, 8, 4), {"strides": 2}),
        ({"groups": 2, "dilation_rate": 2}, (2, 9, 8, 4), {"groups": 2, "dilation": 2}),
        (
            {"rank": 1, "padding": "causal", "dilation_rate": 3},
            (2, 9, 4),
            {"causal": True, "dilation": 3},
        ),
        ({"rank": 3, "strides": 2}, (2, 5, 4, 6, 4), {"strides": 2}),
    ],
)
def test_conv_norm_act(args, shape, reading):
    x = numbers(*shape)
    layer = shaken(blocks.ConvNormAct(6, **args), x)
    y = ref.convolve(x, layer.conv.kernel, **reading)
    assert_equal(layer, x, ref.relu(ref.batch_norm(y, layer.norm)))


def test_bias_stands_where_there_is_no_norm():
    assert not blocks.ConvNormAct(4).conv.use_bias
    assert blocks.ConvNormAct(4, norm="none").conv.use_bias
    assert blocks.ConvNormAct(4, use_bias=True).conv.use_bias


@pytest.mark.parametrize(
    ("norm", "kind"),
    [
        ("batch", layers.BatchNormalization),
        ("layer", layers.LayerNormalization),
        ("group", layers.GroupNormalization),
        ("rms", layers.RMSNormalization),
        ("none", layers.Identity),
    ],
)
def test_norms_by_name(norm, kind):
    assert type(blocks.ConvNormAct(6, norm=norm).norm) is kind


def test_norm_with_its_own_arguments():
    layer = blocks.ConvNormAct(6, norm={"type": "batch", "epsilon": 0.5})
    assert layer.norm.epsilon == 0.5
    assert blocks.ConvNormAct.from_config(layer.get_config()).norm.epsilon == 0.5


@pytest.mark.parametrize(("channels", "groups"), [(6, 2), (48, 16), (64, 32), (7, 1)])
def test_groups_of_group_norm_divide_the_channels(channels, groups):
    assert blocks.ConvNormAct(channels, norm="group").norm.groups == groups


ACTIVATIONS = sorted(
    name
    for name in dir(keras.activations)
    if callable(getattr(keras.activations, name))
    # glu halves the channels, threshold needs numbers of its own
    and name not in ("serialize", "deserialize", "get", "glu", "threshold")
    and name[0].islower()
)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_by_name(activation):
    x = numbers(2, 5, 4)
    layer = blocks.ConvNormAct(4, 1, rank=1, norm="none", activation=activation)
    y = layer.conv(x)
    expected = ref.array(getattr(keras.activations, activation)(y))
    np.testing.assert_allclose(ref.array(layer(x)), expected, rtol=1e-5, atol=1e-6)


def test_numpy_numbers_are_refused_with_the_plain_one():
    with pytest.raises(ValueError, match=r"Received: np.int64\(8\).*Write 8"):
        blocks.ConvNormAct(np.int64(8))
    with pytest.raises(ValueError, match=r"Received: array.*Write \[2, 2\]"):
        blocks.ConvNormAct(8, np.array([2, 2]))


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="channels_first"):
            blocks.ConvNormAct(8)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_depthwise_separable_conv():
    x = numbers(2, 7, 6, 3)
    layer = shaken(blocks.DepthwiseSeparableConv(5, strides=2), x)
    y = ref.depthwise(x, layer.depthwise.conv.kernel, strides=2)
    y = ref.relu(ref.batch_norm(y, layer.depthwise.norm))
    y = ref.convolve(y, layer.pointwise.conv.kernel)
    assert_equal(layer, x, ref.relu(ref.batch_norm(y, layer.pointwise.norm)))


def test_residual_block():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.ResidualBlock(5, strides=2), x)
    y = ref.convolve(x, layer.conv1.conv.kernel, strides=2)
    y = ref.relu(ref.batch_norm(y, layer.conv1.norm))
    y = ref.batch_norm(ref.convolve(y, layer.conv2.conv.kernel), layer.conv2.norm)
    shortcut = ref.convolve(x, layer.shortcut.conv.kernel, strides=2)
    assert_equal(layer, x, ref.relu(y + ref.batch_norm(shortcut, layer.shortcut.norm)))


def test_identity_shortcut_adds_the_input_itself():
    x = numbers(2, 7, 6, 4)
    layer = blocks.ResidualBlock(4)
    layer.build(x.shape)
    layer.conv2.norm.gamma.assign(np.zeros(4))  # the branch is silent
    assert_equal(layer, x, ref.relu(x))


def squeezed(x, layer):
    pooled = x.mean((1, 2))
    y = ref.relu(pooled @ ref.array(layer.reduce.kernel)[0, 0] + ref.array(layer.reduce.bias))
    gate = ref.sigmoid(y @ ref.array(layer.expand.kernel)[0, 0] + ref.array(layer.expand.bias))
    return x * gate[:, None, None]


def normed(x, layer, **reading):
    return ref.batch_norm(ref.convolve(x, layer.conv.kernel, **reading), layer.norm)


def test_bottleneck_block_with_groups_and_squeeze_excite():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.BottleneckBlock(8, 2, groups=2, reduction=2, se_ratio=0.5), x)
    y = ref.relu(normed(x, layer.narrow, strides=2))
    y = ref.relu(normed(y, layer.conv, groups=2))
    y = squeezed(normed(y, layer.widen), layer.scale)
    assert layer.conv.conv.filters == 4
    assert_equal(layer, x, ref.relu(y + normed(x, layer.shortcut, strides=2)))


def test_inverted_residual_with_squeeze_excite():
    x = numbers(2, 7, 6, 4)
    layer = shaken(blocks.InvertedResidual(4, expansion=2, kernel_size=5, se_ratio=0.5), x)
    y = np.clip(normed(x, layer.expand), 0, 6)
    y = ref.depthwise(y, layer.depthwise.conv.kernel)
    y = np.clip(ref.batch_norm(y, layer.depthwise.norm), 0, 6)
    y = normed(squeezed(y, layer.scale), layer.project)
    assert y.shape[-1] == 4 and layer.expand.conv.filters == 8
    assert_equal(layer, x, x + y)


def test_squeeze_excite():
    x = numbers(2, 5, 6, 8)
    layer = shaken(blocks.SqueezeExcite(0.25), x)
    assert layer.reduce.filters == 2
    assert_equal(layer, x, squeezed(x, layer))


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention(causal):
    x = numbers(2, 5, 8)
    layer = shaken(blocks.SelfAttention(2, causal=causal), x)
    query, key, value = np.split(ref.dense(x, layer.project), 3, axis=-1)
    later = np.triu(np.ones((5, 5), bool), 1) if causal else None
    mixed = ref.attention(query, key, value, 2, later)
    assert_equal(layer, x, ref.dense(mixed, layer.output_projection))


def test_self_attention_reads_no_masked_position():
    x, mask = numbers(2, 5, 8), np.array([[True] * 5, [True] * 3 + [False] * 2])
    layer = shaken(blocks.SelfAttention(2), x)
    whole = ref.array(layer(x, mask=mask))
    np.testing.assert_allclose(whole[1, :3], ref.array(layer(x[1:, :3]))[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(whole[0], ref.array(layer(x[:1]))[0], rtol=1e-4, atol=1e-5)


def encode(layer, x):
    attention, y = layer.attention, ref.layer_norm(ref.array(x), layer.norm1)
    query, key, value = np.split(ref.dense(y, attention.project), 3, axis=-1)
    mixed = ref.attention(query, key, value, attention.num_heads)
    x = x + ref.dense(mixed, attention.output_projection)
    y = ref.relu(ref.dense(ref.layer_norm(x, layer.norm2), layer.widen))
    return x + ref.dense(y, layer.narrow)


def test_transformer_encoder():
    x = numbers(2, 5, 8)
    layer = shaken(blocks.TransformerEncoder(2, activation="relu"), x)
    assert layer.widen.units == 32
    assert_equal(layer, x, encode(layer, x))


def test_masks_pass_through_encoders():
    ids = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=True)(ids)
    x = blocks.TransformerEncoder(2)(blocks.TransformerEncoder(2)(x))
    model = keras.Model(ids, layers.GlobalAveragePooling1D()(x))
    long, short = np.array([[3, 4, 5, 0, 0, 0]]), np.array([[3, 4, 5]])
    free = keras.Input((None,), dtype="int32")
    y = free
    for layer in model.layers[1:]:
        y = layer(y)
    same = keras.Model(free, y)
    np.testing.assert_allclose(ref.array(model(long)), ref.array(same(short)), rtol=1e-4, atol=1e-5)


def test_both_branches_of_an_encoder_are_dropped():
    x = numbers(4000, 3, 4)
    layer = shaken(blocks.TransformerEncoder(1, drop_path=0.5), x)
    y = ops.convert_to_numpy(layer(x, training=True))
    untouched = (y == x).all((1, 2)).mean()  # both branches left out: 0.5 x 0.5
    np.testing.assert_allclose(untouched, 0.25, atol=0.04)


def test_concat_fusion():
    x = [numbers(2, 3), numbers(2, 5, seed=1)]
    layer = shaken(blocks.ConcatFusion(6), x)
    assert_equal(layer, x, ref.relu(ref.dense(np.concatenate(x, -1), layer.dense)))


def test_gated_fusion():
    x = [numbers(2, 3), numbers(2, 5, seed=1), numbers(2, 4, seed=2)]
    layer = shaken(blocks.GatedFusion(6), x)
    together = np.concatenate(x, -1)
    gates = ref.softmax(np.stack([ref.dense(together, gate) for gate in layer.gates]), axis=0)
    values = np.stack([np.tanh(ref.dense(a, p)) for a, p in zip(x, layer.projections)])
    assert_equal(layer, x, (gates * values).sum(0))


def test_cross_attention_fusion():
    x, context = numbers(2, 5, 8), numbers(2, 3, 6, seed=1)
    layer = shaken(blocks.CrossAttentionFusion(2), [x, context])
    query = ref.dense(ref.layer_norm(ref.array(x), layer.norm1), layer.query)
    read = ref.dense(ref.layer_norm(ref.array(context), layer.norm2), layer.key_value)
    key, value = np.split(read, 2, axis=-1)

    def attend(hidden):
        q, k, v = (
            a.reshape(2, a.shape[1], 2, 4).transpose(0, 2, 1, 3) for a in (query, key, value)
        )
        scores = np.where(hidden, -np.inf, q @ k.transpose(0, 1, 3, 2) / 2)
        mixed = (ref.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(2, 5, 8)
        return x + ref.dense(mixed, layer.output_projection)

    assert_equal(layer, [x, context], attend(np.zeros((1, 1, 1, 3), bool)))
    mask = np.array([[True, True, False], [True, True, True]])
    hidden = ~mask[:, None, None, :]
    assert_equal(layer, [x, context], attend(hidden), mask=[None, ops.convert_to_tensor(mask)])


def identity_pyramid(maps):
    """Return a pyramid whose convolutions change nothing."""
    layer = blocks.FeaturePyramid(maps[0].shape[-1])
    layer.build([x.shape for x in maps])
    for conv in (*layer.laterals, *layer.outputs):
        kernel = np.zeros(conv.kernel.shape, "float32")
        kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = np.eye(kernel.shape[-1])
        conv.kernel.assign(kernel)
    return layer


def test_feature_pyramid_adds_the_doubled_coarse_map():
    fine, coarse = numbers(1, 5, 4, 2), numbers(1, 3, 2, 2, seed=1)
    doubled = coarse.repeat(2, axis=1).repeat(2, axis=2)[:, :5, :4]
    outputs = identity_pyramid([fine, coarse])([fine, coarse])
    np.testing.assert_allclose(ref.array(outputs[0]), fine + doubled, rtol=1e-5)
    np.testing.assert_allclose(ref.array(outputs[1]), coarse, rtol=1e-5)


def test_feature_pyramid_continues_the_edge_of_maps_that_padding_shrank():
    fine, coarse = numbers(1, 6, 5, 2), numbers(1, 2, 2, 2, seed=1)
    doubled = coarse.repeat(2, axis=1).repeat(2, axis=2)
    expected = fine + np.pad(doubled, [(0, 0), (0, 2), (0, 1), (0, 0)], mode="edge")
    finest = ref.array(identity_pyramid([fine, coarse])([fine, coarse])[0])
    np.testing.assert_allclose(finest, expected)


def test_an_open_pyramid_equals_a_closed_one():
    """'valid' convolutions: 50, 24, 11 and 5 are not halves, and an open graph cannot know."""
    outputs = []
    weights = None
    for sides in ((100, 100), (None, None)):
        x = image = keras.Input((*sides, 3))
        maps = []
        for _ in range(4):
            x = layers.Conv2D(4, 3, 2)(x)
            maps.append(x)
        model = keras.Model(image, blocks.FeaturePyramid(4)(maps))
        model.set_weights(weights or model.get_weights())
        weights = model.get_weights()
        image = numbers(1, 100, 100, 3)
        outputs += [model.predict(image, verbose=0)]
        outputs += [blocks.flatten(model).predict(image, verbose=0)]
    for other in outputs[1:]:
        for a, b in zip(outputs[0], other):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_drop_path_drops_whole_samples_and_keeps_the_mean():
    x = np.ones((4000, 2, 3), "float32")
    y = ops.convert_to_numpy(blocks.DropPath(0.25, seed=0)(x, training=True))
    assert (y == y[:, :1, :1]).all()
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    np.testing.assert_allclose((y == 0).mean(), 0.25, atol=0.03)


def test_layer_scale():
    x = numbers(2, 3, 4)
    layer = shaken(blocks.LayerScale(0.5), x)
    assert_equal(layer, x, x * ref.array(layer.scale))
    assert blocks.LayerScale().start == 1e-5
