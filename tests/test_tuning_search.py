"""ParetoSearch: what it proposes, refuses, keeps, reproduces and answers."""

import functools
import itertools
import math

import keras
import keras_tuner
import numpy as np
import optuna
import pytest

import tuning
from tests.slow import slow
from tuning.objectives import make_objectives

WIDTHS, DEPTHS = [1, 2, 4, 8], [1, 2, 3]


def score(hp):
    return round(1 - 1 / (hp["width"] * hp["depth"]) - 0.03 * hp["depth"], 6)


@functools.cache
def dense_model(width, depth):
    layers = [keras.layers.Dense(width) for _ in range(depth)]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    model.compile(loss="mse")
    return model


class Formula(keras_tuner.HyperModel):
    """A space of 12 models, whose accuracy is a formula: nothing is trained."""

    def __init__(self, score=score, metric="val_accuracy"):
        super().__init__()
        self.score, self.metric = score, metric
        self.fitted = []

    def build(self, hp):
        return dense_model(hp.Choice("width", WIDTHS), hp.Int("depth", 1, 3))

    def fit(self, hp, model, *args, **kwargs):
        self.fitted.append(dict(hp.values))
        return {self.metric: self.score(hp)}


def cost(width, depth):
    sides = [3, *[width] * depth, 1]
    macs = sum(a * b for a, b in itertools.pairwise(sides))
    return macs + sum(sides[1:]), macs


def search(folder, model=None, objectives="val_accuracy", *, verbose=0, **kwargs):
    tuner = tuning.ParetoSearch(
        model or Formula(), objectives, directory=folder, project_name="p", **kwargs
    )
    tuner.search(verbose=verbose)
    return tuner


def values(tuner, state="completed"):
    return [row["values"] for row in tuner.trials_table() if row["state"] == state]


def build_dense(hp):
    """Return a classifier of points; what an `if` does not reach is not drawn."""
    model = keras.Sequential([keras.Input((2,))])
    for i in range(hp.Int("depth", 1, 2)):
        model.add(keras.layers.Dense(hp.Choice(f"units{i}", [4, 8]), activation="relu"))
    if hp.Boolean("drop"):
        model.add(keras.layers.Dropout(hp.Float("rate", 0.1, 0.5, step=0.1)))
    model.add(keras.layers.Dense(2))
    rate = hp.Float("rate_of_learning", 1e-3, 1e-1, sampling="log")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss=loss, metrics=["accuracy"])
    return model


