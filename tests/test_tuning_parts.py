"""The parts of tuning, each against an independent formula."""

import doctest
import importlib
import math
import pkgutil
import types

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from keras_tuner.engine import hyperparameters as kinds

import tuning
from tuning import results, samplers, suggest
from tuning.objectives import front
from tuning.tables import size

# -- budget


def dense():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3), keras.layers.Dense(2)])


def test_budget_checks_a_model():
    facts, violations = tuning.Budget(params=26, macs=7).check(dense())
    assert facts == {"params": 5 * 3 + 3 + 3 * 2 + 2, "macs": 5 * 3 + 3 * 2}
    assert violations == {"macs": pytest.approx(21 / 7 - 1)}  # exactly the limit is within
    assert tuning.Budget().check(dense())[1] == {}
    assert tuning.Budget(params=1) == tuning.Budget(params=1) != tuning.Budget(macs=1)
    with pytest.raises(AttributeError):
        tuning.Budget(params=1).params = 2


@pytest.mark.parametrize("limit", [0, -1, True, "10", math.nan, math.inf])
def test_budget_takes_numbers_above_zero(limit):
    with pytest.raises(ValueError, match="Received: macs="):
        tuning.Budget(macs=limit)


# -- front


@pytest.mark.parametrize("directions", [["max", "min"], ["min", "min", "max"], ["max"]])
def test_front_is_what_no_point_dominates(directions):
    random = np.random.default_rng(0)
    points = random.integers(0, 6, (60, len(directions))).tolist()
    signs = np.array([1 if d == "min" else -1 for d in directions])
    costs = np.array(points) * signs
    no_worse = (costs[:, None] <= costs[None]).all(-1)
    better = (costs[:, None] < costs[None]).any(-1)
    assert front(points, directions) == np.flatnonzero(~(no_worse & better).any(0)).tolist()


# -- hyperparameters


KINDS = [
    kinds.Int("x", 1, 9),
    kinds.Int("x", 1, 10, step=4),
    kinds.Int("x", 1, 64, sampling="log"),
    kinds.Int("x", 1, 40, step=3, sampling="log"),
    kinds.Int("x", 1, 40, sampling="reverse_log"),
    kinds.Float("x", -1.0, 1.0),
    kinds.Float("x", 0.0, 1.0, step=0.3),
    kinds.Float("x", 1e-4, 1e-1, sampling="log"),
    kinds.Float("x", 0.001, 10, step=10, sampling="log"),
    kinds.Float("x", 1, 8, step=2, sampling="reverse_log"),
    kinds.Float("x", 1e-3, 1.0, sampling="reverse_log"),
    kinds.Boolean("x"),
    kinds.Choice("x", [3, 5, 9]),
    kinds.Choice("x", [9, 5, 3]),
    kinds.Choice("x", ["a", "b"]),
    kinds.Choice("x", [1.5, 2.5]),
    kinds.Fixed("x", "same"),
]


@pytest.mark.parametrize("hp", KINDS, ids=repr)
def test_suggested_values_are_those_of_keras_tuner(hp):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [suggest.suggest(study.ask(), hp) for _ in range(60)]
    if isinstance(hp, kinds.Fixed):
        assert set(drawn) == {"same"}
        return
    if isinstance(hp, kinds.Boolean):
        assert {type(v) for v in drawn} == {bool} and len(set(drawn)) == 2
        return
    if isinstance(hp, kinds.Choice):
        assert set(drawn) == set(hp.values)
        return
    assert {type(v) for v in drawn} == {int if isinstance(hp, kinds.Int) else float}
    assert hp.min_value <= min(drawn) and max(drawn) <= hp.max_value
    if hp.step is not None:
        allowed = np.array([float(v) for v in hp.values])
        assert {int(np.abs(allowed - v).argmin()) for v in drawn} == set(range(len(allowed)))
        assert all(np.abs(allowed - v).min() < 1e-9 for v in drawn)
    else:
        assert len(set(drawn)) > 10


def test_conditions_of_keras_tuner_have_values_of_their_own():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(40):
        asked = study.ask()
        hp = suggest.LiveHyperParameters(lambda hp, asked=asked: suggest.suggest(asked, hp))
        kind = hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["a"]):
            first = hp.Choice("size", [1, 2])
        with hp.conditional_scope("kind", ["b"]):
            second = hp.Choice("size", [10, 20])
        assert (first is None) == (kind == "b") and (second is None) == (kind == "a")
        assert hp["size"] == (first or second)
        assert hp.Choice("kind", ["a", "b"]) == kind  # asked twice, drawn once
        seen.add((kind, hp["size"]))
        assert type(suggest.plain(hp)) is keras_tuner.HyperParameters
        assert suggest.plain(hp).values == hp.values
    assert seen == {("a", 1), ("a", 2), ("b", 10), ("b", 20)}


# -- samplers


