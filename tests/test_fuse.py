"""Layers that offer `fuse()` are fused: values, graphs, files."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import blocks
import export
from tests import numpy_layers as ref
from tests.values import assert_equal, numbers, shaken

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
FORMS = [
    ({}, (2, 7, 6, 4)),
    ({"groups": 2, "kernel_size": 5}, (2, 7, 6, 4)),
    ({"strides": 2}, (2, 8, 7, 4)),
    ({"strides": 3, "kernel_size": 5}, (2, 8, 7, 6)),
    ({"kernel_size": 1, "activation": "gelu"}, (2, 5, 5, 4)),
    ({"rank": 1, "strides": 2}, (2, 8, 4)),
    ({"rank": 1}, (2, 8, 4)),
    ({"activation": "prelu"}, (2, 7, 6, 4)),
    ({"rank": 3, "groups": 4}, (2, 3, 4, 5, 4)),
]


def branch(y, norm):
    return ref.batch_norm(y, norm)


def padded(x, kernel, strides, groups=1):
    """Convolve with the same zeros on both ends of every side."""
    reach = kernel.shape[0] // 2
    sides = [(0, 0), *[(reach, reach)] * (x.ndim - 2), (0, 0)]
    y = ref.convolve(np.pad(x, sides), kernel, groups=groups)
    keep = tuple(
        slice(reach, reach + n, strides) for n in x.shape[1:-1]
    )  # 'same' of the padded map, its own edges cut away
    return y[(slice(None), *keep)]


@pytest.mark.parametrize(("args", "shape"), FORMS[:7])
def test_rep_conv_adds_its_branches(args, shape):
    x = numbers(*shape)
    layer = shaken(blocks.RepConv(4, **{**args, "activation": None}), x)
    strides, groups = args.get("strides", 1), args.get("groups", 1)
    y = branch(padded(x, layer.full.conv.kernel, strides, groups), layer.full.norm)
    y = y + branch(padded(x, layer.point.conv.kernel, strides, groups), layer.point.norm)
    assert len(layer.same) == (strides == 1)
    for norm in layer.same:
        y = y + branch(ref.array(x), norm)
    assert_equal(layer, x, y)


@pytest.mark.parametrize(("args", "shape"), FORMS)
def test_the_fused_convolution_gives_the_same(args, shape):
    x = numbers(*shape)
    layer = shaken(blocks.RepConv(4, **args), x)
    fused = layer.fuse()
    expected, actual = (ops.convert_to_numpy(f(x)) for f in (layer, fused))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    kinds = [type(part).__name__ for part in fused._flatten_layers(include_self=False)]
    assert sum("Conv" in kind for kind in kinds) == 1 and "BatchNormalization" not in kinds
    assert len(fused.weights) == 2 + (args.get("activation") == "prelu")


def test_a_trained_rep_conv_fuses():
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, blocks.RepConv(3, name="rep")(x))
    model.compile("sgd", loss="mse")
    data = numbers(64, 8, 8, 3)
    model.fit(data, data, epochs=2, verbose=0)
    expected, actual = model.predict(data, verbose=0), model.layers[1].fuse()(data)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_an_unbuilt_layer_is_not_fused():
    with pytest.raises(ValueError, match="Received: 'rep', not yet built"):
        blocks.RepConv(4, name="rep").fuse()


def test_a_fused_layer_is_as_precise_as_its_original():
    layer = blocks.RepConv(4, dtype="mixed_bfloat16")
    layer.build((None, 8, 8, 4))
    fused = layer.fuse()
    assert fused.dtype_policy.name == "mixed_bfloat16" and fused.conv.kernel.dtype == "float32"


def network():
    """Five RepConvs: nested in a model, in a block, shared, strided, and as an output."""

    class Twice(blocks.Block):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.rep = blocks.RepConv(6, name="rep", dtype=self.dtype_policy)

        def call(self, x):
            return self.rep(self.rep(x))

    image = keras.Input((16, 16, 3), name="image")
    x = blocks.RepConv(6, strides=2, name="stem")(image)
    inner = keras.Input((8, 8, 6))
    nested = keras.Model(inner, blocks.RepConv(6, name="deep")(inner), name="nested")
    x = Twice(name="twice")(nested(x))
    a = blocks.RepConv(4, strides=2, activation=None, name="a")(x)
    b = blocks.RepConv(6, groups=2, name="b")(x)
    model = keras.Model(image, [a, b], name="network")
    rng = np.random.default_rng(5)
    for w in model.weights:
        w.assign(w + 0.1 * rng.uniform(size=w.shape))
    return model


def test_flatten_fuses_where_it_is_asked_to():
    model, x = network(), numbers(2, 16, 16, 3)
    flat, fused = blocks.flatten(model), blocks.flatten(model, fuse=True)
    convs = {x.name for x in fused.layers if isinstance(x, layers.Conv2D)}
    assert convs == {"stem.conv", "nested.deep.conv", "twice.rep.conv", "a.conv", "b.conv"}
    assert not any(isinstance(x, layers.BatchNormalization) for x in fused.layers)
    assert sum(isinstance(x, layers.Conv2D) for x in flat.layers) == 10
    for expected, actual in zip(model.predict(x, verbose=0), fused.predict(x, verbose=0)):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_what_is_fused_is_counted_fused():
    image = keras.Input((8, 8, 4))
    model = keras.Model(image, blocks.RepConv(4)(image))
    found = export.measure(model)
    assert found.macs == 8 * 8 * 9 * 4 * 4 and found.params == 9 * 4 * 4 + 4


@on_tensorflow
def test_a_file_has_one_convolution_for_each_rep_conv(tmp_path):
    x = image = keras.Input((16, 16, 3), name="image")
    for i, strides in enumerate([2, 1, 1, 2, 1]):
        x = blocks.RepConv(8, strides=strides, name=f"rep{i}")(x)
    model = keras.Model(image, x)
    rng = np.random.default_rng(5)
    for w in model.weights:
        w.assign(w + 0.1 * rng.uniform(size=w.shape))
    samples = numbers(4, 16, 16, 3)
    bundle = export.to_tflite(model, tmp_path / "rep.tflite", inputs=samples, measure=False)
    assert bundle.ops["CONV_2D"] == 5 and "ADD" not in bundle.ops and "MUL" not in bundle.ops
    assert [x.name for x in bundle.outputs] == ["rep4"]
    assert export.verify(model, tmp_path / "rep.tflite", samples).passed


@on_tensorflow
def test_a_fused_file_keeps_the_names_of_the_model(tmp_path):
    bundle = export.to_tflite(network(), tmp_path / "net.tflite", measure=False)
    assert {x.name for x in bundle.outputs} == {"a", "b"} and bundle.inputs[0].name == "image"
    assert bundle.ops["CONV_2D"] == 6  # one of the five runs twice


class Wrong(layers.Layer):
    """Promises more than it keeps."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale

    def fuse(self):
        return layers.Rescaling(1.5, name=self.name)


@on_tensorflow
def test_a_file_is_compared_with_the_model_before_fusing(tmp_path):
    x = keras.Input((4,))
    with pytest.raises(export.ParityError):
        export.to_tflite(keras.Model(x, Wrong()(x)), tmp_path / "wrong.tflite", measure=False)
    assert not (tmp_path / "wrong.tflite").exists()
