"""Multiply-adds against formulas written out by hand and against published networks."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import export

# Sums of ImageNet networks: total and trainable parameters, millions of multiply-adds.
PUBLISHED = {
    "MobileNet": (4_253_864, 4_231_976, "568.74"),
    "MobileNetV2": (3_538_984, 3_504_872, "300.77"),
    "MobileNetV3Small": (2_554_968, 2_542_856, "56.51"),
    "MobileNetV3Large": (5_507_432, 5_483_032, "216.59"),
    "EfficientNetB0": (5_330_571, 5_288_548, "385.81"),
    "ResNet50": (25_636_712, 25_583_592, "3857.97"),
    "ConvNeXtTiny": (28_589_128, 28_589_128, "4455.53"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks(name):
    model = getattr(keras.applications, name)(weights=None, input_shape=(224, 224, 3))
    found = export.measure(model)
    figures = (found.params, found.trainable_params, f"{found.macs / 1e6:.2f}")
    assert figures == PUBLISHED[name]
    assert found.uncounted == []
    assert sum(row.macs for row in found.layers) == found.macs
    assert sum(row.params for row in found.layers) == found.params


def test_minimalistic_network():
    model = keras.applications.MobileNetV3Large((224, 224, 3), minimalistic=True, weights=None)
    assert f"{export.measure(model).macs / 1e6:.2f}" == "209.14"


class Foreign(layers.Layer):
    """A leaf of somebody else's: its `call` is the only thing that says what it multiplies."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 4))
        self.matrix = self.add_weight(shape=(4, 5))

    def call(self, x):
        x = ops.tensordot(ops.conv(x, self.kernel, padding="same"), self.matrix, 1)
        return ops.einsum("...c,dc->...d", x, ops.ones((2, 5)))

    def compute_output_shape(self, shape):
        return (*shape[:-1], 2)


class Scaled(layers.Layer):
    """An einsum that only scales, and a product of the input with itself."""

    def call(self, x):
        scaled = ops.einsum("bij,bi->bij", x, x[..., 0])
        return scaled + ops.sum(ops.matmul(ops.transpose(x, (0, 2, 1)), x))


class Scanned(layers.Layer):
    """A loop, which cannot be looked into."""

    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], shape[-1]))

    def call(self, x):
        step = lambda state, x: (ops.tanh(state + ops.matmul(x, self.matrix)), x)  # noqa: E731
        return ops.scan(step, x[:, 0], ops.transpose(x, (1, 0, 2)))[0]


ATTENTION = [(7, 8), (5, 8)]
CASES = {
    "conv 1-D, dilated": (layers.Conv1D(5, 3, dilation_rate=2), [(10, 4)], 6 * 3 * 4 * 5),
    "conv 2-D, strided": (layers.Conv2D(5, 3, strides=2), [(9, 7, 4)], 4 * 3 * 9 * 4 * 5),
    "conv 2-D, same": (layers.Conv2D(5, 3, 2, padding="same"), [(9, 7, 4)], 5 * 4 * 9 * 4 * 5),
    "conv 3-D": (layers.Conv3D(5, 3), [(5, 5, 5, 2)], 27 * 27 * 2 * 5),
    "conv, grouped": (layers.Conv2D(8, 3, groups=4), [(6, 6, 8)], 16 * 9 * 2 * 8),
    "depthwise": (layers.DepthwiseConv2D(3, depth_multiplier=2), [(6, 6, 8)], 16 * 9 * 16),
    "depthwise 1-D": (layers.DepthwiseConv1D(3, depth_multiplier=2), [(6, 8)], 4 * 3 * 16),
    "separable": (
        layers.SeparableConv2D(5, 3, depth_multiplier=2),
        [(6, 6, 4)],
        16 * (9 * 8 + 8 * 5),
    ),
    "separable 1-D": (layers.SeparableConv1D(5, 3), [(6, 4)], 4 * (3 * 4 + 4 * 5)),
    "transposed": (layers.Conv2DTranspose(5, 3, strides=2), [(6, 6, 4)], 36 * 9 * 4 * 5),
    "transposed 1-D": (layers.Conv1DTranspose(5, 3, strides=2), [(6, 4)], 6 * 3 * 4 * 5),
    "transposed 3-D": (layers.Conv3DTranspose(5, 3), [(3, 3, 3, 4)], 27 * 27 * 4 * 5),
    "dense on axes": (layers.Dense(7), [(3, 4, 5)], 12 * 5 * 7),
    "einsum dense": (
        layers.EinsumDense("abc,cde->abde", output_shape=(None, 3, 4)),
        [(6, 5)],
        6 * 5 * 12,
    ),
    "LSTM": (layers.LSTM(6), [(7, 5)], 7 * 4 * (5 * 6 + 6 * 6)),
    "GRU": (layers.GRU(6, return_sequences=True), [(7, 5)], 7 * 3 * (5 * 6 + 6 * 6)),
    "simple recurrent": (layers.SimpleRNN(6), [(7, 5)], 7 * (5 * 6 + 6 * 6)),
    "both ways": (layers.Bidirectional(layers.GRU(6)), [(7, 5)], 2 * 7 * 3 * (5 * 6 + 36)),
    "stacked cells": (
        layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)]),
        [(7, 5)],
        7 * (4 * (5 * 4 + 16) + 3 * (4 * 3 + 9)),
    ),
    "convolutional LSTM": (
        layers.ConvLSTM2D(4, 3, padding="same"),
        [(3, 6, 6, 2)],
        3 * 36 * 9 * (2 + 4) * 4 * 4,
    ),
    "time distributed": (
        layers.TimeDistributed(layers.Conv2D(4, 3)),
        [(3, 6, 6, 2)],
        3 * 16 * 9 * 2 * 4,
    ),
    "attention heads": (
        layers.MultiHeadAttention(2, 4),
        ATTENTION,
        7 * 8 * 8 + 2 * 5 * 8 * 8 + 2 * 7 * 5 * 8 + 7 * 8 * 8,
    ),
    "grouped queries": (
        layers.GroupQueryAttention(4, 4, 2),
        ATTENTION,
        7 * 8 * 16 + 2 * 5 * 8 * 8 + 2 * 7 * 5 * 16 + 7 * 16 * 8,
    ),
    "embedding": (layers.Embedding(10, 4), [(3,)], 0),
    "normalized": (layers.SpectralNormalization(layers.Dense(4)), [(3,)], 12),
    "foreign": (Foreign(), [(6, 6, 3)], 36 * (27 * 4 + 4 * 5 + 5 * 2)),
    "products alone": (Scaled(), [(6, 3)], 3 * 6 * 3),
}