def test_derived_seeds_are_of_seed_and_place():
    seeds = [samplers.derived_seed(seed, index) for seed in range(5) for index in range(50)]
    assert len(set(seeds)) == 250 and seeds[7] == samplers.derived_seed(0, 7)


def test_untried_meets_every_configuration_once():
    def ask(study, sampler):
        study.sampler = sampler
        trial = study.ask()
        first = trial.suggest_categorical("first", ["a", "b", "c"])
        if first == "a":
            trial.suggest_int("n", 1, 4)
        elif first == "b":
            trial.suggest_float("x", 0.0, 1.0, step=0.25)
        study.tell(trial, 0.0)
        return tuple(trial.params.items())

    study = optuna.create_study()
    found = [ask(study, samplers.Untried(study.trials, seed)) for seed in range(10)]
    assert len(set(found)) == 10  # 4 + 5 + 1
    assert ask(study, samplers.Untried(study.trials, 10)) in found


def test_untried_never_closes_a_continuous_range():
    study = optuna.create_study()
    for seed in range(20):
        study.sampler = samplers.Untried(study.trials, seed)
        trial = study.ask()
        if trial.suggest_categorical("kind", ["fixed", "open"]) == "open":
            trial.suggest_float("x", 0.0, 1.0)
        study.tell(trial, 0.0)
    assert sum(t.params["kind"] == "fixed" for t in study.trials) == 1


# -- results


def history(**values):
    made = keras.callbacks.History()
    made.history = values
    return made


def test_metrics_are_those_of_the_best_epoch():
    best = keras_tuner.Objective("val_accuracy", "max")
    found = history(val_accuracy=[0.1, math.nan, 0.7, 0.6], loss=[4.0, 3.0, 2.0, 1.0])
    assert results.metrics_of(found, best) == ({"val_accuracy": 0.7, "loss": 2.0}, 2)
    least = keras_tuner.Objective("loss", "min")
    assert results.metrics_of(found, least) == ({"val_accuracy": 0.6, "loss": 1.0}, 3)
    rare = history(val_accuracy=[0.5, 0.9], loss=[3.0, 2.0, 1.0])  # validated every other epoch
    assert results.metrics_of(rare, best) == ({"val_accuracy": 0.9, "loss": 1.0}, 1)
    assert results.metrics_of(np.float32(0.5), best) == ({"val_accuracy": 0.5}, 0)
    averaged = results.metrics_of([found, {"val_accuracy": 0.1, "loss": 0.0}], best)
    assert averaged == ({"val_accuracy": pytest.approx(0.4), "loss": 1.0}, 1)
    with pytest.raises(keras_tuner.errors.FatalTypeError, match="Received: None"):
        results.metrics_of(None, best)


# -- tables


def test_choose_takes_every_kind_of_plain_value():
    table = {
        "sorted": [1, 2, 4],
        "mixed": [0, 0.5],
        "flag": [True, False],
        "words": ["a", "b"],
        "nothing": [None, "x"],
        "lists": [[1, 2], [3, 4]],
        "alone": [7],
        "plain": "as it is",
        "whole": (2, 5),
        "real": (0.5, 1),
        "log": (1e-4, 1e-2, "log"),
    }
    hp = keras_tuner.HyperParameters()
    chosen = tuning.choose(hp, table, prefix="stem_")
    assert chosen == {
        "sorted": 1,
        "mixed": 0.0,
        "flag": True,
        "words": "a",
        "nothing": None,
        "lists": [1, 2],
        "alone": 7,
        "plain": "as it is",
        "whole": 2,
        "real": 0.5,
        "log": 1e-4,
    }
    asked = {p.name: p for p in hp.space}
    assert set(asked) == {f"stem_{name}" for name in table} - {"stem_alone", "stem_plain"}
    assert asked["stem_sorted"].ordered and asked["stem_log"].sampling == "log"
    assert not asked["stem_words"].ordered and isinstance(asked["stem_whole"], kinds.Int)
    hp.values["stem_lists"] = str([3, 4])
    assert tuning.choose(hp, table, "stem_")["lists"] == [3, 4]
    finite = {name: offered for name, offered in table.items() if name not in ("real", "log")}
    expected = 3 * 2 * 2 * 2 * 2 * 2 * 1 * 1 * 4
    assert size(finite) == expected and size(table) is None


@pytest.mark.parametrize(
    "offered",
    [[], [1, 1], (1,), (2, 1), (0, 1, "log"), (1, 2, "x"), ("a", 1), (1, math.inf), (-math.inf, 1)],
)
def test_choose_refuses_what_offers_nothing(offered):
    with pytest.raises(ValueError, match="Received: x="):
        tuning.choose(keras_tuner.HyperParameters(), {"x": offered})
    with pytest.raises(ValueError, match="Received: x="):
        size({"x": offered})


@pytest.mark.parametrize("space", [[1], None, "x"])
def test_choose_takes_a_dict(space):
    with pytest.raises(ValueError, match="Received: space="):
        tuning.choose(keras_tuner.HyperParameters(), space)


