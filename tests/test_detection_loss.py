"""The loss of detectors, against a loop in NumPy, and what it says of wrong targets."""

import keras
import numpy as np
import pytest
from keras import ops

from heads.detection.assign import TaskAligned
from heads.detection.code import Code
from heads.detection.loss import CLASS_LOSSES, CLASS_WEIGHTS, WEIGHTS, DetectionLoss
from heads.detection.overlap import KINDS
from heads.detection.points import Points
from tests.test_detection_parts import array, boxes, overlap_of


def raw_output(code, seed=0, batch=2):
    """Return a raw output of two levels whose boxes are about 20 pixels wide."""
    rng = np.random.default_rng(seed)
    points = array(Points([8, 16])([np.zeros((batch, 4, 6, 1)), np.zeros((batch, 2, 3, 1))]))
    raw = rng.normal(size=(batch, points.shape[1], code.width)).astype("float32")
    raw[..., -3:] = points
    return raw


def packed(seed=0, batch=2, classes=3):
    rng = np.random.default_rng(seed)
    y = np.concatenate([boxes(batch, 4, side=32), np.zeros((batch, 4, 1), "float32")], -1)
    y[..., 4] = rng.integers(0, classes, (batch, 4))
    y[0, 3] = [0, 0, 0, 0, -1]
    return y


def class_loss(kind, target, logit):
    p = 1 / (1 + np.exp(-logit))
    entropy = -target * np.log(p) - (1 - target) * np.log(1 - p)
    if kind == "quality_focal":
        return abs(target - p) ** 2 * entropy
    if kind == "varifocal":
        return (target if target > 0 else 0.75 * p**2) * entropy
    return entropy


def distance_loss(logits, far):
    if len(logits) == 1:
        return abs(np.log1p(np.exp(logits[0])) - far)
    far = min(max(far, 0), len(logits) - 1.01)
    low = int(far)
    log_p = logits - np.log(np.exp(logits).sum())
    return -(low + 1 - far) * log_p[low] - (far - low) * log_p[low + 1]


def by_hand(code, y, raw, kind, box, weights=(), most=10):
    """Sum over every position of the batch, divided by the sum of the targets."""
    weights = {"class": CLASS_WEIGHTS[kind], **WEIGHTS, **dict(weights)}
    classes = np.eye(code.num_classes, dtype="float32")[y[..., 4].astype(int)]
    classes *= (y[..., 4] >= 0)[..., None]
    total, whole = 0.0, 0.0
    parts = [{k: array(x) for k, x in part.items()} for part in code.split(raw)]
    for branch, number in zip(parts, (most, 1)):
        found = array(code.corners(branch["boxes"], branch["points"]))
        scores = 1 / (1 + np.exp(-branch["logits"]))
        assign = TaskAligned(number)
        goals, targets = map(array, assign(y[..., :4], classes, scores, found, branch["points"]))
        total, whole = 0.0, whole
        for i in range(len(y)):
            for j, (x, yy, stride) in enumerate(branch["points"][i]):
                share = targets[i, j].sum()
                loss = weights["class"] * sum(
                    class_loss(kind, t, z) for t, z in zip(targets[i, j], branch["logits"][i, j])
                )
                if share:
                    goal = goals[i, j]
                    far = np.array([x - goal[0], yy - goal[1], goal[2] - x, goal[3] - yy]) / stride
                    logits = branch["boxes"][i, j].reshape(4, code.bins).astype("float64")
                    sides = [distance_loss(row, d) for row, d in zip(logits, far)]
                    loss += share * weights["distance"] * np.mean(sides)
                    away = 1 - overlap_of(found[i, j].astype("float64"), goal, box)
                    loss += share * weights["box"] * away
                total += loss
        whole += total / max(targets.sum(), 1)
    return whole


@pytest.mark.parametrize(
    ("kind", "box", "bins", "nms_free"),
    [
        *((kind, "ciou", 8, False) for kind in CLASS_LOSSES),
        *(("quality_focal", box, 1, False) for box in KINDS),
        ("quality_focal", "giou", 8, True),
    ],
)
def test_loss_is_its_formula(kind, box, bins, nms_free):
    code = Code(3, bins, 1 + nms_free)
    y, raw = packed(), raw_output(code)
    loss = DetectionLoss(3, bins=bins, nms_free=nms_free, class_loss=kind, box_loss=box)
    assert float(loss(y, raw)) == pytest.approx(by_hand(code, y, raw, kind, box), rel=1e-3)
    again = DetectionLoss.from_config(loss.get_config())
    assert float(again(y, raw)) == float(loss(y, raw))


