"""A flat graph gives the numbers of the model it was made of."""

import keras
import numpy as np
import pytest
from keras import layers, ops, tree

import blocks
from blocks import flatten
from blocks.graph import path_of
from tests import numpy_layers as ref

FIRST = 0.5


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def assert_same_outputs(model, flat, x, **tolerance):
    expected, actual = model.predict(x, verbose=0), flat.predict(x, verbose=0)
    tree.assert_same_structure(expected, actual)
    for a, b in zip(tree.flatten(expected), tree.flatten(actual)):
        np.testing.assert_allclose(a, b, **(tolerance or {"rtol": 0, "atol": 0}))


def is_flat(model):
    return not any(list(layer._flatten_layers(include_self=False)) for layer in model.layers)


def small_network():
    image = keras.Input((16, 16, 3), name="image")
    x = blocks.ResidualBlock(4, strides=2, name="first")(image)
    x = blocks.ResidualBlock(4, name="second")(x)
    return keras.Model(image, {"P1": x, "sum": ops.sum(x, axis=(1, 2))}, name="small")


def test_blocks_become_leaves_named_by_their_path():
    model = small_network()
    flat = flatten(model)
    assert is_flat(flat)
    names = [path_of(layer) for layer in flat.layers]
    assert names[:3] == ["image", "first.conv1.conv", "first.conv1.norm"]
    assert "second.conv2.norm" in names and flat.name == "small"
    assert_same_outputs(model, flat, numbers(2, 16, 16, 3))


def test_an_unnamed_input_keeps_the_name_of_its_layer():
    x = keras.Input((3,))
    model = keras.Model(x, layers.Dense(2)(x))
    assert flatten(model).layers[0].name == model.layers[0].name


def test_the_copy_is_a_copy():
    model = small_network()
    before = model.get_weights()
    flat = flatten(model)
    for w in flat.weights:
        w.assign(w + 1)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert {id(w) for w in flat.weights}.isdisjoint({id(w) for w in model.weights})


def test_a_flat_model_saves_and_loads(tmp_path):
    flat = flatten(small_network())
    flat.save(tmp_path / "flat.keras")
    assert_same_outputs(
        flat, keras.saving.load_model(tmp_path / "flat.keras"), numbers(2, 16, 16, 3)
    )


def test_nested_models_and_sequentials():
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4), layers.Dense(3)], name="inner")
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    shared = keras.Model([a, b], inner(a) * inner(b) + 1.0)
    flat = flatten(shared)
    assert is_flat(flat)
    assert sum(isinstance(layer, layers.Dense) for layer in flat.layers) == 2  # shared stay shared
    assert_same_outputs(shared, flat, [numbers(2, 6), numbers(2, 6, seed=1)])


def test_inputs_by_name():
    inputs = {"b": keras.Input((3,), name="b"), "a": keras.Input((2,), name="a")}
    nested = keras.Model(inputs, {"y": blocks.ConcatFusion(4)([inputs["a"], inputs["b"]])})
    outer = {"b": keras.Input((3,), name="b"), "a": keras.Input((2,), name="a")}
    model = keras.Model(outer, nested(outer)["y"])
    assert_same_outputs(model, flatten(model), {"a": numbers(2, 2), "b": numbers(2, 3)})


def test_masks_reach_what_needs_them():
    ids = keras.Input((7,), dtype="int32")
    x = layers.Embedding(5, 8, mask_zero=True)(ids)
    x = blocks.TransformerEncoder(2)(x)
    x = blocks.SelfAttention(4)(x)
    model = keras.Model(ids, layers.LSTM(3)(x))
    flat = flatten(model)
    assert any(isinstance(layer, layers.LSTM) for layer in flat.layers)
    tokens = np.array([[1, 2, 3, 4, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0]])
    assert_same_outputs(model, flat, tokens, rtol=1e-5, atol=1e-6)


