"""Metrics of heads against scikit-learn, over several batches and with sample weights."""

import warnings

import keras
import numpy as np
import pytest
from sklearn import metrics as sk

import heads

RNG = np.random.default_rng(3)


def data(rows, classes, multi_label, sure=1.0):
    """Return targets, logits that know something of them, and sample weights."""
    y = RNG.integers(0, 2, (rows, classes)) if multi_label else RNG.integers(0, classes, rows)
    truth = y if multi_label else np.eye(classes)[y]
    logits = sure * (RNG.normal(size=(rows, classes)) + truth)
    return y, logits.astype("float32"), RNG.uniform(0.1, 2, rows).astype("float32")


def expected(y, logits, weights, multi_label):
    z = logits.astype("float64")
    p = 1 / (1 + np.exp(-z)) if multi_label else np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    predicted = (z > 0).astype(int) if multi_label else z.argmax(axis=1)
    options = {"average": "macro", "sample_weight": weights, "zero_division": 0}
    truth = y if multi_label else np.eye(z.shape[1])[y]
    right = (predicted == y).reshape(len(y), -1).mean(axis=1)
    return {
        "accuracy": np.average(right, weights=weights),
        "precision": sk.precision_score(y, predicted, **options),
        "recall": sk.recall_score(y, predicted, **options),
        "macro_f1": sk.f1_score(y, predicted, **options),
        "auc": np.mean(
            [
                sk.roc_auc_score(t, q, sample_weight=weights)
                for t, q in zip(truth.T, p.T)
                if 0 < t.sum() < len(t)
            ]
        ),
    }


def measured(head, y, logits, weights, batches):
    result = {}
    for metric in head.metrics():
        metric.update_state(y[::-1][:50], logits[:50])  # what a reset has to forget
        metric.reset_state()
        for rows in np.array_split(np.arange(len(y)), batches):
            metric.update_state(y[rows], logits[rows], None if weights is None else weights[rows])
        result[metric.name] = float(metric.result())
    return result


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sure", [0.3, 1.0, 8.0])
@pytest.mark.parametrize(
    ("classes", "form"),
    [(2, "ids"), (5, "ids"), (5, "column"), (5, "one_hot"), (4, "multi_label")],
)
def test_scores_equal_scikit_learn(classes, form, sure, weighted):
    multi_label = form == "multi_label"
    y, logits, weights = data(400, classes, multi_label, sure)
    weights = weights if weighted else None
    target = {"column": lambda: y[:, None], "one_hot": lambda: np.eye(classes)[y]}.get(
        form, lambda: y
    )()
    head = heads.ClassificationHead(classes, multi_label=multi_label, one_hot=form == "one_hot")
    ours = measured(head, target, logits, weights, batches=8)
    theirs = expected(y, logits, weights, multi_label)
    assert list(ours) == list(theirs)
    for name in theirs:
        tolerance = 1e-3 if name == "auc" else 1e-5
        np.testing.assert_allclose(ours[name], theirs[name], atol=tolerance, err_msg=name)


def test_classes_that_never_occur_do_not_count():
    y = np.array([0, 0, 1, 1])
    logits = np.eye(6)[[0, 1, 1, 1]].astype("float32")
    theirs = expected(y, logits, None, False)
    ours = measured(heads.ClassificationHead(6), y, logits, None, 2)
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6, err_msg=name)


def test_scores_of_nothing_are_zero():
    for metric in heads.ClassificationHead(3).metrics():
        assert float(metric.result()) == 0


def test_auc_of_rare_classes_and_sure_models():
    """Where Keras's even thresholds on probabilities miss."""
    y = (RNG.uniform(size=20_000) < 0.01).astype(int)
    z = RNG.normal(size=20_000) + 1.5 * y - 9
    logits = np.stack([np.zeros_like(z), z], axis=1).astype("float32")
    metric = heads.MacroAUC(2)
    metric.update_state(y, logits)
    exact = sk.roc_auc_score(y, z)
    np.testing.assert_allclose(float(metric.result()), exact, atol=1e-3)
    keras_auc = keras.metrics.AUC(from_logits=True)
    keras_auc.update_state(y, logits[:, 1])
    assert abs(float(keras_auc.result()) - exact) > 0.05


