"""What a search and its parts do with a user's mistakes, and with models they cannot know."""

import keras
import keras_tuner
import numpy as np
import pytest

import tuning
from tuning.oracle import last_line


def dense_model(units=1, compiled=True, shape=(4,), extra=()):
    model = keras.Sequential([keras.Input(shape), *extra, keras.layers.Dense(units)])
    if compiled:
        model.compile("sgd", loss="mse")
    return model


def make(folder, build, objectives="val_loss", **kwargs):
    kwargs = {"max_trials": 3, "seed": 0, "directory": folder, "project_name": "p", **kwargs}
    return tuning.ParetoSearch(build, objectives, **kwargs)


def units(hp):
    return dense_model(hp.Choice("units", [1, 2, 3]))


def data(columns=4):
    x = np.ones((4, columns), "float32")
    return {"x": x, "y": x[:, :1], "validation_data": (x, x[:, :1]), "verbose": 0}


class Number(keras_tuner.HyperModel):
    """Nothing is trained: `fit` returns a number."""

    def __init__(self, build=None, values=None):
        super().__init__()
        self.build_model, self.values = build, values

    def build(self, hp):
        return self.build_model(hp) if self.build_model else dense_model()

    def fit(self, hp, model, *args, **kwargs):
        if self.values:
            self.values(hp)
        return 1.0


def configurations(tuner):
    rows = tuner.trials_table()
    return sorted(str(row["values"]) for row in rows if row["state"] == "completed")


# -- no configuration twice


def test_what_depends_on_a_fixed_value_of_fit_is_drawn_once(tmp_path):
    def values(hp):
        hp.Fixed("mode", "x")
        with hp.conditional_scope("mode", ["x"]):
            hp.Choice("batch", [4, 8])

    tuner = make(tmp_path, Number(values=values), max_trials=9)
    tuner.search(verbose=0)
    expected = [str({"mode": "x", "batch": batch}) for batch in (4, 8)]
    assert configurations(tuner) == expected
    assert "every configuration" in tuner.gate.reason


def test_what_a_branch_of_fit_does_not_reach_is_passed_over(tmp_path):
    def values(hp):
        hp.Choice("a", [1, 2])
        with hp.conditional_scope("a", [1]):
            hp.Choice("b", [1, 2])

    tuner = make(tmp_path, Number(values=values), max_trials=9)
    tuner.search(verbose=0)
    assert len(configurations(tuner)) == len(set(configurations(tuner))) == 3


@pytest.mark.parametrize("offered, size", [([2, 2, 3], 2), ([1, 1, 2, 3], 3), (["a", "a"], 1)])
def test_a_value_that_is_offered_twice_is_one(tmp_path, offered, size):
    def build(hp):
        hp.Choice("u", offered)
        return dense_model()

    tuner = make(tmp_path, Number(build), max_trials=9)
    tuner.search(verbose=0)
    assert configurations(tuner) == sorted(str({"u": value}) for value in set(offered))
    assert len(configurations(tuner)) == size


# -- mistakes that are no trial's fault


@pytest.mark.parametrize("same_object", [True, False])
def test_failures_that_end_a_search_are_trained_again(tmp_path, same_object):
    tuner = make(tmp_path, units)
    with pytest.raises(RuntimeError, match="3 trials in a row .* axis -1") as caught:
        tuner.search(**data(columns=5))
    assert "\n" not in str(caught.value) and "Traceback" in caught.value.__notes__[0]
    trials = tuner.oracle.study.get_trials()
    failed = [t.params for t in trials if "record" in t.user_attrs and t.params]
    assert tuner.remaining_trials == 3
    assert {row["state"] for row in tuner.trials_table()} == {"waiting"}
    again = tuner if same_object else make(tmp_path, units)
    again.search(**data())
    rows = again.trials_table()
    assert [row["state"] for row in rows] == ["completed"] * 3
    waited = [t.params for t in again.oracle.study.get_trials() if "retry_of" in t.user_attrs]
    assert waited and all(params in failed for params in waited)
    assert len({row["values"]["units"] for row in rows}) == 3


def test_failures_before_a_success_stay_failures(tmp_path):
    class Sometimes(Number):
        def fit(self, hp, model, *args, **kwargs):
            if hp.Int("i", 1, 9) % 2:
                raise OSError("disk")
            return 1.0

    kwargs = {"max_trials": 9, "max_consecutive_failed_trials": 9}
    tuner = make(tmp_path, Sometimes(), **kwargs)
    tuner.search(verbose=0)
    states = [row["state"] for row in make(tmp_path, Sometimes(), **kwargs).trials_table()]
    assert sorted(states) == ["completed"] * 4 + ["failed"] * 5


def test_last_line_is_before_the_arguments_that_keras_lists():
    listed = "ValueError: E\n\n\x1b[1mwrong axis\x1b[0m\n\nArguments received by X():\n  • a=1"
    assert last_line(listed) == "wrong axis"
    further = listed + "\n\nDuring it:\n\nTraceback (most recent call last):\nOSError: disk"
    assert last_line(further) == "OSError: disk"
    assert last_line(None) == "unknown"


def test_a_model_that_is_not_compiled_is_no_failed_trial(tmp_path):
    tuner = make(tmp_path, lambda hp: dense_model(compiled=False))
    with pytest.raises(keras_tuner.errors.FatalValueError, match="not compiled"):
        tuner.search(**data())
    assert tuner.remaining_trials == 3
    own = make(tmp_path / "own", Number(lambda hp: dense_model(compiled=False)))
    own.search(verbose=0)  # whose `fit` needs no compiled model
    assert own.trials_table()[0]["state"] == "completed"


