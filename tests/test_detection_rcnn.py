"""The two stages against loops in NumPy, trained, and in files."""

import math

import keras
import numpy as np
import pytest
from keras import layers

import export
import heads
from heads.detection.agreement import agreement
from heads.detection.anchors import AnchorCode, Anchors
from heads.detection.proposals import Proposals
from heads.detection.rcnn_loss import split
from heads.detection.roi_align import RoIAlign
from tests.test_detection_export import scenes
from tests.test_detection_loss import packed
from tests.test_detection_parts import array, iou_of

STRIDES = [4, 8, 16]


def maps(batch=2, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    sides = [(16, 24), (8, 12), (4, 6)]
    return [rng.normal(size=(batch, *side, channels)).astype("float32") for side in sides]


def some_boxes(batch=2, count=9, seed=1):
    """Of all sizes: within the image, across its edges, beyond them, and thin ones."""
    rng = np.random.default_rng(seed)
    middle, sides = rng.uniform(-10, 100, (batch, count, 2)), rng.uniform(1, 300, (batch, count, 2))
    sides[:, 0] = 0.5
    return np.concatenate([middle - sides / 2, middle + sides / 2], -1).astype("float32")


def at(x, row, column):
    """The value between four neighbours, the edge's beyond it."""
    row = min(max(row, 0), x.shape[0] - 1)
    column = min(max(column, 0), x.shape[1] - 1)
    top, left = math.floor(row), math.floor(column)
    bottom, right = min(top + 1, x.shape[0] - 1), min(left + 1, x.shape[1] - 1)
    upper = x[top, left] * (1 - column + left) + x[top, right] * (column - left)
    lower = x[bottom, left] * (1 - column + left) + x[bottom, right] * (column - left)
    return upper * (1 - row + top) + lower * (row - top)


def aligned(x, boxes, size, samples):
    out = np.zeros((*boxes.shape[:2], size, size, x[0].shape[-1]))
    for i, j in np.ndindex(boxes.shape[:2]):
        left, top, right, bottom = boxes[i, j].astype("float64")
        side = math.sqrt((right - left) * (bottom - top))
        k = min(max(math.floor(math.log2(side / (14 * STRIDES[0]))), 0), 2)
        high, wide = ((b - a) / (size * samples) for a, b in ((top, bottom), (left, right)))
        for r, c in np.ndindex(size * samples, size * samples):
            row = (top + (r + 0.5) * high) / STRIDES[k] - 0.5
            column = (left + (c + 0.5) * wide) / STRIDES[k] - 0.5
            value = at(x[k][i], row, column)
            out[i, j, r // samples, c // samples] += value / samples**2
    return out


@pytest.mark.parametrize("size,samples,batch", [(3, 2, 2), (7, 1, 1)])
def test_boxes_are_read_as_by_hand(size, samples, batch):
    x, boxes = maps(batch), some_boxes(batch)
    levels = np.sqrt(np.prod(boxes[..., 2:] - boxes[..., :2], -1)) / (14 * STRIDES[0])
    assert (levels < 2).any() and (levels > 4).any()  # so every level is read
    found = array(RoIAlign(STRIDES, size, samples)({"maps": x, "boxes": boxes}))
    np.testing.assert_allclose(found, aligned(x, boxes, size, samples), atol=1e-4)


def test_a_plane_is_read_as_itself():
    rows, columns = np.meshgrid(np.arange(16), np.arange(24), indexing="ij")
    x = np.stack([(columns + 0.5) * 4, (rows + 0.5) * 4], -1)[None].astype("float32")
    box = np.float32([[[20, 12, 44, 36]]])
    found = array(RoIAlign([4], 3)({"maps": [x], "boxes": box}))[0, 0]
    np.testing.assert_allclose(found[0, :, 0], [24, 32, 40], atol=1e-4)
    np.testing.assert_allclose(found[:, 0, 1], [16, 24, 32], atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes slopes by TensorFlow")
def test_maps_learn_what_was_read_of_them_and_boxes_do_not():
    import tensorflow as tf

    x, boxes = maps(1, 1), tf.constant(some_boxes(1, 4))
    align, weight = RoIAlign(STRIDES, 2), np.random.default_rng(0).normal(size=(1, 4, 2, 2, 1))

    def value(x):
        return tf.reduce_sum(align({"maps": x, "boxes": boxes}) * weight.astype("float32"))

    given = [tf.constant(a) for a in x]
    with tf.GradientTape() as tape:
        tape.watch([*given, boxes])
        whole = value(given)
    *slopes, of_boxes = tape.gradient(whole, [*given, boxes])
    assert of_boxes is None and any(np.abs(s).max() > 0.1 for s in slopes)
    for a, slope in zip(x, slopes):
        place = np.unravel_index(np.abs(slope).argmax(), a.shape)
        more = [b.copy() for b in x]
        more[[b is a for b in x].index(True)][place] += 1.0
        assert float(value(more) - whole) == pytest.approx(float(slope[place]), rel=1e-3)


def test_proposals_are_the_best_apart():
    rng = np.random.default_rng(0)
    x = [np.zeros((2, 4, 6, 1)), np.zeros((2, 2, 3, 1))]
    anchors = array(Anchors([8, 16], [[2.0, 2.0], [1.0, 2.0]])(x))
    branch = {
        "boxes": rng.normal(size=anchors.shape).astype("float32"),
        "logits": rng.normal(size=(2, anchors.shape[1], 1)).astype("float32"),
        "points": anchors,
    }
    found = Proposals(12, 0.3)(branch)
    corners = array(AnchorCode(1).corners(branch["boxes"], anchors))
    for i in range(2):
        kept = []
        for j in np.argsort(-branch["logits"][i, :, 0], kind="stable")[:48]:
            if len(kept) < 12 and all(iou_of(corners[i, j], corners[i, k]) <= 0.3 for k in kept):
                kept.append(j)
        assert len(kept) == 12
        np.testing.assert_allclose(array(found["boxes"])[i], corners[i, kept], rtol=1e-5)
    boxes, points = array(found["boxes"]), array(found["points"])
    np.testing.assert_allclose(points[..., 2:], boxes[..., 2:] - boxes[..., :2], rtol=1e-5)
    np.testing.assert_allclose(points[..., :2] * 2, boxes[..., 2:] + boxes[..., :2], rtol=1e-5)


def test_too_few_proposals_repeat_the_best():
    anchors = np.float32([[[8, 8, 8, 8], [8, 8, 8, 8], [40, 8, 8, 8]]])
    branch = {"boxes": np.zeros((1, 3, 4)), "logits": [[[0.1], [0.3], [0.2]]], "points": anchors}
    found = array(Proposals(4)({k: np.float32(v) for k, v in branch.items()})["points"])
    np.testing.assert_allclose(found[0], anchors[0, [1, 2, 1, 1]])


@pytest.mark.parametrize("kind", ["hard_negatives", "focal"])
def test_both_stages_learn_as_anchors_do(kind):
    """The first one of one class; the second one only where a proposal overlaps a box."""
    rng = np.random.default_rng(0)
    anchors = array(Anchors([8], [[1.5, 1.5], [2.0, 2.0]])([np.zeros((2, 4, 6, 1))]))
    code, y = AnchorCode(3), packed()
    raw = rng.normal(size=(2, anchors.shape[1], code.width)).astype("float32")
    raw[..., -4:] = anchors
    loss = heads.RCNNLoss(3, 20, class_loss=kind, iou=0.4, proposal_iou=0.3, box_weight=2.0)
    whole = float(loss(y, raw))
    one = np.concatenate([raw[:, :-20, :5], raw[:, :-20, -4:]], -1)
    single = np.where(y[..., 4:] >= 0, np.concatenate([y[..., :4], 0 * y[..., 4:]], -1), y)
    first = heads.SSDLoss(1, class_loss=kind, iou=0.4, box_weight=2.0)(single, one)
    second = heads.SSDLoss(3, class_loss=kind, iou=0.3, box_weight=2.0, forced=False)
    assert whole == pytest.approx(float(first) + float(second(y, raw[:, -20:])), rel=1e-5)
    far = raw[:, -20:].copy()
    far[..., -4:] += np.float32([5000, 0, 0, 0])
    moved = far.copy()
    moved[..., :4] += 1  # boxes that nothing is said of
    assert float(second(y, far)) == pytest.approx(float(second(y, moved)), rel=1e-6)
    assert heads.RCNNLoss.from_config(loss.get_config()).get_config() == loss.get_config()


def test_the_first_stage_alone_says_where_the_second_one_looks():
    keras.utils.set_random_seed(0)
    head = heads.RCNNHead(2, levels=["P2", "P3"], filters=8, proposals=5, hidden=8)
    x = {"P2": np.random.normal(size=(1, 8, 8, 4)), "P3": np.random.normal(size=(1, 4, 4, 6))}
    first, second = split(array(head(x)), 5, head.code)
    assert first["logits"].shape == (1, 240, 1) and second["logits"].shape == (1, 5, 2)
    proposed = array(Proposals(5)(first)["points"])
    np.testing.assert_allclose(second["points"], proposed, rtol=1e-5)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    x = image = keras.Input((32, 32, 1), name="image")
    levels = {}
    for level, filters in enumerate((8, 16, 24), start=1):
        x = layers.Conv2D(filters, 3, 2, padding="same", activation="relu", name=f"conv{level}")(x)
        levels[f"P{level}"] = x
    head = heads.RCNNHead(
        2, levels=["P2", "P3"], filters=16, ratios=[1.0], proposals=16, pool=4, hidden=64
    )
    model = heads.attach(keras.Model(image, levels), head)
    model.compile(keras.optimizers.Adam(5e-3), loss=head.loss())
    model.fit(*scenes(256), batch_size=16, epochs=10, verbose=0)
    return model


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_it_learns_and_its_files_find_the_same(precision, trained, tmp_path):
    x, y = scenes(64, seed=1)
    model = heads.deploy(trained, score=0.2, max_detections=10)
    expected = model.predict(x, verbose=0)
    bundle = export.to_tflite(
        model,
        tmp_path / "boxes.tflite",
        precision,
        calibration=scenes(64)[0],
        inputs=x,
        measure=False,
    )
    assert bundle.ops["NON_MAX_SUPPRESSION_V4"] == 2 and "WHILE" not in bundle.ops
    found = export.predict(bundle.path, x)
    assert heads.coco_scores(expected, y)["map50"] > 0.9
    assert heads.coco_scores(found, y)["map50"] > 0.9
    assert agreement(expected, found) >= (1 if precision == "float32" else 0.95)
    if precision == "int8":  # the dense layers behind the first stage, too
        from ai_edge_litert.interpreter import Interpreter

        tensors = Interpreter(str(bundle.path)).get_tensor_details()
        kinds = [x["dtype"] for x in tensors if tuple(x["shape"]) == (64, 4 * 4 * 16)]
        assert kinds == [np.int8]
