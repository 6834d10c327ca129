"""Proposals: true facts, kept budgets, rivals that are scikit-learn's own, and told mistakes."""

import doctest
import importlib
import pkgutil
import sys

import keras
import keras_tuner
import numpy as np
import pytest
from sklearn import datasets, metrics
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import heads
import tuning
from tests.slow import slow
from tuning import proposing
from tuning.budget import static_facts

DIGITS = datasets.load_digits()
IMAGES, LABELS = DIGITS.images[:500, ..., None].astype("float32"), DIGITS.target[:500]
TUMOURS = datasets.load_breast_cancer()
COLUMNS = {str(n): c for n, c in zip(TUMOURS.feature_names[:6], TUMOURS.data[:, :6].T)}
PROPOSE = importlib.import_module("tuning.propose")  # whose name is the function's
X = np.random.default_rng(0).normal(size=(40, 3))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small trees are slower on two threads, where others want the second."""
    with threadpool_limits(1):
        yield


def propose(*args, **options):
    """Propose without an estimate, which takes longest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PROPOSE, "estimate", lambda *_: {})
        return tuning.propose(*args, **options)


@pytest.fixture(scope="module")
def digits():
    return tuning.propose((IMAGES, LABELS), runtime=False)


@pytest.fixture(scope="module")
def tumours():
    columns = {name: column.copy() for name, column in COLUMNS.items()}
    columns["mean radius"][[3, 5]] = np.nan
    return columns, propose((columns, TUMOURS.target_names[TUMOURS.target]))


def named(proposal, name):
    return next(row["scores"] for row in proposal.baselines if row["name"] == name)


def test_facts_of_images_are_the_data_s(digits):
    counts = np.bincount(LABELS)
    assert digits.facts == {
        "data": "images",
        "task": "classification",
        "rows": 500,
        "image": "8 x 8 x 1",
        "values": "0 to 16",
        "classes": 10,
        "rarest class": f"{counts.argmin()}, {counts.min()} rows",
        "images like another": 0,
    }
    train, test = digits.places
    assert sorted([*train, *test]) == list(range(500))
    shares = np.bincount(LABELS[test]) / counts
    assert (np.abs(shares - 0.2) < 0.02).all()
    assert digits.reasons["task"].startswith("y has 10 different whole numbers in 500 rows")
    assert digits.recipe["augmentation"]["flip"] is None  # of one channel: letters, digits
    text = str(digits)
    assert all(reason in text for reason in [*digits.reasons.values(), *digits.next.values()])


def test_the_rival_of_images_is_scikit_learn_s(digits):
    train, test = digits.places
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(IMAGES[train].reshape(len(train), 64), LABELS[train])
    said = model.predict(IMAGES[test].reshape(len(test), 64))
    assert digits.baseline["name"] == "logistic regression on pixels"
    assert digits.baseline["scores"] == {
        "accuracy": model.score(IMAGES[test].reshape(len(test), 64), LABELS[test]),
        "macro_f1": metrics.f1_score(LABELS[test], said, average="macro"),
    }
    guess = (LABELS[test] == np.bincount(LABELS[train]).argmax()).mean()
    assert digits.baselines[-1]["scores"]["accuracy"] == guess