def points():
    x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
    return x, (x[:, 0] > x[:, 1]).astype("int32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    x, y = points()
    tuner = tuning.ParetoSearch(
        build_dense,
        ["val_accuracy", "macs"],
        max_trials=3,
        seed=0,
        directory=tmp_path_factory.mktemp("trained"),
    )
    tuner.search(x, y, validation_data=(x, y), epochs=3, verbose=0)
    return tuner


def test_is_a_keras_tuner(trained, capsys):
    assert isinstance(trained, keras_tuner.Tuner)
    assert isinstance(trained.oracle, keras_tuner.Oracle)
    trained.results_summary()
    printed = capsys.readouterr().out
    assert all(trial.trial_id in printed for trial in trained.oracle.get_best_trials(3))
    assert trained.remaining_trials == 0
    hp = trained.get_best_hyperparameters()[0]
    assert type(hp) is keras_tuner.HyperParameters
    assert trained.hypermodel.build(hp).count_params() == trained.best().metrics.get_last_value(
        "params"
    )
    trained.search_space_summary()
    assert "depth" in capsys.readouterr().out


def test_best_models_are_those_of_their_best_epoch(trained):
    x, y = points()
    models = trained.get_best_models(3)
    for model, trial in zip(models, trained.oracle.get_best_trials(3)):
        accuracy = np.mean(np.argmax(model.predict(x, verbose=0), 1) == y)
        assert accuracy == pytest.approx(trial.score)
        assert trial.score == trial.metrics.get_last_value("val_accuracy")
        assert 0 < int(model.optimizer.iterations) <= 3 * 2  # the optimizer is restored too


def test_lazy_values_are_drawn_only_where_asked(trained):
    for row in trained.trials_table():
        found = row["values"]
        assert ("units1" in found) == (found["depth"] == 2)
        assert ("rate" in found) == found["drop"]


@pytest.mark.parametrize(
    "sampler", ["tpe", "nsga2", "random", optuna.samplers.RandomSampler(seed=1)]
)
def test_front_is_that_of_brute_force(tmp_path, sampler):
    kwargs = {"max_trials": 20, "sampler": sampler, "seed": 0}
    tuner = search(tmp_path, None, ["val_accuracy", "params"], **kwargs)
    every = {
        (w, d): (score({"width": w, "depth": d}), cost(w, d)[0]) for w in WIDTHS for d in DEPTHS
    }
    expected = {
        key
        for key, (accuracy, params) in every.items()
        if not any(
            a >= accuracy and p <= params and (a, p) != (accuracy, params)
            for a, p in every.values()
        )
    }
    # 20 trials exhaust the 12 configurations: each is trained once, then the search ends.
    found = [(v["width"], v["depth"]) for v in values(tuner)]
    assert sorted(found) == sorted(every)
    front = [(t.hyperparameters["width"], t.hyperparameters["depth"]) for t in tuner.pareto_front()]
    assert set(front) == expected and len(front) == len(expected) > 2
    accuracies = [every[key][0] for key in front]
    assert accuracies == sorted(accuracies, reverse=True)
    flags = {
        (r["values"]["width"], r["values"]["depth"]) for r in tuner.trials_table() if r["front"]
    }
    assert flags == expected
    assert "every configuration" in tuner.gate.reason


def test_best_within_limits(tmp_path):
    tuner = search(tmp_path, None, ["val_accuracy", "macs"], max_trials=12, seed=1)
    every = [(w, d, score({"width": w, "depth": d}), *cost(w, d)) for w in WIDTHS for d in DEPTHS]

    def answer(**limits):
        hp = tuner.best(**limits).hyperparameters
        return hp["width"], hp["depth"]

    assert answer() == max(every, key=lambda e: e[2])[:2]
    assert answer(params=20) == max((e for e in every if e[3] <= 20), key=lambda e: e[2])[:2]
    both = [e for e in every if e[3] <= 40 and e[4] <= 20]
    assert answer(params=40, macs=20) == max(both, key=lambda e: e[2])[:2]
    enough = [e for e in every if e[2] >= 0.7]
    assert answer(val_accuracy=0.7) == min(enough, key=lambda e: e[4])[:2]
    with pytest.raises(ValueError, match=r"No completed trial .* Received: .*'macs': 1"):
        tuner.best(macs=1)
    with pytest.raises(ValueError, match=r"Received: \['latency_ms'\]"):
        tuner.best(latency_ms=1)


def test_best_models_are_never_failed_ones(tmp_path):
    def some(hp):
        if hp["width"] == 8:
            raise RuntimeError("no")
        return score(hp)

    tuner = search(tmp_path, Formula(some), max_trials=12, max_consecutive_failed_trials=12)
    assert len(tuner.oracle.get_best_trials(12)) == 9


def test_seed_reproduces_and_differs(tmp_path):
    runs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        runs[name] = values(search(tmp_path / name, max_trials=8, seed=seed))
    assert runs["a"] == runs["b"] != runs["c"]


def test_seed_zero_reproduces_training(trained, tmp_path):
    x, y = points()
    again = tuning.ParetoSearch(
        build_dense, ["val_accuracy", "macs"], max_trials=3, seed=0, directory=tmp_path
    )
    again.search(x, y, validation_data=(x, y), epochs=3, verbose=0)
    for before, now in zip(trained.trials_table(), again.trials_table()):
        assert before["values"] == now["values"]
        assert before["objectives"] == now["objectives"]
    for before, now in zip(trained.oracle.trials.values(), again.oracle.trials.values()):
        assert before.metrics.get_last_value("val_loss") == now.metrics.get_last_value("val_loss")


def test_without_a_seed_searches_differ(tmp_path):
    def build(hp):
        hp.Float("rate", 0, 1)
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])

    found = [values(search(tmp_path / name, WithBuild(build), max_trials=1)) for name in "ab"]
    assert found[0] != found[1]


class WithRate(Formula):
    """Asks for a further value in `fit`."""

    def fit(self, hp, model, *args, **kwargs):
        rate = hp.Choice("rate", [0.1, 0.2]) if hp["depth"] == 1 else 0.0
        self.fitted.append(dict(hp.values))
        return {"val_accuracy": rate}


