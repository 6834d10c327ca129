"""Rows that folds, spaces and proposals are given: times, names, categories, copies, scales."""

import keras
import keras_tuner
import numpy as np
import pytest

import tuning
from tuning.columns import column
from tuning.cross_validate import columns_of
from tuning.folds import places_of
from tuning.proposing.facts import look
from tuning.proposing.images import moments
from tuning.proposing.plan import split
from tuning.proposing.rivals import models
from tuning.proposing.scores import scores_of

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 3))


def test_rows_of_one_time_are_on_one_side():
    days = np.repeat(np.arange(10), 7)
    folds = places_of(np.zeros(70), 70, 5, "time", times=days)
    assert len(folds) == 5
    for train, test in folds:
        assert days[train].max() < days[test].min() and len(train) % 7 == len(test) % 7 == 0
    with pytest.raises(ValueError, match="need 6 different times at least. Received: 3"):
        places_of(np.zeros(70), 70, 5, "time", times=np.sort(days % 3))
    (train, test), *_ = places_of(np.zeros(12), 12, 5, "time")
    assert train.tolist() == [0, 1] and test.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "grouped", "groups": [1, None] * 5}, "Each row has a group. Received: None"),
        ({"kind": "plain", "seed": 2**33}, r"below 2 \*\* 32. Received: seed="),
    ],
)
def test_wrong_folds_say_what_was_received(given, said):
    with pytest.raises(ValueError, match=said):
        places_of(np.zeros(10), 10, 2, **given)


def test_targets_that_are_names_are_refused_before_a_training():
    with pytest.raises(ValueError, match="Targets are numbers.*return_inverse=True"):
        tuning.cross_validate(lambda: None, X, np.array(["yes", "no"] * 30), 3)


def test_columns_are_read_alike_everywhere():
    class Column(list):
        dtype = "category"

    class Frame(dict):
        pass

    frame = Frame(a=Column([1, 2, None]), b=np.arange(3.0))
    assert columns_of(frame)["a"].tolist() == ["1", "2", None]
    pandas = pytest.importorskip("pandas")
    times = pandas.Series(pandas.date_range("2026-01-01", periods=3, tz="Europe/Berlin"))
    assert column(times).dtype.kind == "M"


def test_a_proposal_of_names_is_cross_validated_with_tables_of_its_own_folds(monkeypatch):
    words = np.array(["a", "b", "c", "d"], dtype=object)[RANDOM.integers(0, 4, 60)]
    y = np.where((words == "a") | (X[:, 0] > 0.8), "yes", "no")
    proposal = tuning.propose(({"word": words, "x": X[:, 0]}, y), runtime=False)
    found = proposal.cross_validate(folds=3, verbose=0, epochs=2)
    assert len(found.folds) == 3 and 0 <= found.mean["accuracy"] <= 1
    assert sum(len(test) for _, test in found.places) == 60
    seen = []
    plan = type(proposal).cross_validate.__globals__["plan_table"]

    def watched(facts, train, budget, like=None):
        made, table = plan(facts, train, budget, like)
        seen.append((len(train), made.chosen, made.recipe))
        return made, table

    monkeypatch.setitem(type(proposal).cross_validate.__globals__, "plan_table", watched)
    proposal.cross_validate(folds=3, verbose=0, epochs=1)
    assert seen == [(40, proposal.plan.chosen, proposal.plan.recipe)] * 3


def test_one_wrong_pixel_costs_as_much_whatever_its_class():
    y = np.zeros((2, 10, 10), int)
    y[:, :5] = 1
    a, b = y.copy(), y.copy()
    a[0, 0, 0], b[0, 0, 0] = 0, 2
    first, second = (scores_of("segmentation", y, said, 5)["iou"] for said in (a, b))
    assert first == pytest.approx(0.99, abs=0.005) and second == pytest.approx(0.995, abs=0.005)
    assert scores_of("segmentation", y, a, 1)["iou"] == pytest.approx(0.99)


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_images_of_any_scale_are_scaled(scale):
    images = scale * (100 + RANDOM.normal(size=(20, 4, 4, 2)))
    mean, std = moments(images)
    scaled = (images - mean) / std
    assert np.abs(scaled.mean((0, 1, 2))).max() < 1e-3
    assert scaled.std((0, 1, 2)) == pytest.approx([1, 1], abs=1e-3)
    assert moments(np.full((2, 3, 3, 1), 7.0))[1] == [1.0]


