"""Cross-validation: the folds, what is learned on them, and that nothing leaks."""

import sys

import keras
import numpy as np
import pytest
from sklearn import datasets
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

import tuning
from tuning.folds import places_of
from tuning.samplers import derived_seed

DIABETES, PROGRESS = datasets.load_diabetes(return_X_y=True)
X, Y = DIABETES[:60] * 20, (PROGRESS[:60] - 150) / 80


def linear(kernel="zeros", **options):
    dense = keras.layers.Dense(1, kernel_initializer=kernel)
    model = keras.Sequential([keras.Input((10,)), dense])
    options |= {"run_eagerly": True}  # quicker than to compile a few steps
    model.compile(keras.optimizers.SGD(0.05), loss="mse", metrics=["mae"], **options)
    return model


def descended(x, y, epochs, weights=None):
    """Return what gradient descent on all rows at once finds, in NumPy."""
    kernel, bias = np.zeros(10), 0.0
    weights = np.ones(len(y)) if weights is None else weights
    for _ in range(epochs):
        errors = weights * (x @ kernel + bias - y)
        kernel, bias = kernel - 0.1 * x.T @ errors / len(y), bias - 0.1 * errors.mean()
    return kernel, bias


@pytest.mark.parametrize(
    ("kind", "splitter", "given"),
    [
        ("plain", KFold(4, shuffle=True, random_state=3), {}),
        ("time", TimeSeriesSplit(4), {}),
        ("grouped", GroupKFold(4), {"groups": np.arange(60) % 7}),
    ],
)
def test_folds_score_as_an_independent_computation(kind, splitter, given, capsys):
    found = tuning.cross_validate(linear, X, Y, 4, kind, seed=3, epochs=5, batch_size=60, **given)
    for fold, (train, test) in zip(found.folds, splitter.split(X, Y, **given)):
        kernel, bias = descended(X[train], Y[train], 5)
        errors = X[test] @ kernel + bias - Y[test]
        assert fold["loss"] == pytest.approx((errors**2).mean(), rel=1e-4)
        assert fold["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    values = np.array([fold["loss"] for fold in found.folds])
    assert found.mean["loss"] == pytest.approx(values.mean())
    spread = np.sqrt(((values - values.mean()) ** 2).sum() / 3)
    assert found.std["loss"] == pytest.approx(spread)
    said = capsys.readouterr().out
    assert said.count("\n") == 4 and f"fold 4/4: loss {values[3]:.4f}, mae" in said
    assert f"loss {values.mean():.4f} ± {spread:.4f}" in str(found)


def test_classes_are_in_every_fold_alike():
    x, y = datasets.load_digits(return_X_y=True)
    places = places_of(y, len(y), 5, "stratified", seed=1)
    theirs = StratifiedKFold(5, shuffle=True, random_state=1).split(x, y)
    for (train, test), (their_train, their_test) in zip(places, theirs):
        assert (train == their_train).all() and (test == their_test).all()
        counts = np.bincount(y[test])
        assert (np.abs(counts - np.bincount(y) / 5) < 1).all()
    assert sorted(np.concatenate([test for _, test in places])) == list(range(len(y)))


def test_groups_and_the_future_are_not_trained_on():
    groups = np.arange(60) % 7
    for train, test in places_of(Y, 60, 3, "grouped", groups):
        assert not set(groups[train]) & set(groups[test])
    for train, test in places_of(Y, 60, 3, "time", times=np.arange(60) // 2):
        assert train.max() < test.min()


def test_rows_are_made_inputs_by_what_the_training_rows_say():
    seen = []

    def make(train):
        x, y = train
        seen.append((x, y))
        mean = x["a"].mean(axis=0)
        return linear(), lambda rows: rows["a"] - mean

    columns = {"a": X, "name": np.array(["word"] * 60)}
    found = tuning.cross_validate(make, columns, Y, 3, "plain", verbose=0, epochs=2, batch_size=60)
    for (x, y), (train, test), fold in zip(seen, found.places, found.folds):
        assert (x["a"] == X[train]).all() and (y == Y[train]).all()
        kernel, bias = descended(X[train] - X[train].mean(axis=0), Y[train], 2)
        errors = (X[test] - X[train].mean(axis=0)) @ kernel + bias - Y[test]
        assert fold["loss"] == pytest.approx((errors**2).mean(), rel=1e-4)


def test_weights_of_samples_go_with_their_rows():
    weights = np.linspace(0.1, 2, 60)
    found = tuning.cross_validate(
        lambda: linear(weighted_metrics=[]),
        X,
        Y,
        3,
        "plain",
        verbose=0,
        epochs=4,
        batch_size=60,
        sample_weight=weights,
    )
    for (train, test), fold in zip(found.places, found.folds):
        kernel, bias = descended(X[train], Y[train], 4, weights[train])
        errors = X[test] @ kernel + bias - Y[test]
        assert fold["loss"] == pytest.approx((weights[test] * errors**2).mean(), rel=1e-4)


def test_seeds_are_derived():
    def scores(seed):
        found = tuning.cross_validate(
            lambda: linear("glorot_uniform"), X, Y, 2, "plain", seed=seed, verbose=0
        )
        return [fold["loss"] for fold in found.folds]

    first = scores(0)
    assert first == scores(0) != scores(1)
    assert len({derived_seed(seed, i) >> 1 for seed in range(20) for i in range(20)}) == 400


def test_each_fold_has_its_own_callbacks():
    made = []

    def callbacks():
        made.append(keras.callbacks.History())
        return [made[-1]]

    tuning.cross_validate(
        linear, X, Y, 3, "plain", verbose=0, epochs=2, callbacks=callbacks, validation_split=0.2
    )
    assert [len(x.history["val_loss"]) for x in made] == [2, 2, 2]


HEAD = keras.layers.Dense(1, name="shared")


def shares_a_layer():
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(2), HEAD])
    model.compile("sgd", loss="mse", run_eagerly=True)
    return model