@pytest.mark.parametrize("name", CASES)
def test_formulas(name):
    layer, shapes, macs = CASES[name]
    inputs = [keras.Input(shape) for shape in shapes]
    found = export.measure(keras.Model(inputs, layer(*inputs)))
    assert found.macs == macs
    assert found.uncounted == []


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (layers.Attention(), 7 * 5 * (8 + 8)),
        (layers.AdditiveAttention(), 7 * 5 * (8 + 8)),
        (layers.Dot(axes=2), 7 * 5 * 8),
    ],
    ids=lambda x: type(x).__name__,
)
def test_layers_that_take_a_list(layer, macs):
    inputs = [keras.Input(shape) for shape in ATTENTION]
    assert export.measure(keras.Model(inputs, layer(inputs))).macs == macs


def test_open_batch_is_one_sample_even_where_it_is_reshaped():
    x = keras.Input((6, 3))
    model = keras.Model(x, ops.matmul(ops.reshape(x, (-1, 3)), ops.ones((3, 4))))
    assert export.measure(model).macs == 6 * 3 * 4


def test_a_shared_layer_counts_once_in_parameters_and_each_time_in_macs():
    x, shared = keras.Input((6, 3)), layers.Dense(3, name="shared")
    found = export.measure(keras.Model(x, shared(shared(x))))
    assert [(row.name, row.params, row.macs) for row in found.layers] == [("shared", 12, 108)]
    assert (found.params, found.macs) == (12, 108)


def test_what_cannot_be_told_is_said():
    x = keras.Input((6, 3))
    found = export.measure(keras.Model(x, Scanned(name="loop")(layers.Dense(3)(x))))
    assert found.uncounted == ["loop"]
    assert found.macs == 6 * 9
    assert "and what loop need" in str(found)


def test_open_sizes_are_given():
    x = keras.Input((None, 4), name="sequence")
    model = keras.Model(x, layers.MultiHeadAttention(1, 4)(layers.Dense(4)(x), x))
    with pytest.raises(export.ExportError, match=r"'sequence' of shape \(None, 4\).*input_shape="):
        export.measure(model)
    dense, heads, product = 9 * 4 * 4, 4 * 9 * 4 * 4, 2 * 9 * 9 * 4
    assert export.measure(model, input_shape=(9, 4)).macs == dense + heads + product


def test_rows_sum_by_block():
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="a"), layers.Conv2D(5, 1, name="b")],
        name="stage",
    )
    image = keras.Input((8, 8, 3))
    found = export.measure(keras.Model(image, layers.Flatten(name="flat")(inner(image))))
    assert [row.name for row in found.layers] == ["stage.a", "stage.b", "flat"]
    stage, flat = found.blocks()
    assert (stage.name, stage.kind, stage.output_shape) == ("stage", "block", (6, 6, 5))
    assert stage.params == (27 * 4 + 4) + (4 * 5 + 5)
    assert stage.macs == 36 * (27 * 4 + 4 * 5)
    assert (flat.name, flat.kind, flat.output_shape, flat.macs) == ("flat", "Flatten", (180,), 0)


def test_measuring_leaves_the_model_as_it_was():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.BatchNormalization()(layers.Conv2D(4, 3)(image)))
    before = [np.array(weight) for weight in model.get_weights()]
    export.measure(model)
    assert len(model.layers) == 3
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