def test_values_drawn_in_fit_count_as_configuration(tmp_path):
    tuner = search(tmp_path, WithRate(), max_trials=50, seed=0)
    found = [tuple(v.items()) for v in values(tuner)]
    assert len(found) == len(set(found)) == 4 * 2 + 8  # two rates where the depth is 1
    assert tuner.gate.reason.startswith("every configuration")


def test_refused_candidates_cost_no_trial_and_no_training(tmp_path, capsys):
    model = Formula()
    budget = tuning.Budget(params=20, macs=15)
    kwargs = {"max_trials": 12, "seed": 0, "max_consecutive_failed_trials": 1}
    tuner = search(tmp_path, model, ["val_accuracy", "macs"], budget=budget, verbose=1, **kwargs)
    within = [(w, d) for w in WIDTHS for d in DEPTHS if cost(w, d)[0] <= 20 and cost(w, d)[1] <= 15]
    assert 0 < len(within) < 12
    assert sorted((v["width"], v["depth"]) for v in model.fitted) == sorted(within)
    refused = [row for row in tuner.trials_table() if row["state"] == "refused"]
    assert len(refused) == 12 - len(within)
    for row in refused:
        params, macs = cost(row["values"]["width"], row["values"]["depth"])
        assert (row["params"], row["macs"]) == (params, macs)
        assert ("params" in row["reason"]) == (params > 20)
        assert ("macs" in row["reason"]) == (macs > 15)
        assert row["objectives"] == {} and not row["front"]
    assert len(tuner.oracle.trials) == len(within)
    assert tuner.remaining_trials == 12 - len(within)
    frozen = [t for t in tuner.oracle.study.trials if t.constraints]
    limits = {"params": 20, "macs": 15}
    for trial in frozen:
        facts = trial.user_attrs["record"]["facts"]
        assert trial.constraints == {n: facts[n] / limits[n] - 1 for n in limits}
    assert f"{len(refused)} refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    "sampler, state",
    [("tpe", optuna.trial.TrialState.PRUNED), ("nsga2", optuna.trial.TrialState.COMPLETE)],
)
def test_samplers_learn_from_refusals(tmp_path, sampler, state):
    budget = tuning.Budget(params=30)
    tuner = search(tmp_path, budget=budget, sampler=sampler, max_trials=10, seed=0)
    refused = {row["number"] for row in tuner.trials_table() if row["state"] == "refused"}
    told = {t.state for t in tuner.oracle.study.trials if t.number in refused}
    assert refused and told == {state}
    assert all(t.trial_id not in {f"{n:05d}" for n in refused} for t in tuner.pareto_front())


@slow
def test_tpe_wastes_fewer_candidates_than_chance(tmp_path, monkeypatch):
    def facts(model, required):
        return {"params": drawn[-1], "macs": 1}, []

    def build(hp):
        drawn.append(sum(hp.Int(f"width{i}", 1, 128) for i in range(3)))
        return model

    drawn, refused = [], {}
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    monkeypatch.setattr("tuning.costs.static_facts", facts)
    for sampler in ("tpe", "random"):
        budget = tuning.Budget(params=130)  # a fifth of the space
        kwargs = {"sampler": sampler, "seed": 0, "max_trials": 15, "budget": budget}
        tuner = search(tmp_path / sampler, WithBuild(build), **kwargs)
        refused[sampler] = len(values(tuner, "refused"))
    assert refused["tpe"] < 0.7 * refused["random"]


def test_a_budget_that_cannot_be_met_says_so(tmp_path):
    with pytest.raises(ValueError) as error:
        search(tmp_path, budget=tuning.Budget(params=3), max_consecutive_refused=6, seed=0)
    message = str(error.value)
    assert "6 candidates in a row" in message and "overwrite=True" in message
    tuner = tuning.ParetoSearch(
        Formula(), budget=tuning.Budget(params=3), directory=tmp_path, project_name="p"
    )
    rows = tuner.trials_table()
    assert f"smallest seen: params {min(row['params'] for row in rows)}" in message
    assert len(rows) == 6 and tuner.remaining_trials == 20