def test_recurrent_wrappers_stay_leaves():
    x = keras.Input((5, 3))
    model = keras.Model(x, layers.Bidirectional(layers.GRU(4), name="both")(x))
    flat = flatten(model)
    kinds = {type(layer) for layer in flat.layers[1:]}  # Keras 3.12 opens the wrapper
    assert kinds in ({layers.Bidirectional}, {layers.GRU})
    assert_same_outputs(model, flat, numbers(2, 5, 3))


def test_a_composite_with_weights_of_its_own_stays_a_leaf():
    class Scaled(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(3)

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(), name="scale", initializer="ones")
            self.dense.build(input_shape)

        def call(self, x):
            return self.dense(x) * self.scale

    x = keras.Input((3,))
    model = keras.Model(x, Scaled(name="scaled")(x))
    model.layers[1].scale.assign(2.0)
    flat = flatten(model)
    assert [layer.name for layer in flat.layers][1:] == ["scaled"]
    assert_same_outputs(model, flat, numbers(2, 3))


def test_adapted_normalization_keeps_its_numbers():
    x, normalization = keras.Input((3,)), layers.Normalization()
    normalization.adapt(10 + 5 * numbers(50, 3))
    model = keras.Model(x, normalization(x))
    assert_same_outputs(model, flatten(model), 10 + numbers(2, 3))


def test_code_of_ones_own_is_trusted():
    x = keras.Input((3,))
    model = keras.Model(x, layers.Lambda(lambda v: v * 2, output_shape=(3,))(x))
    assert_same_outputs(model, flatten(model), numbers(2, 3))


def test_mixed_precision_stays_mixed():
    x = keras.Input((16, 16, 3))
    y = blocks.ResidualBlock(4, dtype="mixed_bfloat16")(x)
    model = keras.Model(x, blocks.SqueezeExcite(dtype="mixed_bfloat16")(y))
    flat = flatten(model)
    assert flat.output.dtype == model.output.dtype == "bfloat16"
    a, b = (ref.array(m(numbers(2, 16, 16, 3))) for m in (model, flat))
    np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2)


def test_training_behaves_as_in_the_model():
    x = keras.Input((4000,))
    flat = flatten(keras.Model(x, keras.Sequential([x, layers.Dropout(0.5)])(x)))
    ones = np.ones((1, 4000), "float32")
    assert (ops.convert_to_numpy(flat(ones, training=True)) == 0).mean() > 0.4
    np.testing.assert_array_equal(flat(ones, training=False), ones)


def test_models_without_a_graph_are_refused():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="Received: 'mine' of type Subclassed"):
        flatten(Subclassed(name="mine"))
    with pytest.raises(ValueError, match=r"Received: .* of type Sequential"):
        flatten(keras.Sequential([layers.Dense(3)]))


def test_a_block_that_was_called_for_inference_is_opened():
    """As in files whose graphs hold `training=False`, which Keras takes for every layer."""
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, blocks.ConvNormAct(4, name="block")(image, training=False))
    flat = flatten(model)
    assert "block.conv" in [path_of(layer) for layer in flat.layers]
    x = np.ones((1, 8, 8, 3), "float32")
    np.testing.assert_allclose(ref.array(flat(x)), ref.array(model(x)), rtol=1e-5, atol=1e-6)


def test_a_lambda_keeps_what_its_code_reads():
    x = keras.Input((4,))
    model = keras.Model(x, layers.Lambda(lambda y: ops.clip(y, 0, 1) + FIRST)(x))
    assert_same_outputs(model, flatten(model), numbers(3, 4))


def test_a_layer_that_no_second_can_be_made_of_is_named():
    class Foreign(layers.Layer):
        def __init__(self, factors, **kwargs):
            super().__init__(**kwargs)
            self.factors = factors

        def call(self, x):
            return x * self.factors

    x = keras.Input((4,))
    model = keras.Model(x, Foreign(np.ones(4), name="odd")(x))
    with pytest.raises(ValueError, match="'odd' of type Foreign"):
        flatten(model)