def test_what_is_not_fresh_is_refused():
    model = linear()
    for make in (lambda: model, shares_a_layer):
        with pytest.raises(ValueError, match="Each fold needs a fresh model.*inside `make`"):
            tuning.cross_validate(make, X, Y, 2, "plain", verbose=0)
    frozen = keras.layers.Dense(4, trainable=False)

    def on_frozen():
        model = keras.Sequential([keras.Input((10,)), frozen, keras.layers.Dense(1)])
        model.compile("sgd", loss="mse", run_eagerly=True)
        return model

    assert len(tuning.cross_validate(on_frozen, X, Y, 2, "plain", verbose=0).folds) == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": "random"}, "one of stratified, grouped, time, plain. Received: kind='random'"),
        ({"folds": 1}, "from 2. Received: folds=1"),
        ({"folds": True}, "Received: folds=True"),
        ({"folds": 61, "kind": "plain"}, "need 61 rows at least. Received: 60 rows"),
        ({"folds": 60, "kind": "time"}, "need 61 rows"),
        ({"kind": "stratified"}, "by class ids, one a row. Received: amounts.*kind='plain'"),
        ({"kind": "stratified", "y": np.arange(60) // 3}, "Received: 3 of class 0"),
        ({"kind": "stratified", "y": np.zeros((60, 2))}, r"Received: shape \(60, 2\)"),
        ({"kind": "stratified", "y": {"a": Y}}, r"a dict of \['a'\]"),
        ({"kind": "grouped"}, "groups=None. Give the group of each row"),
        ({"kind": "grouped", "groups": [1, 2]}, r"Received: shape \(2,\)"),
        ({"kind": "grouped", "groups": np.arange(60) % 3}, "5 groups at least. Received: 3"),
        ({"groups": np.arange(60)}, "belongs to kind='grouped'"),
        ({"times": np.arange(60)}, "belongs to kind='time'"),
        ({"kind": "time", "times": [1.0] * 58 + [3.0, 2.0]}, "2.0 in row 59 after 3.0"),
        ({"kind": "time", "times": [1.0] * 59 + [np.nan]}, "nan in row 59"),
        ({"kind": "time", "times": [1]}, r"a time. Received: shape \(1,\)"),
        ({"y": Y[:50]}, "same number of rows. Received: 50, 60"),
        ({"x": {"a": X, "b": X[:3]}}, "Received: 3, 60"),
        ({"sample_weight": [1.0]}, "Received: 1, 60"),
        ({"validation_data": (X, Y)}, "Received: validation_data.*validation_split"),
        ({"callbacks": [keras.callbacks.History()]}, "each fold needs its own.*lambda"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"verbose": None}, "Received: verbose=None"),
        ({"make": keras.Sequential([keras.layers.Dense(1)])}, "Received: Sequential. Give lambda"),
        ({"make": 3}, "Received: int. Give lambda"),
        ({"make": lambda: keras.Sequential([HEAD])}, "Sequential that is not compiled"),
        ({"make": lambda: None}, "Received: NoneType"),
    ],
)
def test_mistakes_are_told(changed, said):
    given = {"make": linear, "x": X, "y": Y, "kind": "plain", "verbose": 0, **changed}
    with pytest.raises(ValueError, match=f"(?s){said}"):
        tuning.cross_validate(**given)


def test_a_missing_scikit_learn_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-blocks\[examples\]'"):
        tuning.cross_validate(linear, X, Y, kind="plain")