# -- recipes


@pytest.mark.parametrize("warmup, rising", [(0, 0), (0.2, 20), (10, 10)])
def test_cosine_warmup_is_its_formula(warmup, rising):
    rate = tuning.cosine_warmup(100, peak=0.4, warmup=warmup, final=0.1)
    for step in (0, 3, rising, 40, 77, 99, 100, 150):
        if step < rising:
            start = 0.4 / rising
            expected = start + (0.4 - start) * step / rising
        else:
            share = min(1.0, (step - rising) / (100 - rising))
            expected = 0.1 + 0.3 * (1 + math.cos(math.pi * share)) / 2
        assert float(rate(step)) == pytest.approx(expected, rel=1e-5)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(rate))
    assert float(again(31)) == pytest.approx(float(rate(31)))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"steps": 0},
        {"steps": 1.5},
        {"steps": 10, "peak": 0},
        {"steps": 10, "peak": "a"},
        {"steps": 10, "peak": math.inf},
        {"steps": 10, "final": None},
        {"steps": 10, "warmup": "x"},
        {"steps": 10, "warmup": 10},
        {"steps": 10, "warmup": -0.1},
        {"steps": 10, "peak": 0.1, "final": 0.2},
    ],
)
def test_cosine_warmup_refuses(kwargs):
    with pytest.raises(ValueError, match="Received"):
        tuning.cosine_warmup(**kwargs)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip": -1},
        {"clip": 0},
        {"clip": "x"},
        {"weight_decay": -1},
        {"weight_decay": None},
        {"peak": -1},
        {"peak": "a"},
    ],
)
def test_adamw_refuses(wrong):
    with pytest.raises(ValueError, match=f"Received: {[*wrong][0]}="):
        tuning.adamw(None, **wrong)


def test_adamw_decays_neither_biases_nor_norms_nor_slopes():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Conv2D(3, 3),
            layers.BatchNormalization(),
            layers.LayerNormalization(),
            layers.RMSNormalization(),
            layers.PReLU(),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    model.compile(tuning.adamw(None, peak=0.5, weight_decay=0.1), loss="mse")
    for weight in model.trainable_variables:
        weight.assign(np.full(weight.shape, 2.0, "float32"))
    gradients = [np.zeros(w.shape, "float32") for w in model.trainable_variables]
    gradients = [keras.ops.convert_to_tensor(g) for g in gradients]
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    shrunk = {w.path: float(np.mean(w.numpy())) for w in model.trainable_variables}
    assert len(shrunk) == 10
    for path, value in shrunk.items():
        expected = 2 * (1 - 0.5 * 0.1) if path.endswith("kernel") else 2.0
        assert value == pytest.approx(expected), path


def test_adamw_follows_the_schedule_and_clips():
    optimizer = tuning.adamw(10, peak=0.2, warmup=0, clip=1.0, weight_decay=0.0)
    assert float(optimizer.learning_rate) == pytest.approx(0.2)
    weight = keras.Variable(np.zeros(2, "float32"))
    optimizer.build([weight])
    optimizer.apply([keras.ops.convert_to_tensor([30.0, 40.0])])
    np.testing.assert_allclose(optimizer._momentums[0], 0.1 * np.array([0.6, 0.8]), rtol=1e-5)
    assert float(optimizer.learning_rate) == pytest.approx(0.1 * (1 + math.cos(math.pi / 10)))


# -- KerasTuner's own tuners


def test_without_tensorboard_asks_only_for_a_callback_that_is_there():
    calls = []
    tuner = types.SimpleNamespace(_configure_tensorboard_dir=lambda *args: calls.append(args))
    assert tuning.without_tensorboard(tuner) is tuner
    tuner._configure_tensorboard_dir([keras.callbacks.History()], None)
    assert calls == []
    TensorBoard = type("TensorBoard", (), {})
    tuner._configure_tensorboard_dir([TensorBoard()], "trial", 1)
    assert len(calls) == 1 and calls[0][1:] == ("trial", 1)


# -- documentation


@pytest.mark.parametrize("name", sorted(m.name for m in pkgutil.iter_modules(tuning.__path__)))
def test_examples_of_docstrings_run(name):
    module = importlib.import_module(f"tuning.{name}")
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
    for public in vars(module).values():
        if getattr(public, "__module__", None) == module.__name__:
            name = getattr(public, "__name__", "")
            assert name not in tuning.__all__ or ">>>" in public.__doc__


def test_adamw_clips_all_weights_together():
    optimizer = tuning.adamw(None, 0.1, clip=1.0, weight_decay=0.0)
    weights = [keras.Variable(np.zeros(1, "float32")) for _ in range(2)]
    optimizer.build(weights)
    optimizer.apply([keras.ops.convert_to_tensor([x]) for x in (30.0, 40.0)])
    np.testing.assert_allclose([float(m[0]) for m in optimizer._momentums], [0.06, 0.08], rtol=1e-5)