def test_refusals_after_trials_end_the_search_without_error(tmp_path):
    budget = tuning.Budget(params=6)  # one model alone
    kwargs = {"seed": 0, "max_trials": 5}
    tuner = search(tmp_path, budget=budget, max_consecutive_refused=11, **kwargs)
    assert len(values(tuner)) == 1
    assert "every configuration" in tuner.gate.reason or "over the budget" in tuner.gate.reason


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_trial_that_diverges_is_one_failed_trial(tmp_path, broken):
    model = Formula(lambda hp: broken if hp["width"] == 2 else score(hp))
    tuner = search(tmp_path, model, max_trials=12, max_consecutive_failed_trials=6, seed=0)
    failed = [row for row in tuner.trials_table() if row["state"] == "failed"]
    assert len(failed) == 3 and all("diverged" in row["reason"] for row in failed)
    assert len(values(tuner)) == 9 and tuner.remaining_trials == 0
    assert all(row["values"]["width"] == 2 for row in failed)


def test_training_stops_when_the_loss_is_nan(tmp_path):
    def build(hp):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.Int("units", 1, 2))])
        model.compile(keras.optimizers.SGD(1e30), loss="mse", metrics=["mae"])
        return model

    x, _ = points()
    tuner = tuning.ParetoSearch(build, "val_mae", max_trials=1, directory=tmp_path)
    epochs = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    seen = []
    epochs.__class__.__deepcopy__ = lambda self, memo: self
    tuner.search(
        x, x[:, :1], validation_data=(x, x[:, :1]), epochs=9, verbose=0, callbacks=[epochs]
    )
    assert len(seen) < 3
    assert "diverged" in tuner.trials_table()[0]["reason"]


def test_exceptions_are_failed_trials_with_a_reason(tmp_path, capsys):
    class Breaks(Formula):
        def build(self, hp):
            model = super().build(hp)
            if hp["depth"] == 2:
                raise MemoryError("too deep")
            return model

        def fit(self, hp, model, *args, **kwargs):
            if hp["width"] == 8:
                raise OSError("disk")
            return super().fit(hp, model)

    kwargs = {"max_trials": 12, "max_consecutive_failed_trials": 12, "seed": 0, "verbose": 1}
    tuner = search(tmp_path, Breaks(), **kwargs)
    rows = tuner.trials_table()
    for row in rows:
        kind = "MemoryError" if row["values"]["depth"] == 2 else "OSError"
        broken = row["values"]["depth"] == 2 or row["values"]["width"] == 8
        assert row["state"] == ("failed" if broken else "completed")
        assert not broken or kind in row["reason"]
    assert [row["state"] for row in rows].count("failed") == 4 + 2
    assert "failed: MemoryError: too deep" in capsys.readouterr().out


def test_failures_in_a_row_end_the_search(tmp_path):
    calls = []

    def never(hp):
        calls.append(hp)
        raise ZeroDivisionError

    with pytest.raises(RuntimeError, match=r"(?s)2 trials in a row .*ZeroDivisionError"):
        search(tmp_path, Formula(never), max_trials=9, max_consecutive_failed_trials=2)
    assert len(calls) == 2
    calls.clear()

    def alternating(hp):
        calls.append(hp)
        if len(calls) % 2:
            raise ZeroDivisionError
        return 1.0

    tuner = search(
        tmp_path, Formula(alternating), max_trials=8, max_consecutive_failed_trials=2, seed=0
    )
    states = [row["state"] for row in tuner.trials_table()]
    assert states.count("failed") == states.count("completed") == 4


def test_fatal_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(keras_tuner.errors.FatalTypeError, match="Received: None"):
        search(tmp_path / "a", lambda hp: None)
    with pytest.raises(keras_tuner.errors.FatalValueError, match="val_auc.*val_accuracy"):
        search(tmp_path / "b", Formula(), ["val_accuracy", "val_auc"])

    def changing(hp):
        hp.Int("width", 1, hp.Int("depth", 1, 9))
        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    with pytest.raises(keras_tuner.errors.FatalValueError, match="another name in each branch"):
        search(tmp_path / "c", WithBuild(changing), max_trials=9, seed=0)
    # The trial under way is not lost: it waits until the cause is gone.
    tuner = tuning.ParetoSearch(
        Formula(), ["val_accuracy", "val_auc"], directory=tmp_path / "b", project_name="p"
    )
    assert [row["state"] for row in tuner.trials_table()] == ["waiting"]


class WithBuild(Formula):
    """A formula over another space."""

    def __init__(self, build):
        super().__init__(lambda hp: 0.5)
        self.build = build


