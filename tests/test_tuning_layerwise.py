"""Each block's step is its share of what the optimizer alone would do."""

import keras
import numpy as np
import pytest
from keras import layers

import tuning
from tests.small_networks import data, network, values
from tuning.depth import depths

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
EAGER = keras.backend.backend() == "tensorflow"  # whose steps take seconds to trace


def by_layer(model, groups=None):
    return {path.split("/")[-2]: depth for path, depth in depths(model, groups).items()}


def test_depth_counts_blocks_and_gives_norms_the_depth_of_their_kernel():
    model, _ = network()
    found = {path.split("/")[0]: depth for path, depth in depths(model).items()}
    assert found == {"head": 0, "stage2": 1, "stage1": 2, "stem": 3}
    x = keras.Input((8,))
    y = layers.Dense(8, name="first")(x)
    y = layers.BatchNormalization(name="norm")(y)
    z = layers.Dense(8, name="branch")(y)
    y = layers.Add()([y, layers.Dense(8, name="longer")(z)])
    model = keras.Model(x, layers.Dense(1, name="out")(y))
    assert by_layer(model) == {"out": 0, "longer": 1, "branch": 2, "norm": 3, "first": 3}
    assert by_layer(model, groups=2) == {"out": 0, "longer": 1, "branch": 2, "norm": 2, "first": 2}


def test_nested_models_are_opened_and_shared_layers_are_where_they_are_last():
    x = keras.Input((4,))
    inner = keras.Sequential([x, layers.Dense(4, name="a"), layers.Dense(4, name="b")])
    shared = layers.Dense(4, name="shared")
    y = keras.Input((4,))
    z = shared(layers.Dense(4, name="between")(shared(inner(y))))
    assert by_layer(keras.Model(y, z)) == {"shared": 0, "between": 1, "b": 3, "a": 4}


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam", "adamw"])
def test_every_step_is_scaled_by_the_power_of_the_depth(kind):
    made = {
        "sgd": lambda: keras.optimizers.SGD(0.1, clipvalue=0.01),
        "momentum": lambda: keras.optimizers.SGD(
            keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5), momentum=0.9
        ),
        "adam": lambda: keras.optimizers.Adam(0.1),
        "adamw": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.5),
    }[kind]
    x = keras.Input((3,))
    y = layers.Dense(2, name="out")(layers.Dense(3, name="in", use_bias=False)(x))
    model = keras.Model(x, y)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables]
    optimizers = made(), tuning.layerwise_decay(made(), model, 0.5)
    plain = [keras.Variable(w) for w in weights]
    for step in range(3):
        grads = [rng.normal(size=w.shape).astype("float32") for w in weights]
        before = [np.array(v) for v in plain]
        if step == 0:  # from the same weights: decay of a weight is a share of it
            model.set_weights(weights)
        start = [np.array(v) for v in model.trainable_variables]
        for v, value in zip(plain, start):
            v.assign(value)
        before = start
        for optimizer, variables in zip(optimizers, (plain, model.trainable_variables)):
            tensors = [keras.ops.convert_to_tensor(g) for g in grads]
            optimizer.apply(tensors, variables)
        for v, ours, old, factor in zip(plain, model.trainable_variables, before, (0.5, 1, 1)):
            expected = old + factor * (np.array(v) - old)
            np.testing.assert_allclose(np.array(ours), expected, rtol=1e-5, atol=1e-6)
            assert np.abs(np.array(ours) - old).max() > 1e-5


