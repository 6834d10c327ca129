"""Losses of heads against formulas written anew, and what they refuse."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

import heads

RNG = np.random.default_rng(2)
LOGITS = RNG.normal(size=(12, 4)).astype("float32") * 3
IDS = np.arange(12) % 4
TAGS = RNG.integers(0, 2, (12, 4))
WEIGHTS = [1.0, 0.5, 3.0, 2.0]


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def row_by_row(class_weights, smoothing, gamma):
    total = []
    for z, k in zip(LOGITS.astype("float64"), IDS):
        p = np.exp(z) / np.exp(z).sum()
        loss = 0.0
        for c in range(4):
            target = (1 - smoothing) * (c == k) + smoothing / 4
            loss -= target * (1 - p[c]) ** gamma * np.log(p[c])
        total.append(loss * (class_weights[k] if class_weights else 1))
    return np.mean(total)


def label_by_label(class_weights, smoothing, gamma):
    total = []
    for z, y, c in zip(LOGITS.astype("float64").ravel(), TAGS.ravel(), list(range(4)) * 12):
        p = 1 / (1 + np.exp(-z))
        target = (1 - smoothing) * y + smoothing / 2
        weight = class_weights[c] if class_weights else 1
        yes = -weight * target * (1 - p) ** gamma * np.log(p)
        total.append(yes - (1 - target) * p**gamma * np.log(1 - p))
    return np.mean(total)


OPTIONS = list(itertools.product([None, WEIGHTS], [0.0, 0.2], [0.0, 0.5, 2.0]))


@pytest.mark.parametrize(("class_weights", "smoothing", "gamma"), OPTIONS)
def test_cross_entropy_of_exclusive_classes(class_weights, smoothing, gamma):
    options = {
        "class_weights": class_weights,
        "label_smoothing": smoothing,
        "focal_gamma": gamma,
    }
    expected = row_by_row(class_weights, smoothing, gamma)
    for one_hot, y in [(False, IDS), (False, IDS[:, None]), (True, np.eye(4)[IDS])]:
        loss = heads.ClassificationHead(4, one_hot=one_hot, **options).loss()
        np.testing.assert_allclose(float(loss(y, LOGITS)), expected, rtol=1e-5)


@pytest.mark.parametrize(("class_weights", "smoothing", "gamma"), OPTIONS)
def test_cross_entropy_of_labels(class_weights, smoothing, gamma):
    loss = heads.CrossEntropy(
        4,
        multi_label=True,
        class_weights=class_weights,
        label_smoothing=smoothing,
        focal_gamma=gamma,
    )
    expected = label_by_label(class_weights, smoothing, gamma)
    np.testing.assert_allclose(float(loss(TAGS, LOGITS)), expected, rtol=1e-5)


def test_cross_entropy_equals_keras_where_keras_has_it():
    one_hot = np.eye(4)[IDS]
    pairs = [
        (heads.CrossEntropy(4), keras.losses.SparseCategoricalCrossentropy(from_logits=True), IDS),
        (
            heads.CrossEntropy(4, one_hot=True, label_smoothing=0.1),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
            one_hot,
        ),
        (
            heads.CrossEntropy(4, one_hot=True, focal_gamma=2.0),
            keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, from_logits=True),
            one_hot,
        ),
        (
            heads.CrossEntropy(4, multi_label=True, label_smoothing=0.1),
            keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
            TAGS,
        ),
        (
            heads.CrossEntropy(4, multi_label=True, focal_gamma=2.0),
            keras.losses.BinaryFocalCrossentropy(gamma=2.0, from_logits=True),
            TAGS,
        ),
    ]
    for ours, theirs, y in pairs:
        for sample_weight in (None, np.linspace(0, 2, 12)):
            a, b = float(ours(y, LOGITS, sample_weight)), float(theirs(y, LOGITS, sample_weight))
            np.testing.assert_allclose(a, b, rtol=1e-4)


def test_mixed_targets_are_between_their_classes():
    half = (np.eye(4)[IDS] + np.eye(4)[IDS[::-1]]) / 2
    loss = heads.CrossEntropy(4, one_hot=True, class_weights=WEIGHTS)
    log_p = np.log(softmax(LOGITS.astype("float64")))
    expected = (-(half * log_p).sum(axis=1) * (half @ WEIGHTS)).mean()
    np.testing.assert_allclose(float(loss(half, LOGITS)), expected, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("multi_label", [False, True])
def test_training_is_finite_for_very_sure_logits(gamma, multi_label):
    x = keras.Input((2,))
    head = heads.ClassificationHead(2, multi_label=multi_label, focal_gamma=gamma)
    model = heads.attach(keras.Model(x, x), head)
    head.logits.set_weights([np.eye(2, dtype="float32") * 1000, np.zeros(2)])
    model.compile("sgd", loss=head.loss())
    rows = np.eye(2, dtype="float32")
    for y in (rows, rows[::-1]):
        model.train_on_batch(rows, y if multi_label else y.argmax(axis=1))
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        ("mse", np.square),
        ("mae", np.abs),
        ("huber", lambda e: np.where(np.abs(e) < 1, e**2 / 2, np.abs(e) - 0.5)),
        ("log_cosh", lambda e: np.log(np.cosh(e))),
    ],
)
def test_regression_losses_are_of_deviations(loss, formula):
    y, p = RNG.normal(3, 4, (9, 2)), RNG.normal(3, 4, (9, 2)).astype("float32")
    std = [2.0, 5.0]
    ours = heads.RegressionHead(2, loss=loss, mean=3.0, std=std).loss()
    np.testing.assert_allclose(float(ours(y, p)), formula((y - p) / std).mean(), rtol=1e-5)
    w = RNG.uniform(size=9)
    expected = (formula((y - p) / std).mean(axis=1) * w).mean()
    np.testing.assert_allclose(float(ours(y, p, w)), expected, rtol=1e-5)
    one = heads.RegressionHead(loss=loss).loss()
    np.testing.assert_allclose(
        float(one(y[:, 0], p[:, :1])), formula(y - p)[:, 0].mean(), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("loss", "y", "outputs"),
    [
        (heads.CrossEntropy(4), np.eye(4), 4),
        (heads.CrossEntropy(4, one_hot=True), np.arange(4), 4),
        (heads.CrossEntropy(4, one_hot=True), np.eye(4)[:, :3], 4),
        (heads.CrossEntropy(4, multi_label=True), np.arange(4), 4),
        (heads.CrossEntropy(4), np.arange(4), 3),
        (heads.RegressionLoss(), np.zeros(4), 2),
        (heads.RegressionLoss(), np.zeros((4, 3)), 2),
    ],
)
def test_wrong_shapes_are_said_before_the_first_step(loss, y, outputs):
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(outputs)(x))
    model.compile("sgd", loss=loss)
    with pytest.raises(ValueError, match=r"must have the shape .* Received: "):
        model.fit(np.zeros((4, 3)), y, verbose=0)


WRONG_VALUES = [
    (lambda: heads.ClassificationHead(3), [0, 1, 3, 2], "Class ids must .* 0 to 2.*3.*row.*2"),
    (lambda: heads.ClassificationHead(3), [0, -1, 0, 2], "Class ids.*-1.*row.*1"),
    (lambda: heads.ClassificationHead(3), [0, 1, 0, 0.5], "Class ids.*0.5.*row.*3"),
    (lambda: heads.ClassificationHead(3), [0, 1, np.nan, 2], "Class ids.*nan.*row.*2"),
    (
        lambda: heads.ClassificationHead(3, one_hot=True),
        [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0]],
        "One-hot.*0.*row.*1",
    ),
    (lambda: heads.ClassificationHead(1, multi_label=True), [[1], [0], [2], [1]], "Labels.*2"),
    (lambda: heads.RegressionHead(), [1.0, np.inf, 0.0, 2.0], "finite numbers.*inf.*row.*1"),
]


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize(("make", "y", "said"), WRONG_VALUES)
def test_wrong_values_stop_fit_with_a_clear_message(make, y, said, eagerly):
    x = keras.Input((2,))
    model = heads.attach(keras.Model(x, x), make())
    model.compile("sgd", loss=heads.losses(model), run_eagerly=eagerly)
    with pytest.raises(Exception, match="(?s)" + said) as error:
        model.fit(np.zeros((4, 2)), np.array(y, "float32"), verbose=0, shuffle=False)
    if eagerly and keras.backend.backend() != "jax":
        assert type(error.value) is ValueError


def test_wrong_values_are_not_a_silent_zero_under_xla():
    x = keras.Input((2,))
    model = heads.attach(keras.Model(x, x), heads.ClassificationHead(3))
    model.compile("sgd", loss=heads.losses(model), jit_compile=True)
    model.fit(np.zeros((4, 2)), np.arange(4) % 3, verbose=0)
    if keras.backend.backend() == "tensorflow":
        logs = model.fit(np.zeros((4, 2)), np.arange(4), verbose=0).history
        assert np.isnan(logs["loss"][0])
    else:
        with pytest.raises(Exception, match="Class ids must"):
            model.fit(np.zeros((4, 2)), np.arange(4), verbose=0)


@pytest.mark.parametrize(
    "loss",
    [
        heads.CrossEntropy(
            3, one_hot=True, class_weights=[1, 2, 3], label_smoothing=0.1, focal_gamma=2.0
        ),
        heads.CrossEntropy(3, multi_label=True, name="tags", reduction="sum"),
        heads.RegressionLoss("huber", std=[1.0, 2.0], name="sizes"),
    ],
)
def test_losses_are_saved_whole(loss):
    saved = keras.saving.serialize_keras_object(loss)
    assert saved["registered_name"] == f"keras_blocks>{type(loss).__name__}"
    revived = keras.saving.deserialize_keras_object(saved)
    assert revived.get_config() == loss.get_config()
    n = 2 if isinstance(loss, heads.RegressionLoss) else 3
    y, p = ops.eye(n), ops.convert_to_tensor(RNG.normal(size=(n, n)).astype("float32"))
    np.testing.assert_array_equal(float(loss(y, p)), float(revived(y, p)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: heads.ClassificationHead(3, class_weights="balanced"),
        lambda: heads.ClassificationHead(3, class_weights=[1, "2", 3]),
        lambda: heads.ClassificationHead(3, class_weights=[1, [2], 3]),
        lambda: heads.ClassificationHead(3, class_weights=[0, 0, 0]),
        lambda: heads.ClassificationHead(3, class_weights=[-1, 1, 1]),
        lambda: heads.ClassificationHead(3, focal_gamma="high"),
        lambda: heads.RegressionHead(mean=float("nan")),
        lambda: heads.RegressionHead(2, std=[1.0, 0.0]),
        lambda: heads.RegressionHead(std="one"),
    ],
)
def test_wrong_numbers_are_refused(make):
    with pytest.raises(ValueError, match="Received: "):
        make()