@pytest.mark.parametrize(
    "wrong",
    [{"callbacks": 5}, {"callbacks": keras.callbacks.Callback()}, {"callbacks": ["x"]}]
    + [{"verbose": verbose} for verbose in ("x", None, 3, [1])],
)
def test_wrong_arguments_of_search(tmp_path, wrong):
    tuner = make(tmp_path, units)
    with pytest.raises(ValueError, match=f"Received: {[*wrong][0]}="):
        tuner.search(**{**data(), **wrong})
    assert tuner.trials_table() == []


@pytest.mark.parametrize("wrong", [{"executions_per_trial": 0}, {"executions_per_trial": 1.5}])
def test_wrong_executions(tmp_path, wrong):
    with pytest.raises(ValueError, match="Received: executions_per_trial="):
        make(tmp_path, units, **wrong)


@pytest.mark.parametrize("objectives", [None, 5, [5], [None], {"val_loss"}])
def test_wrong_objectives(tmp_path, objectives):
    with pytest.raises(ValueError, match="Received: objectives="):
        make(tmp_path, units, objectives)


@pytest.mark.parametrize("limit", [None, "x", True, float("nan")])
def test_wrong_limits(tmp_path, limit):
    tuner = make(tmp_path, Number(), max_trials=1)
    tuner.search(verbose=0)
    assert tuner.best(params=5).trial_id == "00000"
    with pytest.raises(ValueError, match="A limit is a number. Received: .*params"):
        tuner.best(params=limit)


# -- models whose multiply-adds are unknown


@keras.saving.register_keras_serializable("test_tuning_mistakes")
class Foreign(keras.layers.Layer):
    """A layer whose weight is multiplied in a loop, where nobody counts how often."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1],) * 2, name="kernel")

    def call(self, x):
        return keras.ops.fori_loop(0, 2, lambda i, y: keras.ops.matmul(y, self.kernel), x)


def test_unknown_macs_are_no_small_macs(tmp_path):
    model = dense_model(extra=[Foreign(name="mine")])
    with pytest.raises(ValueError, match="mine"):
        tuning.Budget(macs=1000).check(model)
    params = 4 * 4 + 4 + 1
    facts, violations = tuning.Budget(params=params - 1).check(model)
    assert facts == {"params": params, "macs": None} and [*violations] == ["params"]
    for name, kwargs in (
        ("limit", {"budget": tuning.Budget(macs=1000)}),
        ("objective", {"objectives": ["val_loss", "macs"]}),
    ):
        hypermodel = Number(lambda hp: dense_model(hp.Int("u", 1, 3), extra=[Foreign(name="mine")]))
        with pytest.raises(RuntimeError, match="mine"):
            make(tmp_path / name, hypermodel, **kwargs).search(verbose=0)


def test_a_limit_on_parameters_needs_no_macs(tmp_path):
    def build(hp):
        return dense_model(hp.Choice("u", [1, 2, 50]), shape=(None, 4))

    tuner = make(tmp_path, Number(build), budget=tuning.Budget(params=100))
    tuner.search(verbose=0)
    rows = {row["values"]["u"]: (row["state"], row["params"]) for row in tuner.trials_table()}
    assert rows[1] == ("completed", 5) and rows[2] == ("completed", 10)
    assert rows.get(50, ("refused", 250)) == ("refused", 250)


def test_how_keras_logs_stays(tmp_path):
    seen = []

    def build(hp):
        seen.append(keras.config.is_interactive_logging_enabled())
        return dense_model(hp.Int("u", 1, 3))

    keras.config.disable_interactive_logging()
    try:
        make(tmp_path, Number(build), max_trials=1).search(verbose=0)
        assert not keras.config.is_interactive_logging_enabled()
    finally:
        keras.config.enable_interactive_logging()
    make(tmp_path, Number(build), max_trials=2).search(verbose=0)
    assert seen == [False, True, True]  # the space is looked at, then a model is built


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "3", None])
def test_wrong_number_of_trials(tmp_path, count):
    with pytest.raises(ValueError, match="Received: max_trials="):
        make(tmp_path, units, max_trials=count)
    assert not list(tmp_path.rglob("*.db"))


@pytest.mark.parametrize("halving", [None, tuning.Halving()])
def test_an_objective_that_no_training_gives_is_named_at_the_first_trial(tmp_path, halving):
    tuner = make(tmp_path, units, halving=halving)
    fit = {**data(), "validation_data": None, "epochs": 2}
    with pytest.raises(keras_tuner.errors.FatalValueError) as error:
        tuner.search(**fit)
    for word in ("['val_loss']", "'loss'", "validation_data"):
        assert word in str(error.value)
    tuner.search(**data())  # the trial was no failure: it is trained again
    assert [row["state"] for row in tuner.trials_table()] == ["completed"] * 3


def test_two_searches_of_one_name_have_one_space(tmp_path):
    def others(hp):
        return dense_model(hp.Choice("units", [1, 2, 5]))

    make(tmp_path, units).search(**data())
    again = make(tmp_path, others, max_trials=4)
    with pytest.raises(keras_tuner.errors.FatalValueError, match=r"one set of values.*\[1, 2, 5\]"):
        again.search(**data())
    whole = make(tmp_path, units, max_trials=4)
    whole.search(**data())
    assert [row["state"] for row in whole.trials_table()] == ["completed"] * 3  # all there are
