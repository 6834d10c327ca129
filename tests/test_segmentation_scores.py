"""Scores of class maps against scikit-learn and loops in NumPy."""

import keras
import numpy as np
import pytest
from sklearn import metrics as sk

import heads
from tests.test_segmentation_losses import edge, edge_f1

RNG = np.random.default_rng(0)
CLASSES, IGNORED = 5, 255
IDS = RNG.integers(0, CLASSES - 1, (7, 9, 8))  # class 4 is nowhere
LOGITS = RNG.normal(size=(7, 9, 8, CLASSES)).astype("float32")
LOGITS[..., 4] -= 100
LOGITS += 2 * np.eye(CLASSES, dtype="float32")[IDS]
IDS[:, 2:4, 1:3] = IGNORED
MASKS = np.where(IDS == IGNORED, IGNORED, IDS % 2)
MASK_LOGITS = LOGITS[..., 1:2] - LOGITS[..., :1]


def fed(metric, ids, logits, sizes=(4, 1, 2), **kwargs):
    """Return the metric after batches of unequal sizes."""
    start = 0
    for size in sizes:
        rows = slice(start, start + size)
        metric.update_state(ids[rows], logits[rows], **{k: v[rows] for k, v in kwargs.items()})
        start += size
    return metric


def array(x):
    return keras.ops.convert_to_numpy(x)


def known():
    counts = IDS != IGNORED
    return IDS[counts], LOGITS.argmax(-1)[counts]


def known_binary():
    counts = MASKS != IGNORED
    return MASKS[counts], (MASK_LOGITS[..., 0] >= 0)[counts].astype(int)


SCORES = [
    (heads.MaskIoU, lambda y, p, **k: sk.jaccard_score(y, p, **k)),
    (heads.MaskDice, lambda y, p, **k: sk.f1_score(y, p, **k)),
]


@pytest.mark.parametrize(("metric", "of_sklearn"), SCORES)
def test_scores_are_scikit_learns(metric, of_sklearn):
    found = fed(metric(CLASSES, IGNORED), IDS, LOGITS)
    y, p = known()
    np.testing.assert_allclose(float(found.result()), of_sklearn(y, p, average="macro"), rtol=1e-6)
    each = of_sklearn(y, p, average=None, labels=range(4))
    np.testing.assert_allclose(array(found.per_class()), [*each, 0], rtol=1e-6)
    found = fed(metric(1, IGNORED), MASKS, MASK_LOGITS)
    y, p = known_binary()
    np.testing.assert_allclose(float(found.result()), of_sklearn(y, p), rtol=1e-6)
    each = of_sklearn(y, p, average=None)
    np.testing.assert_allclose(array(found.per_class()), each, rtol=1e-6)


def test_accuracy_and_confusion_are_scikit_learns():
    found = fed(heads.PixelAccuracy(CLASSES, IGNORED), IDS, LOGITS)
    y, p = known()
    np.testing.assert_allclose(float(found.result()), sk.accuracy_score(y, p), rtol=1e-6)
    expected = sk.confusion_matrix(y, p, labels=range(CLASSES))
    np.testing.assert_array_equal(array(found.confusion()), expected)
    recall = sk.recall_score(y, p, average=None, labels=range(4))
    np.testing.assert_allclose(array(found.per_class()), [*recall, 0], rtol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Keras's own metric warns of int64 on JAX: run with KERAS_BACKEND=tensorflow",
)
def test_iou_is_kerass():
    of_keras = keras.metrics.MeanIoU(
        CLASSES, ignore_class=IGNORED, sparse_y_true=True, sparse_y_pred=False
    )
    fed(of_keras, IDS, LOGITS)
    found = fed(heads.MaskIoU(CLASSES, IGNORED), IDS, LOGITS)
    np.testing.assert_allclose(float(found.result()), float(of_keras.result()), rtol=1e-6)


def test_weights_count():
    w = np.arange(7.0)
    found = fed(heads.MaskIoU(CLASSES, IGNORED), IDS, LOGITS, sample_weight=w)
    counts = IDS != IGNORED
    weights = np.broadcast_to(w[:, None, None], IDS.shape)
    y, p = known()
    expected = sk.jaccard_score(y, p, average="macro", sample_weight=weights[counts])
    np.testing.assert_allclose(float(found.result()), expected, rtol=1e-5)
    by_position = fed(heads.MaskIoU(CLASSES, IGNORED), IDS, LOGITS, sample_weight=weights)
    np.testing.assert_allclose(float(by_position.result()), expected, rtol=1e-5)


def test_counts_are_exact_beyond_float32():
    metric = heads.PixelAccuracy(2)
    metric.update_state(np.zeros((1, 1, 3)), np.zeros((1, 1, 3, 2)))
    metric.high.assign(np.array([[2.0**10, 0], [0, 0]]))  # 2**30 positions
    for _ in range(3):
        metric.update_state(np.zeros((1, 1, 1)), np.zeros((1, 1, 1, 2)))
    assert float(metric.low[0, 0]) == 6 and float(metric.high[0, 0]) == 2**10
    many = heads.PixelAccuracy(2)
    many.low.assign(np.array([[2.0**20 - 1, 0], [0, 0]]))
    many.update_state(np.zeros((1, 1, 2)), np.zeros((1, 1, 2, 2)))
    assert float(many.low[0, 0]) == 1 and float(many.high[0, 0]) == 1


def edge_scores(binary, tolerance):
    """Return the F1 of edges by class, each a list of those of the images that have any."""
    ids, z = (MASKS, MASK_LOGITS) if binary else (IDS, LOGITS)
    predicted = (z[..., 0] >= 0).astype(int) if binary else z.argmax(-1)
    found = {}
    for image in range(7):
        counts = ids[image] != IGNORED
        for c in [1] if binary else range(CLASSES):
            true = edge(((ids[image] == c) & counts).astype(float), counts)
            guess = edge(((predicted[image] == c) & counts).astype(float), counts)
            if true.any() or guess.any():
                found.setdefault(c, []).append(edge_f1(true, guess, tolerance))
    return found


@pytest.mark.parametrize("binary", [False, True], ids=["classes", "binary"])
def test_boundary_f1_is_its_definition(binary):
    args, data = (
        ((1, IGNORED), (MASKS, MASK_LOGITS)) if binary else ((CLASSES, IGNORED), (IDS, LOGITS))
    )
    found = fed(heads.BoundaryF1(*args, tolerance=1), *data)
    expected = [np.mean(scores) for scores in edge_scores(binary, 1).values()]
    np.testing.assert_allclose(float(found.result()), np.mean(expected), rtol=1e-5)
    assert 0.1 < np.mean(expected) < 0.99


@pytest.mark.parametrize(
    "make", [heads.MaskIoU, heads.MaskDice, heads.PixelAccuracy, heads.BoundaryF1]
)
def test_metrics_are_saved_and_say_what_is_wrong(make):
    metric = make(CLASSES, ignore_label=IGNORED)
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert again.get_config() == metric.get_config()
    assert float(again.result()) == 0
    again.update_state(np.full((1, 9, 8), IGNORED), LOGITS[:1])
    assert float(again.result()) == 0
    with pytest.raises(ValueError, match="Received: "):
        metric.update_state(IDS[:, :5], LOGITS)
    fed(metric, IDS, LOGITS)
    assert float(metric.result()) > 0
    metric.reset_state()
    assert float(metric.result()) == 0