def test_copies_of_an_image_are_on_one_side():
    images = np.repeat(RANDOM.normal(size=(30, 4, 4, 1)), 3, axis=0)
    y = np.repeat(np.arange(30) % 2, 3)
    facts = look((images, y))
    assert facts.said["images like another"] == 90
    train, test = split(90, y, 0, facts.alike)
    assert not set(train // 3) & set(test // 3) and 12 <= len(test) <= 24
    table = {"a": np.repeat(np.arange(30.0), 2), "b": np.repeat(np.arange(30) % 3, 2)}
    assert look((table, np.arange(60) % 2)).said["rows like another"] == 60


def test_boosting_of_few_rows_may_divide_them():
    facts = look((X[:12], X[:12, 0] + 1e-3))
    boosting = models(facts, np.arange(12), False, 0)[1][1]
    assert boosting.min_samples_leaf == 1
    (name, boosting, _) = models(look((X, X[:, 0])), np.arange(60), False, 0)[1]
    assert name == "gradient boosting" and boosting.min_samples_leaf == 6


def test_wide_images_of_many_channels_are_images():
    facts = look((RANDOM.normal(size=(40, 9, 9, 30)), np.arange(40) % 2))
    assert facts.said["image"] == "9 x 9 x 30"
    with pytest.raises(ValueError, match="channels first"):
        look((RANDOM.normal(size=(40, 3, 32, 32)), np.arange(40) % 2))


def test_amounts_of_which_some_are_single_are_regressed():
    y = np.r_[RANDOM.integers(1, 25, 2000), 29]
    assert look((RANDOM.normal(size=(2001, 2)), y)).task == "regression"


def test_columns_without_end_are_named():
    with pytest.raises(ValueError, match="Received: inf in column 'k'"):
        tuning.propose(({"k": np.r_[np.inf, X[1:, 0]]}, np.arange(60) % 2))
    with pytest.raises(ValueError, match="Received: seed=-1"):
        tuning.propose((X, np.arange(60) % 2), seed=-1)


@pytest.mark.parametrize("given", [{"validation_split": 0.25}, {"sample_weight": np.ones(60)}])
def test_augmented_trials_take_what_others_take(given):
    def space(hp):
        layers = [keras.layers.Flatten(), keras.layers.Dense(2)]
        model = keras.Sequential([keras.Input((4, 4, 1)), *layers])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss=loss)
        return model

    images = np.clip(RANDOM.normal(size=(60, 4, 4, 1)), 0, 1).astype("float32")
    losses = {}
    for strength in ("none", "light"):
        choices = {"batch_size": 15, "augmentation": strength}
        fit = tuning.FitSpace(space, choices, value_range=(0, 1))
        hp = keras_tuner.HyperParameters()
        model = fit.build(hp)
        history = fit.fit(hp, model, images, np.arange(60) % 2, epochs=1, verbose=0, **given)
        losses[strength] = set(history.history)
    assert losses["none"] == losses["light"]
    assert ("val_loss" in losses["light"]) == ("validation_split" in given)


def test_arguments_of_a_head_are_checked_with_the_space():
    with pytest.raises(ValueError, match=r"Received: \['foo'\]"):
        tuning.image_space((8, 8, 1), 10, foo=1)
    space = tuning.image_space((8, 8, 1), 10, label_smoothing=0.1)
    assert space(keras_tuner.HyperParameters()).layers[-1].get_config()["label_smoothing"] == 0.1
    assert space.size == tuning.image_space((8, 8, 1), 10).size // 2


def test_a_story_goes_on_with_its_own_images_alone(tmp_path):
    from examples.folders import begun_with

    parts = [(np.ones((4, 2, 2, 1)), np.arange(4))] * 3
    begun_with(tmp_path, False, parts, epochs=3)
    begun_with(tmp_path, False, parts, epochs=3)
    with pytest.raises(SystemExit, match="on something else: epochs 3, now 4"):
        begun_with(tmp_path, False, parts, epochs=4)
    with pytest.raises(SystemExit, match="mean 1.0, now 2.0"):
        begun_with(tmp_path, False, [(2 * x, y) for x, y in parts], epochs=3)
    begun_with(tmp_path, True, parts, epochs=4)
    begun_with(tmp_path, False, parts, epochs=4)
