"""The gradient's norm is right, costs nothing in bits, and is warned about in words."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import tuning
from tests.small_networks import data, network, values

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def dense(*units, activation="relu", **kwargs):
    """Return a chain of dense layers, `layer0` and so on, on four inputs."""
    keras.utils.set_random_seed(0)
    made = [
        layers.Dense(n, activation if i < len(units) - 1 else None, name=f"layer{i}", **kwargs)
        for i, n in enumerate(units)
    ]
    return keras.Sequential([keras.Input((4,)), *made])


def linear_data(scale=1.0, count=32):
    rng = np.random.default_rng(0)
    return (scale * rng.normal(size=(count, 4))).astype("float32"), rng.normal(
        size=(count, 1)
    ).astype("float32")


def test_norms_are_those_of_the_gradient_of_a_linear_model():
    x, y = linear_data()
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, name="out")])
    kernel, bias = (np.array(w) for w in model.weights)
    expected = []
    for i in (0, 16):
        error = x[i : i + 16] @ kernel + bias - y[i : i + 16]
        gradient = np.append(2 * x[i : i + 16].T @ error / 16, 2 * error.mean())
        expected.append(np.sqrt((gradient**2).sum()))
        kernel -= 0.1 * gradient[:-1, None]
        bias -= 0.1 * gradient[-1]
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    watch = tuning.GradientNorm(log_blocks=True)
    found = model.fit(x, y, batch_size=16, shuffle=False, verbose=0, callbacks=[watch]).history
    assert found["gradient_norm"] == pytest.approx([np.mean(expected)], rel=1e-5)
    assert found["gradient_norm/out"] == pytest.approx([np.mean(expected)], rel=1e-5)


def test_training_is_the_same_bit_for_bit_and_so_are_other_logs():
    fitted = []
    for callbacks in ([], [tuning.GradientNorm()]):
        model, _ = network()
        model.compile(tuning.adamw(4, 1e-2), loss=LOSS, metrics=["accuracy"])
        x, y = data(24)
        fit = {"batch_size": 16, "validation_data": (x, y), "shuffle": False, "verbose": 0}
        history = model.fit(x, y, epochs=2, callbacks=callbacks, **fit).history
        norms = history.pop("gradient_norm", None)
        assert (norms is None) == (callbacks == [])
        fitted.append((values(model), history))
    for path in fitted[0][0]:
        np.testing.assert_array_equal(fitted[0][0][path], fitted[1][0][path], err_msg=path)
    assert fitted[0][1] == fitted[1][1]
    assert list(callbacks[0].blocks) == ["stem", "stage1", "stage2", "head"]


def test_it_leaves_the_model_as_it_was_and_works_with_unfreezing():
    model, _ = network()
    model.compile("adam", loss=LOSS, run_eagerly=keras.backend.backend() == "tensorflow")
    watch, seen = tuning.GradientNorm(), []

    class Names(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(list(watch.blocks))

    callbacks = [watch, tuning.GradualUnfreezing({0: "P1", 1: None}), Names()]
    model.fit(*data(), epochs=2, verbose=0, callbacks=callbacks)
    assert seen == [["stage2", "head"], ["stem", "stage1", "stage2", "head"]]
    for thing in (model, model.optimizer):
        assert not {"train_step", "apply", "stateless_apply"} & set(vars(thing))
    assert set(model.fit(*data(), verbose=0).history) == {"loss"}


@pytest.mark.parametrize("watched", [None, "by another", "by the same"])
@pytest.mark.parametrize("compiled", [None, "anew", "with its optimizer"])
def test_an_interrupted_training_leaves_a_model_that_trains(compiled, watched):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model = dense(4, 1)
    model.compile("sgd", loss="mse")
    watch = tuning.GradientNorm()
    fit = {"x": linear_data()[0], "y": linear_data()[1], "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        model.fit(**fit, callbacks=[watch, Stop()])
    if compiled:
        model.compile(model.optimizer if "its" in compiled else "sgd", loss="mse")
    again = {None: [], "by another": [tuning.GradientNorm()], "by the same": [watch]}[watched]
    history = model.fit(**fit, callbacks=again).history
    assert set(history) == ({"loss", "gradient_norm"} if watched else {"loss"})
    assert np.isfinite(list(history.values())).all()


@pytest.mark.parametrize("scaled", ["dynamic", "fixed"])
def test_the_scale_of_the_loss_is_taken_off(scaled):
    found = []
    for scale in (False, True):
        model = dense(3, 1)
        optimizer = keras.optimizers.SGD(0.01)
        if scale and scaled == "dynamic":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
        elif scale:
            optimizer.loss_scale_factor = 64.0
        model.compile(optimizer, loss="mse")
        fit = {"batch_size": 16, "shuffle": False, "verbose": 0}
        history = model.fit(*linear_data(), callbacks=[tuning.GradientNorm()], **fit).history
        found.append(history["gradient_norm"][0])
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def warned(model, x, y, epochs=1, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        watch = tuning.GradientNorm(**options)
        model.fit(x, y, epochs=epochs, batch_size=2, shuffle=False, verbose=0, callbacks=[watch])
    return [str(w.message) for w in caught if "gradient" in str(w.message)]


def test_a_gradient_that_vanishes_is_named_once():
    model = dense(*[4] * 14, 1, activation="sigmoid")
    model.compile("sgd", loss="mse")
    (message,) = warned(model, *linear_data(), epochs=2)
    assert "vanishes in 'layer0', 'layer1'" in message and "residual" in message


def test_a_gradient_that_explodes_with_depth_is_named():
    model = dense(*[4] * 8, 1, activation="tanh")
    large = dense(*[4] * 2, 1, activation="linear")
    large.get_layer("layer2").kernel.assign(np.full((4, 1), 1e6, "float32"))
    large.compile(keras.optimizers.SGD(0.0), loss="mse")
    (message,) = warned(large, *linear_data())
    assert "explodes in 'layer0', 'layer1'" in message and "'layer2'" in message
    model.compile(keras.optimizers.SGD(1e-3), loss="mse")
    assert warned(model, *linear_data()) == []


def test_a_dead_layer_and_a_spike_are_named():
    model = dense(4, 1)
    model.get_layer("layer0").bias.assign(np.full(4, -1e3, "float32"))  # its ReLUs never open
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    (message,) = warned(model, *linear_data())
    assert "vanishes in 'layer0': 0 in" in message
    x, y = linear_data()
    y[30:] = 1e6
    model = dense(4, 1)
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    (message,) = warned(model, x, y)
    assert "was usual" in message and "outliers" in message


def test_what_is_no_number_is_named_and_kept_out_of_the_mean():
    x, y = linear_data()
    y[5] = np.nan
    model = dense(4, 1)
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    (message,) = warned(model, x, y)
    assert "not a finite number in 'layer0', 'layer1'" in message and "data" in message
    assert np.isfinite(model.history.history["gradient_norm"][0])  # of the steps before


@pytest.mark.parametrize(
    "wrong", [{"vanishing": -1}, {"vanishing": 1}, {"exploding": 1}, {"spike": "x"}]
)
def test_wrong_thresholds_are_refused(wrong):
    with pytest.raises(ValueError, match=f"Received: {[*wrong][0]}="):
        tuning.GradientNorm(**wrong)


def test_two_steps_are_no_rule_for_a_third():
    x, y = linear_data()
    y[4:6] = 1e6
    model = dense(4, 1)
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    assert warned(model, x, y) == []


def test_loss_scaling_may_overflow():
    """It looks for its scale by that, at the first fit, too."""
    model = dense(4, 1)
    inner = keras.optimizers.SGD(0.0)
    model.compile(keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**127), loss="mse")
    assert warned(model, *linear_data(scale=10.0)) == []