def test_several_executions_are_averaged(tmp_path):
    found = iter([0.2, 0.4, 0.9, 0.7])
    tuner = search(
        tmp_path, Formula(lambda hp: next(found)), max_trials=2, executions_per_trial=2, seed=0
    )
    scores = [row["objectives"]["val_accuracy"] for row in tuner.trials_table()]
    assert scores == pytest.approx([0.3, 0.8])


def test_mixed_precision_stays(tmp_path):
    policies = []

    def build(hp):
        policies.append(keras.config.dtype_policy().name)
        return Formula().build(hp)

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        search(tmp_path, WithBuild(build), max_trials=2, seed=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert policies == ["mixed_bfloat16"] * 2


def test_progress_is_a_line_a_trial(tmp_path, capsys):
    tuner = search(tmp_path, max_trials=3, seed=0, objectives=["val_accuracy", "macs"], verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" · ")[0] for line in lines[:3]] == ["trial 1/3", "trial 2/3", "trial 3/3"]
    for line, row in zip(lines, tuner.trials_table()):
        assert f"val_accuracy {row['objectives']['val_accuracy']:.4g}" in line
        assert f"macs {row['macs']}" in line and "front" in line
    assert str(tmp_path) in lines[3] and "tuner.best" in lines[4] and len(lines) == 5
    search(tmp_path, max_trials=4, seed=0, objectives=["val_accuracy", "macs"], verbose=0)
    assert capsys.readouterr().out == ""


def test_wrong_arguments(tmp_path, monkeypatch):
    def make(**kwargs):
        return tuning.ParetoSearch(Formula(), directory=tmp_path, **kwargs)

    for kwargs in (
        {"max_trials": 0},
        {"max_trials": 2.5},
        {"seed": -1},
        {"seed": "x"},
        {"budget": {"params": 3}},
        {"sampler": "bayes"},
        {"max_model_size": 3},
        {"max_consecutive_refused": 0},
        {"objectives": ["macs"]},
        {"objectives": ["val_accuracy", "val_accuracy"]},
        {"objectives": "val_score"},
    ):
        with pytest.raises(ValueError, match="Received"):
            make(**kwargs)
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with pytest.raises(ValueError, match="needs no chief"):
        make()
    assert list(tmp_path.iterdir()) == []


def test_directions_follow_from_names():
    names = {
        "val_accuracy": "max",
        "loss": "min",
        "val_macro_f1": "max",
        "val_mean_io_u": "max",
        "val_dice": "max",
        "boxes_loss": "min",
        "val_auc": "max",
        "val_mean_absolute_error": "min",
        "params": "min",
        "macs": "min",
    }
    made = make_objectives([*names])
    assert {o.name: o.direction for o in made} == names
    own = keras_tuner.Objective("anything", "max")
    assert make_objectives([own])[0] == own
    with pytest.raises(ValueError, match="keras_tuner.Objective"):
        make_objectives("accuracy_loss")


def test_finalists_are_trained_anew_and_tested_once(trained, capsys):
    x, y = points()
    front = trained.pareto_front()
    found = trained.retrain(x, y, test=(x, y), trials=front[:1], seeds=2, epochs=2)
    (finalist,) = found
    assert finalist.number == int(front[0].trial_id) and finalist.test_reads == 1
    assert finalist.facts["macs"] == front[0].metrics.get_last_value("macs")
    scores = finalist.scores["accuracy"]
    for path, score in zip(finalist.files, scores):
        model = keras.saving.load_model(path)
        assert np.mean(np.argmax(model.predict(x, verbose=0), 1) == y) == pytest.approx(score)
    assert finalist.mean["accuracy"] == pytest.approx(np.mean(scores))
    assert finalist.spread["accuracy"] == pytest.approx(np.std(scores, ddof=1))
    first, second = (keras.saving.load_model(path).get_weights()[0] for path in finalist.files)
    assert np.abs(first - second).max() > 1e-3
    # The same call reads what is there; another trial reads the test again, and it is said.
    again = trained.retrain(x, y, test=(x, y), trials=front[:1], seeds=2, epochs=2)
    assert again[0].scores == finalist.scores and again[0].test_reads == 1
    (other,) = trained.retrain(x, y, test=(x, y), trials=front[:1], seeds=3, epochs=2)
    assert other.test_reads == 2 and other.scores["accuracy"][:2] == scores
    assert "accuracy" in str(other)
    other = (x[:8], 1 - y[:8])  # another test is not the first
    (judged,) = trained.retrain(x, y, test=other, trials=front[:1], seeds=2, epochs=2)
    assert judged.scores["loss"] != finalist.scores["loss"] and judged.test_reads == 3
    (longer,) = trained.retrain(x, y, test=(x, y), trials=front[:1], seeds=2, epochs=3)
    assert longer.test_reads == 4  # other settings are another training
    for wrong in ({"seeds": 0}, {"seeds": 1.5}, {"trials": []}):
        with pytest.raises(ValueError, match="Received"):
            trained.retrain(x, y, test=(x, y), **wrong)