def test_auc_survives_logits_that_are_not_numbers():
    metric = heads.MacroAUC(3)
    metric.update_state(np.arange(3), np.array([[np.nan] * 3, [np.inf, 0, 0], [0, -np.inf, 0]]))
    assert 0 <= float(metric.result()) <= 1


@pytest.mark.parametrize("weighted", [False, True])
def test_regression_scores_equal_scikit_learn(weighted):
    y = RNG.normal([5, 100], [1, 30], (300, 2))
    p = (y + RNG.normal(size=y.shape) * [0.5, 10]).astype("float32")
    w = RNG.uniform(0.1, 2, 300) if weighted else None
    head = heads.RegressionHead(2, mean=[5.0, 100.0], std=[1.0, 30.0])
    ours = measured(head, y.astype("float32"), p, w, batches=4)
    theirs = {
        "mae": sk.mean_absolute_error(y, p, sample_weight=w),
        "rmse": np.sqrt(sk.mean_squared_error(y, p, sample_weight=w)),
        "r2": sk.r2_score(y, p, sample_weight=w),
    }
    assert list(ours) == list(theirs)
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, err_msg=name)


def test_r2_of_targets_far_from_zero():
    y = RNG.normal(2_000_000, 3, 500)
    p = (y + RNG.normal(size=500)).astype("float32")[:, None]
    exact = sk.r2_score(y.astype("float32").astype("float64"), p.astype("float64"))
    *_, ours = heads.RegressionHead(mean=2_000_000.0, std=3.0).metrics()
    theirs = keras.metrics.R2Score()
    for metric in (ours, theirs):
        metric.update_state(y.astype("float32")[:, None], p)
    np.testing.assert_allclose(float(ours.result()), exact, atol=1e-3)
    assert not abs(float(theirs.result()) - exact) < 0.1


@pytest.mark.parametrize("one_hot", [False, True])
def test_scores_in_the_logs_of_fit(one_hot):
    y, logits, weights = data(60, 3, False)
    x = keras.Input((3,))
    head = heads.ClassificationHead(3, one_hot=one_hot)
    model = heads.attach(keras.Model(x, x), head)
    head.logits.set_weights([np.eye(3), np.zeros(3)])
    model.compile("sgd", loss=head.loss(), metrics=head.metrics(), weighted_metrics=[])
    target = np.eye(3)[y] if one_hot else y
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        logs = model.evaluate(logits, target, batch_size=16, verbose=0, return_dict=True)
    for name, value in expected(y, logits, None, False).items():
        np.testing.assert_allclose(logs[name], value, atol=1e-3, err_msg=name)
    model.compile("sgd", loss=head.loss(), weighted_metrics=head.metrics())
    logs = model.evaluate(
        logits, target, sample_weight=weights, batch_size=16, verbose=0, return_dict=True
    )
    for name, value in expected(y, logits, weights, False).items():
        np.testing.assert_allclose(logs[name], value, atol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    "metric",
    [
        heads.Accuracy(3, one_hot=True),
        heads.MacroScore("recall", 3, multi_label=True, name="found"),
        heads.MacroAUC(3, buckets=50),
        heads.R2(mean=[1.0, 2.0, 3.0], std=2.0),
    ],
)
def test_metrics_are_saved_whole(metric):
    saved = keras.saving.serialize_keras_object(metric)
    assert saved["registered_name"] == f"keras_blocks>{type(metric).__name__}"
    revived = keras.saving.deserialize_keras_object(saved)
    assert revived.get_config() == metric.get_config()
    y = np.arange(3) if isinstance(metric, heads.MacroAUC) else np.eye(3, dtype="float32")
    for each in (metric, revived):
        each.update_state(y, np.random.default_rng(0).normal(size=(3, 3)).astype("float32"))
    assert float(metric.result()) == float(revived.result())


def test_unknown_score():
    with pytest.raises(ValueError, match="Received: 'auc'"):
        heads.MacroScore("auc", 3)