def test_weights_and_the_number_of_positions_are_heard():
    code = Code(3, 8)
    y, raw = packed(), raw_output(code)
    given = {"class": 2.0, "box": 1.0}
    loss = DetectionLoss(3, bins=8, weights=given, most=2)
    expected = by_hand(code, y, raw, "quality_focal", "ciou", given, most=2)
    assert float(loss(y, raw)) == pytest.approx(expected, rel=1e-3)


def test_the_loss_of_no_boxes_is_the_sum_over_all_logits():
    """Nothing is divided by less than 1: such a batch pulls no harder than one of a box."""
    code = Code(3, 8)
    raw, nothing = raw_output(code)[:1], np.full((1, 4, 5), [0, 0, 0, 0, -1], "float32")
    loss = DetectionLoss(3, bins=8)
    logits = raw[..., 32:35].astype("float64")
    alone = 2.0 * sum(class_loss("quality_focal", 0.0, z) for z in logits.ravel())
    assert float(loss(nothing, raw)) == pytest.approx(alone, rel=1e-3)


def test_images_without_boxes_have_a_loss_and_a_slope():
    code = Code(3, 8)
    y = np.zeros((2, 4, 5), "float32")
    y[..., 4] = -1
    raw = raw_output(code)
    model = keras.Sequential([keras.Input(raw.shape[1:]), keras.layers.Dense(code.width)])
    kernel = np.eye(code.width)
    kernel[:-3] *= 0.5
    model.layers[0].set_weights([kernel, np.zeros(code.width)])
    model.compile("sgd", loss=DetectionLoss(3, bins=8))
    assert 0 < model.fit(raw, y, verbose=0).history["loss"][0] < np.inf
    assert all(np.isfinite(array(w)).all() for w in model.weights)


@pytest.mark.parametrize(
    "row",
    [
        [10, 10, 10, 20, 1],  # no width
        [10, 20, 20, 10, 1],  # bottom above top
        [10, 10, 20, 20, 3],  # class out of range
        [10, 10, 20, 20, 0.5],
        [10, 10, 20, 20, -2],
        [10, np.nan, 20, 20, 1],
        [np.nan, 0, 0, 0, -1],
    ],
)
def test_wrong_targets_are_told(row):
    y = packed()
    y[1, 2] = row
    with pytest.raises(ValueError, match="left < right.*Received: .* at row 6"):
        DetectionLoss(3, bins=8)(y, raw_output(Code(3, 8)))


@pytest.mark.parametrize(
    ("y", "raw", "message"),
    [
        (np.zeros((2, 4, 4)), np.zeros((2, 30, 38)), "batch, max_boxes, 5"),
        (np.zeros((2, 5)), np.zeros((2, 30, 38)), "batch, max_boxes, 5"),
        (np.zeros((2, 4, 5)), np.zeros((2, 30, 37)), "batch, points, 38"),
    ],
)
def test_wrong_shapes_are_told(y, raw, message):
    with pytest.raises(ValueError, match=rf"{message}\)(?s:.*)Received: shape"):
        DetectionLoss(3, bins=8)(y, raw)


@pytest.mark.parametrize(
    "wrong",
    [
        {"class_loss": "hinge"},
        {"box_loss": "l1"},
        {"bins": 0},
        {"most": 0},
        {"weights": {"boxes": 1.0}},
        {"weights": {"box": -1.0}},
        {"weights": {"box": "much"}},
        {"num_classes": 0},
    ],
)
def test_wrong_arguments_are_told(wrong):
    with pytest.raises(ValueError, match="Received: "):
        DetectionLoss(**{"num_classes": 3, **wrong})


def test_it_learns_the_box_of_one_image():
    """Free numbers at every position find one box, whatever the kind of loss."""
    code = Code(2, 8)
    y = np.array([[[6, 7, 27, 24, 1], [0, 0, 0, 0, -1]]], "float32")
    raw = raw_output(code, batch=1)
    points = raw[..., -3:]
    free = keras.Variable(raw[..., :-3])
    loss, optimizer = DetectionLoss(2, bins=8), keras.optimizers.Adam(0.1)
    if keras.backend.backend() != "tensorflow":
        pytest.skip("writes its own step: run with KERAS_BACKEND=tensorflow")
    import tensorflow as tf

    for _ in range(60):
        with tf.GradientTape() as tape:
            value = loss(y, ops.concatenate([free, points], -1))
        optimizer.apply(tape.gradient(value, [free.value]), [free])
    (branch,) = code.split(ops.concatenate([free, points], -1))
    best = int(np.argmax(array(branch["logits"])[0, :, 1]))
    found = array(code.corners(branch["boxes"], branch["points"]))[0, best]
    np.testing.assert_allclose(found, y[0, 0, :4], atol=1.5)