def test_it_trains_under_fit_with_schedule_and_average_and_survives_saving(tmp_path):
    model, _ = network()
    optimizer = tuning.layerwise_decay(tuning.adamw(20, 1e-2, ema=0.5), model, 0.5)
    model.compile(optimizer, loss=LOSS, run_eagerly=EAGER)
    fit = {"x": data()[0], "y": data()[1], "shuffle": False, "verbose": 0, "batch_size": 8}
    start = values(model)
    model.fit(**fit, epochs=2)
    assert int(model.optimizer.iterations) == 4
    rate = float(model.optimizer.learning_rate)
    assert rate == pytest.approx(float(tuning.cosine_warmup(20, 1e-2)(4)))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.optimizer.factors == optimizer.factors and again.optimizer.use_ema
    assert again.optimizer.factors["stem/conv/kernel"] == 0.125
    assert float(again.optimizer.learning_rate) == pytest.approx(rate)
    again.run_eagerly = EAGER
    for each in (model, again):
        each.fit(**fit, epochs=1)
    far = {"stem": [], "head": []}
    for weight, other in zip(model.trainable_weights, again.trainable_weights):
        np.testing.assert_allclose(np.array(weight), np.array(other), atol=1e-3)
        part = weight.path.split("/")[0]
        if part in far:
            far[part].append(np.abs(np.array(weight) - start[weight.path]).max())
    assert max(far["stem"]) < max(far["head"]) / 3


def test_averages_are_of_the_weights_as_they_are():
    x = keras.Input((3,))
    model = keras.Model(x, layers.Dense(1, name="out")(layers.Dense(2, name="in")(x)))
    inner = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.75)
    optimizer = tuning.layerwise_decay(inner, model, 0.5)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    averages = None
    for _ in range(3):
        grads = [rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in grads])
        now = [np.array(v) for v in model.trainable_variables]
        averages = now if averages is None else [0.75 * a + 0.25 * v for a, v in zip(averages, now)]
    for ours, expected in zip(optimizer._model_variables_moving_average, averages):
        np.testing.assert_allclose(np.array(ours), expected, rtol=1e-5)


def test_its_rate_can_be_set_and_a_factor_of_one_is_the_optimizer_itself():
    model, _ = network()
    optimizer = tuning.layerwise_decay(keras.optimizers.SGD(0.1), model, 1.0)
    assert set(optimizer.factors.values()) == {1.0}
    optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == float(optimizer.scaled.learning_rate) == 0.5


def test_what_is_wrong_is_refused():
    model, _ = network()
    for wrong in ({"decay": 0}, {"decay": 1.5}, {"decay": "a"}, {"groups": 0}, {"groups": 1.5}):
        with pytest.raises(ValueError, match=f"Received: {[*wrong][0]}="):
            tuning.layerwise_decay("adam", model, **wrong)
    other = keras.Sequential([keras.Input((2,)), layers.Dense(1, name="elsewhere")])
    with pytest.raises(ValueError, match="Received: one with 2 other weights"):
        tuning.layerwise_decay("adam", model).build(other.trainable_variables)
    with pytest.raises(ValueError, match="functional"):
        tuning.layerwise_decay("adam", type("Own", (keras.Model,), {})())
    twice = keras.Input((4,))
    first = keras.Model(twice, layers.Dense(4, name="same", use_bias=False)(twice), name="one")
    twice = keras.Input((4,))
    second = keras.Model(twice, layers.Dense(4, name="same", use_bias=False)(twice), name="two")
    with pytest.raises(ValueError, match="Received: 'same/kernel' at 0 and at 1"):
        depths(keras.Model(twice, second(first(twice))))


@pytest.mark.parametrize("scaled", ["dynamic", "fixed"])
def test_the_scale_of_the_loss_is_the_others(scaled):
    rng, found = np.random.default_rng(0), []
    x, y = rng.normal(size=(16, 4)), rng.normal(size=(16, 1))
    for scale in (False, True):
        optimizer = keras.optimizers.SGD(0.1)
        if scale and scaled == "dynamic":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
        elif scale:
            optimizer.loss_scale_factor = 64.0
        keras.utils.set_random_seed(0)
        dense = [layers.Dense(3, name="in"), layers.Dense(1, name="out")]
        model = keras.Sequential([keras.Input((4,)), *dense])
        model.compile(tuning.layerwise_decay(optimizer, model, 0.5), loss="mse")
        model.fit(x, y, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-5)