def test_the_model_is_a_point_of_its_space(digits):
    model = digits.model()
    assert model.count_params() == digits.estimate["params"]
    assert digits.estimate["macs"] == static_facts(model)[0]["macs"]
    hp = keras_tuner.HyperParameters()
    digits.space(hp)
    for name, value in digits.chosen.items():
        offered = digits.plan.table[name]
        assert value == offered or value in offered, name
        if name in hp.values and len(offered) > 1:
            assert value in next(x.values for x in hp.space if x.name == name)
    assert digits.space.size > 100
    (normal,) = [layer for layer in model.layers if layer.name == "normalization"]
    some = IMAGES[digits.places[0]]
    scaled = keras.ops.convert_to_numpy(normal(some))
    assert abs(scaled.mean()) < 1e-3 and abs(scaled.std() - 1) < 1e-3
    batch, epochs = digits.fit["batch_size"], digits.fit["epochs"]
    assert digits.recipe["steps"] == -(-len(some) // batch) * epochs
    assert digits.estimate["epoch_s"] == digits.estimate["step_ms"] / 1e3 * -(-len(some) // batch)


def test_a_model_is_scored_on_the_test_rows(digits):
    model, test = digits.model(), digits.places[1]
    said = model.predict(IMAGES[test], verbose=0).argmax(-1)
    assert digits.score(model)["accuracy"] == (said == LABELS[test]).mean()
    images, labels = next(iter(digits.dataset()))
    assert images.shape == (16, 8, 8, 1) and labels.dtype == "int32"


@slow
def test_a_proposal_learns(digits):
    model = digits.model()
    model.fit(digits.dataset(), epochs=digits.fit["epochs"], shuffle=False, verbose=0)
    assert digits.score(model)["accuracy"] > digits.baseline["scores"]["accuracy"] - 0.02


@pytest.mark.parametrize(
    ("budget", "family", "said"),
    [
        (tuning.Budget(params=60_000), "residual", "next larger one would have more"),
        ({"params": 100_000, "macs": 150_000}, "separable", "device allows no larger one"),
    ],
)
def test_budgets_are_kept(budget, family, said, monkeypatch):
    monkeypatch.setattr(PROPOSE, "rivals", lambda *_: [{"scores": {"accuracy": 0}}])
    found = propose((IMAGES, LABELS), device=budget)
    limits = budget if isinstance(budget, dict) else budget.limits
    facts, _ = static_facts(found.model())
    assert all(facts[name] <= limit for name, limit in limits.items())
    assert found.chosen["family"] == family
    assert facts["params"] > 10_000  # and what is left of it is used
    assert said in found.reasons["size"]


def test_size_follows_from_the_number_of_rows(monkeypatch):
    monkeypatch.setattr(PROPOSE, "rivals", lambda *_: [{"scores": {"accuracy": 0}}])
    few = propose((IMAGES[:100], LABELS[:100]))
    many = propose((DIGITS.images[..., None], DIGITS.target))
    sizes = [x.model().count_params() for x in (few, many)]
    assert sizes[0] < 100 * 100 < sizes[1] < 100 * 1797
    assert few.chosen["stages"] < many.chosen["stages"] == 3
    assert few.chosen["dropout"] > many.chosen["dropout"]
    assert few.fit["batch_size"] < many.fit["batch_size"]
    assert f"{sizes[1]:,} parameters" in many.reasons["size"]


def test_facts_and_rivals_of_a_table(tumours):
    columns, found = tumours
    assert found.facts["numeric columns"] == 6 and found.facts["missing values"] == 2
    assert found.facts["rarest class"] == "malignant, 212 rows"
    train, test = found.places
    x = np.stack(list(columns.values()), axis=1).astype("float32").astype("float64")
    boosting = HistGradientBoostingClassifier(random_state=0).fit(x[train], TUMOURS.target[train])
    linear = make_pipeline(
        SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=1000)
    ).fit(x[train], TUMOURS.target[train])
    for name, model in {"gradient boosting": boosting, "logistic regression": linear}.items():
        score = model.score(x[test], TUMOURS.target[test])
        assert named(found, name)["accuracy"] == pytest.approx(score, abs=1e-12)
    accuracies = [row["scores"]["accuracy"] for row in found.baselines]
    assert accuracies == sorted(accuracies, reverse=True)
    theirs = heads.Table.of({name: column[train] for name, column in columns.items()})
    assert found.table.columns == theirs.columns  # of the training rows alone


def test_classes_by_name_are_ids(tumours):
    columns, found = tumours
    inputs, y = found.data(columns, ["malignant", "benign"] * 284 + ["benign"])
    assert y.tolist() == [1, 0] * 284 + [0] and inputs["numeric"].shape == (569, 6)
    assert found.model().predict(inputs, verbose=0).shape == (569, 2)
    with pytest.raises(ValueError, match="Received: 'unclear', which was not in the data"):
        found.data(columns, ["unclear"])


def test_a_matrix_of_numbers_is_regressed():
    x, y = datasets.load_diabetes(return_X_y=True)
    found = propose((x, y))
    assert found.task == "regression" and "214 different whole numbers" in found.reasons["task"]
    assert (found.facts["least"], found.facts["largest"]) == (25, 346)
    train, test = found.places
    x = x.astype("float32").astype("float64")
    for name, model in {
        "ridge regression": make_pipeline(StandardScaler(), Ridge()),
        "gradient boosting": HistGradientBoostingRegressor(random_state=0),
    }.items():
        errors = model.fit(x[train], y[train]).predict(x[test]) - y[test]
        assert named(found, name)["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-6)
    head = found.head
    assert head.mean == [pytest.approx(y[train].mean())]
    assert head.std == [pytest.approx(y[train].std())]
    model = found.model()
    said = model.predict(found.test[0], verbose=0)[:, 0]
    assert found.score(model)["mae"] == pytest.approx(np.abs(said - y[test]).mean(), rel=1e-5)
    assert found.score(model)["mae"] < 120  # in the target's units, untrained


def test_several_numbers_are_asked_of_a_row():
    x = np.random.default_rng(0).normal(size=(80, 3))
    y = np.stack([x[:, 0] * 1000, x[:, 1] ** 9], axis=1)
    found = propose((x, y))
    assert found.head.units == 2 and found.head.kind == "huber"  # a tail of X ** 9
    assert found.score(found.model()).keys() == found.baseline["scores"].keys()
    assert "2 numbers a row" in found.reasons["task"]


def test_rare_classes_weigh_more_and_f1_decides():
    y = np.array(["often"] * 36 + ["rare"] * 4)
    found = propose(({"a": X[:, 0], "b": ["x", "y"] * 20}, y))
    assert found.objective == "val_macro_f1" and "9.0 times" in found.reasons["loss"]
    assert found.head.loss_options["class_weights"] == [round(40 / 2 / n, 4) for n in (36, 4)]
    assert found.facts["categorical columns"] == 1
    assert sorted(y[found.places[1]]) == ["often"] * 7 + ["rare"]


def test_masks_are_segmented():
    random = np.random.default_rng(0)
    masks = np.zeros((20, 8, 8), int)
    for i, (a, b) in enumerate(random.integers(0, 5, (20, 2))):
        masks[i, a : a + 3, b : b + 3] = 1
    images = random.normal(size=(20, 8, 8, 2)) + 2 * masks[..., None]
    found = propose((images, masks))
    assert found.task == "segmentation" and found.facts["rarest class"] == "1, 14.1% of the pixels"
    assert found.chosen["loss"] == "with_dice"
    test = found.places[1]
    guess, linear = found.baselines[-1]["scores"], found.baselines[0]["scores"]
    assert guess == {"iou": 0.0, "accuracy": (masks[test] == 0).mean()}
    assert linear["iou"] > 0.4
    model = found.model()
    said = model.predict(images[test], verbose=0)[..., 0] >= 0
    right = masks[test] == 1
    iou = (said & right).sum() / (said | right).sum()
    assert found.score(model)["iou"] == pytest.approx(iou)


def test_clicks_are_ranked():
    random = np.random.default_rng(0)
    items = random.integers(0, 8, 400)
    y = (random.random(400) < 0.1 + 0.1 * items).astype(int)
    columns = {"user": [f"u{i}" for i in random.integers(0, 20, 400)], "item": items.astype(str)}
    found = propose((columns, y), "ranking")
    train, test = found.places
    mean = y[train].mean()
    rate = {
        i: (y[train][items[train] == i].sum() + 10 * mean) / ((items[train] == i).sum() + 10)
        for i in range(8)
    }
    theirs = metrics.roc_auc_score(y[test], [rate[i] for i in items[test]])
    assert named(found, "popularity of the item")["auc"] == pytest.approx(theirs)
    model = found.model()
    said = model.predict(found.inputs(columns), verbose=0)[test, 0]
    assert found.score(model)["auc"] == pytest.approx(
        metrics.roc_auc_score(y[test], said),
        abs=5e-3,  # untrained, some are nearly equal
    )


def test_the_next_item_of_histories():
    random = np.random.default_rng(0)
    rows = np.zeros((60, 9), int)
    for row, length, start in zip(rows, random.integers(2, 10, 60), random.integers(0, 15, 60)):
        row[-length:] = (start + np.arange(length)) % 15 + 1
    found = propose((rows, None))
    lengths = (rows > 0).sum(1)
    assert found.facts["events"] == lengths.sum() and found.facts["items"] == 15
    counts = np.bincount(rows[:, :-1].ravel(), minlength=16)
    hits = []
    for row in rows[lengths > 2]:
        others = [i for i in range(1, 16) if i not in row[:-1]]
        best = sorted(others, key=lambda i: (-counts[i], i))[:10]
        hits.append(row[-1] in best)
    assert found.baseline["scores"]["hit_rate_10"] == pytest.approx(np.mean(hits))
    x, y = found.train
    assert x is y and (x[:, -1] == rows[:, -2]).all()  # the last item is not trained on
    model = found.model()
    model.fit(x, y, verbose=0)
    deployed = heads.deploy(model, k=10).predict(found.test[0], verbose=0)["items"]
    theirs = np.mean([right in said for right, said in zip(found.test[1], deployed)])
    assert found.score(model)["hit_rate_10"] == pytest.approx(theirs)


@slow
def test_the_file_is_measured_and_a_page_written(tmp_path):
    found = tuning.propose((IMAGES, LABELS), device={"params": 20_000})
    assert found.estimate["latency_ms"] > 0 and found.estimate["peak_memory_mb"] > 10
    assert 4 * found.estimate["params"] / 1e3 < found.estimate["size_kb"] < 100


def test_a_page_holds_all(digits, tmp_path):
    page = digits.write(tmp_path / "proposal.html").read_text()
    assert 'src="http' not in page and 'href="http' not in page
    assert page.count("<svg") == 1  # the network
    assert all(row["name"] in page for row in digits.baselines)
    assert "stage3_block1" in page and digits.architecture in page
    assert "more compute" in page


def test_a_frame_s_categories_are_kept():
    class Column(list):
        dtype = "category"

    class Frame(dict):
        pass

    found = propose((Frame(a=Column([1, 2, 1, None] * 10), b=X[:, 0]), ["x", "y"] * 20))
    assert found.facts["categorical columns"] == 1 and found.facts["missing values"] == 10


@pytest.mark.parametrize(
    ("data", "task", "said"),
    [
        (X, None, r"`data` is \(x, y\).*Received: ndarray"),
        ((X, X[:30, 0]), None, "Received: lengths 30, 40"),
        ((X, np.zeros(40)), None, "two classes at least. Received: 0 in every row"),
        ((X, np.full(40, 0.5)), None, "Targets must differ. Received: 0.5"),
        ((X, np.where(np.arange(40) == 7, np.nan, 1.5)), None, "has a target.*row 7.*Leave"),
        ((X, [None] + ["a", "b"] * 19 + ["a"]), None, "row 0"),
        ((X, np.arange(40).astype(str)), None, "Received: 40 rows of 40 classes"),
        ((X, ["a", "b"] * 19 + ["a", "c"]), None, "Received: one row of 'c'"),
        ((X, X[:, 0]), "classification", "Give task='regression'"),
        ((X, ["a", "b"] * 20), "regression", "asks for numbers"),
        ((X, np.eye(2)[[0, 1] * 20]), "classification", "give y.argmax"),
        ((X, X[:, 0]), "detection", "Received: task='detection'"),
        ((X, X[:, 0]), "segmentation", "Of table the task is one of classification, regression"),
        ((X, [0, 1] * 20), "ranking", "a column named 'item'"),
        (({"item": X[:, 0]}, np.arange(40)), "ranking", "learns of zeros and ones"),
        ((X[:5], X[:5, 0]), None, "10 rows at least. Received: 5"),
        ((X, None), "regression", "histories"),
        ((X, None), None, "Histories are ids of items"),
        ((np.ones((20, 4), int), [0, 1] * 10), "sequence", "y is None. Received.*and y"),
        ((np.arange(80).reshape(20, 4) % 9 + 1, None), None, "more than 10 items"),
        ((np.array([[1, 0, 12]] * 20), None), None, "or 0 behind an item"),
        ((np.ones((20, 5, 5)), [0, 1] * 10), None, r"give x\[..., None\]"),
        ((["a text"] * 20, [0, 1] * 10), None, "Text is not covered"),
        ((np.ones(20), [0, 1] * 10), None, "one column"),
        ((np.ones((20, 8, 8, 1)), [0, 1] * 10), None, "every pixel is 1"),
        ((np.ones((20, 3, 8, 8)), [0, 1] * 10), None, "moveaxis"),
        ((IMAGES[:, 3:4, 3:4], LABELS), None, "sides of at least 2"),
        ((IMAGES * np.nan, LABELS), None, "finite numbers"),
        ((IMAGES, IMAGES[..., :4, 0] > 3), None, r"Received: y of shape \(500, 8, 4\)"),
        ((IMAGES, np.where(IMAGES > 3, 255, 0)), None, "0 and 255, give y > 0"),
        ((IMAGES, IMAGES / 3), None, "Masks are class ids from 0"),
        (([[1], [1, 2]] * 20, [0, 1] * 20), None, "all rows of one shape"),
        ((None, [0, 1]), None, "`x` has a row for each sample"),
    ],
)
def test_mistakes_are_told(data, task, said):
    with pytest.raises(ValueError, match=f"(?s){said}"):
        propose(data, task)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (
            {"params": 100},
            r"room for the smallest network.*Received: Budget\(params=100.*params \d",
        ),
        ({"price": 3}, r"limits, params, macs.*Received: \['price'\]"),
        ("phone", "Received: 'phone'"),
        ({"params": -1}, "Received: params=-1"),
    ],
)
def test_budgets_that_nothing_keeps_are_told(device, said):
    with pytest.raises(ValueError, match=said):
        propose((IMAGES, LABELS), device=device)


def test_a_missing_scikit_learn_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-blocks\[examples\]'"):
        propose((X, X[:, 0]))


@pytest.mark.parametrize("name", sorted(m.name for m in pkgutil.iter_modules(proposing.__path__)))
def test_examples_of_docstrings_run(name):
    module = importlib.import_module(f"tuning.proposing.{name}")
    assert doctest.testmod(module).failed == 0
