"""Cyclical rates are their formula, and what `adamw` makes of a schedule and an average."""

import keras
import numpy as np
import pytest

import tuning


def triangle(step, steps, peak, low, cycles, shrink, cooldown, final):
    body = steps * (1 - cooldown)
    if step >= body:
        share = min(1.0, (step - body) / (steps - body)) if cooldown else 1.0
        return low + share * (final - low)
    length = body / cycles
    cycle = int(step // length)
    place = step % length
    height = place / (length / 2) if place <= length / 2 else (length - place) / (length / 2)
    return low + height * (peak - low) * shrink**cycle


@pytest.mark.parametrize(
    "options",
    [
        {"low": 0.05, "cycles": 1, "shrink": 1.0, "cooldown": 0.1, "final": 0.0005},
        {"low": 0.1, "cycles": 5, "shrink": 1.0, "cooldown": 0.0, "final": 0.1},
        {"low": 0.0, "cycles": 4, "shrink": 0.5, "cooldown": 0.2, "final": 0.0},
    ],
)
def test_cyclical_is_its_formula(options):
    rate = tuning.cyclical(200, 0.5, **options)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(rate))
    for step in (0, 1, 17, 39, 63, 90, 101, 155, 181, 199, 200, 500):
        expected = triangle(step, 200, 0.5, **options)
        assert float(rate(step)) == pytest.approx(expected, rel=1e-4, abs=1e-6), step
        assert float(again(step)) == float(rate(step))


def test_the_default_is_one_cycle_and_a_cooldown():
    rate = tuning.cyclical(100, 0.2)
    found = [float(rate(step)) for step in range(101)]
    assert max(found) == found[45] == pytest.approx(0.2)
    assert found[0] == pytest.approx(0.02) and found[90] == pytest.approx(0.02, rel=1e-3)
    assert found[100] == pytest.approx(0.0002, rel=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"steps": 1.5},
        {"peak": 0},
        {"peak": "a"},
        {"low": -1},
        {"low": 0.2},
        {"cycles": 0},
        {"shrink": 2},
        {"cooldown": 1},
        {"cooldown": -0.1},
        {"final": 1},
        {"final": 0.0, "cooldown": 0},
    ],
)
def test_cyclical_refuses(wrong):
    with pytest.raises(ValueError, match=f"Received: {[*wrong][0]}="):
        tuning.cyclical(**{"steps": 100, "peak": 0.1, **wrong})


def test_adamw_takes_a_schedule_and_trains_with_it():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(tuning.adamw(None, tuning.cyclical(10, 0.1), ema=0.9), loss="mse")
    model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=2, epochs=1, verbose=0)
    expected = float(tuning.cyclical(10, 0.1)(4))
    assert float(model.optimizer.learning_rate) == pytest.approx(expected)
    with pytest.raises(ValueError, match="Received: steps=5"):
        tuning.adamw(5, tuning.cyclical(10, 0.1))


def test_adamw_averages_the_weights():
    optimizer = tuning.adamw(None, 0.1, ema=0.75, clip=None)
    weight = keras.Variable(np.zeros(2, "float32"))
    optimizer.build([weight])
    average = None
    for _ in range(3):
        optimizer.apply([keras.ops.convert_to_tensor(np.ones(2, "float32"))])
        now = np.array(weight)
        average = now if average is None else 0.75 * average + 0.25 * now
    optimizer.finalize_variable_values([weight])
    np.testing.assert_allclose(np.array(weight), average, rtol=1e-5)
    for wrong in (0, 1, -0.5, "a", True):
        with pytest.raises(ValueError, match="Received: ema="):
            tuning.adamw(None, ema=wrong)