def test_a_grid_is_every_configuration_once(tmp_path):
    tuner = search(tmp_path, sampler="grid", max_trials=40, seed=0)
    assert sorted(x["width"] * 10 + x["depth"] for x in values(tuner)) == sorted(
        w * 10 + d for w in WIDTHS for d in DEPTHS
    )
    assert tuner.gate.reason == "every configuration of the space was tried"
    with pytest.raises(ValueError, match="Received: GridSampler.*sampler='grid'"):
        search(tmp_path / "b", sampler=optuna.samplers.GridSampler({"depth": [1, 2]}))


def test_the_knee_is_the_balanced_one(trained, tmp_path):
    tuner = search(tmp_path, objectives=["val_accuracy", "macs"], max_trials=12, seed=0)
    front = tuner.pareto_front()
    points = np.array(
        [
            [-t.metrics.get_last_value("val_accuracy"), t.metrics.get_last_value("macs")]
            for t in front
        ]
    )
    scaled = (points - points.min(0)) / np.ptp(points, axis=0)
    assert tuner.knee() is front[int(np.linalg.norm(scaled, axis=1).argmin())]
    assert tuner.knee() not in (front[0], front[-1])


def test_another_space_is_refused_and_says_what_differs(tmp_path):
    search(tmp_path, max_trials=2, seed=0)

    class Other(Formula):
        def build(self, hp):
            hp.Choice("kernel", [3, 5])
            return super().build(hp)

    with pytest.raises(ValueError, match="a space with kernel, where trial .* has width, depth"):
        search(tmp_path, Other(), max_trials=4)
    assert len(values(search(tmp_path, max_trials=3, seed=0))) == 3


def test_a_wrong_argument_leaves_an_old_search_alone(tmp_path):
    search(tmp_path, max_trials=2, seed=0)
    with pytest.raises(ValueError, match="SQLite is given by the path"):
        search(tmp_path, overwrite=True, storage="sqlite:///x.db")
    assert len(values(search(tmp_path, max_trials=2, seed=0))) == 2


def test_what_is_configured_stays_in_a_search(tmp_path):
    class Watching(Formula):
        def build(self, hp):
            seen.append(keras.saving.get_registered_object("own"))
            return super().build(hp)

    seen = []
    with keras.saving.custom_object_scope({"own": score}):
        search(tmp_path, Watching(), max_trials=2)
    assert len(seen) >= 2 and set(seen) == {score}


def test_a_training_that_ends_in_no_number_is_a_failure(tmp_path):
    class Diverges(Formula):
        def fit(self, hp, model, *args, callbacks=(), **kwargs):
            history = keras.callbacks.History()
            history.history = {"loss": [0.5, math.nan], "val_accuracy": [0.9, 0.1]}
            return history

    tuner = tuning.ParetoSearch(
        Diverges(), directory=tmp_path, max_trials=2, max_consecutive_failed_trials=5
    )
    tuner.search(verbose=0)
    assert {row["reason"].partition(": ")[2] for row in tuner.trials_table()} == {
        "the training diverged: loss nan in epoch 2"
    }


def test_rows_of_what_runs_have_its_values(tmp_path):
    tuner = tuning.ParetoSearch(Formula(), directory=tmp_path, max_trials=2, seed=0)
    trial = tuner.gate.next()
    tuner.oracle.accept(trial)
    (row,) = tuner.trials_table()
    assert row["state"] == "running" and row["values"] == dict(trial.hyperparameters.values)
    tuner.oracle.give_back()
    (row,) = tuner.trials_table()
    assert row["state"] == "waiting" and row["values"] == dict(trial.hyperparameters.values)
