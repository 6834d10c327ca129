"""Overlap, assignment, suppression and points of detectors, against loops in NumPy."""

import math

import keras
import numpy as np
import pytest
from keras import ops

import heads
from heads.detection.assign import TaskAligned
from heads.detection.code import Code
from heads.detection.decode import BoxDecoder
from heads.detection.overlap import KINDS, overlap
from heads.detection.points import Points
from heads.detection.suppress import _in_turn, suppress


def array(x):
    return np.array(ops.convert_to_numpy(x))


def boxes(*shape, side=64.0, seed=0):
    """Random boxes of at least a pixel."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, side - 2, (*shape, 2))
    size = rng.uniform(1, side / 2, (*shape, 2))
    return np.concatenate([corner, corner + size], -1).astype("float32")


def iou_of(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union else 0.0


def overlap_of(a, b, kind):
    """One pair of boxes, as the papers write it."""
    iou = iou_of(a, b)
    hull = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
    width, height = hull[2] - hull[0], hull[3] - hull[1]
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    if kind == "giou":
        union = sum(areas) / (1 + iou)
        return iou - (width * height - union) / (width * height)
    centres = [((x[0] + x[2]) / 2, (x[1] + x[3]) / 2) for x in (a, b)]
    far = sum((p - q) ** 2 for p, q in zip(*centres)) / (width**2 + height**2)
    if kind == "diou":
        return iou - far
    angles = [math.atan((x[2] - x[0]) / (x[3] - x[1])) for x in (a, b)]
    unlike = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    return {"iou": iou, "ciou": iou - far - unlike**2 / (1 - iou + unlike)}[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_overlaps_are_those_of_the_papers(kind):
    a, b = boxes(60), boxes(60, seed=1)
    expected = [overlap_of(x, y, kind) for x, y in zip(a.astype("float64"), b.astype("float64"))]
    np.testing.assert_allclose(array(overlap(a, b, kind)), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(array(overlap(a, a, kind)), 1, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_without_area_overlap_nothing_and_have_a_slope(kind):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="box")])
    model.get_layer("box").set_weights([np.eye(4), np.zeros(4)])

    def loss(y_true, y_pred):
        return 1 - overlap(y_true, y_pred, kind)

    model.compile(keras.optimizers.SGD(0.1), loss=loss)
    point, far = np.array([[5.0, 5, 5, 5]]), np.array([[50.0, 50, 60, 61]])
    assert array(overlap(point, point, kind))[0] <= 1
    for given, goal in ((point, point), (point, far), (far, point)):
        model.fit(given, goal, verbose=0)
        assert all(np.isfinite(array(w)).all() for w in model.weights)


def assigned(gt, ids, scores, found, points, most, alpha=0.5, beta=6.0):
    """One image, box by box, as the paper says."""
    places, strides = points[:, :2], points[:, 2]
    rank, iou = np.zeros((len(gt), len(points))), np.zeros((len(gt), len(points)))
    inside = np.zeros_like(rank, bool)
    for i, box in enumerate(gt):
        middle = (box[:2] + box[2:]) / 2
        half = np.maximum((box[2:] - box[:2]) / 2, strides.min() / 2)
        for j, place in enumerate(places):
            inside[i, j] = ids[i] >= 0 and (np.abs(place - middle) <= half).all()
            iou[i, j] = iou_of(box, found[j])
            rank[i, j] = scores[j, ids[i]] ** alpha * iou[i, j] ** beta if inside[i, j] else -1
    chosen = np.zeros_like(inside)
    for i in range(len(gt)):
        best = np.argsort(-rank[i], kind="stable")[:most]
        chosen[i, best] = inside[i, best]
    for j in range(len(points)):
        if chosen[:, j].sum() > 1:
            best = np.argmax(np.where(chosen[:, j], iou[:, j], -1))
            chosen[:, j] = np.arange(len(gt)) == best
    goals, targets = np.zeros((len(points), 4)), np.zeros_like(scores)
    for i, j in zip(*np.nonzero(chosen)):
        goals[j] = gt[i]
        targets[j, ids[i]] = rank[i, j] / rank[i, chosen[i]].max() * iou[i, chosen[i]].max()
    return goals, targets


@pytest.mark.parametrize("most", [1, 4, 10])
def test_assignment_is_the_papers(most):
    rng = np.random.default_rng(0)
    maps = [np.zeros((3, side, side, 1), "float32") for side in (8, 4, 2)]
    points = array(Points([8, 16, 32])(maps))
    gt = boxes(3, 6)
    ids = rng.integers(0, 3, (3, 6))
    ids[0, 4:] = -1
    ids[2] = -1
    scores = rng.uniform(0.05, 0.95, (3, points.shape[1], 3)).astype("float32")
    found = np.concatenate([points[..., :2] - 9, points[..., :2] + 11], -1)
    found += rng.normal(size=found.shape).astype("float32")
    classes = np.eye(3, dtype="float32")[ids] * (ids >= 0)[..., None]
    goals, targets = map(array, TaskAligned(most)(gt, classes, scores, found, points))
    for i in range(3):
        expected = assigned(gt[i], ids[i], scores[i], found[i], points[i], most)
        np.testing.assert_allclose(goals[i], expected[0], atol=1e-4)
        np.testing.assert_allclose(targets[i], expected[1], rtol=1e-3, atol=1e-5)
    assert (targets[:2] > 0).any() and not targets[2].any()


def test_a_box_of_one_pixel_is_learned_somewhere():
    points = array(Points([8, 16])([np.zeros((1, 8, 8, 1)), np.zeros((1, 4, 4, 1))]))
    gt = np.array([[[17.0, 17, 18, 18]]], "float32")
    found = np.concatenate([points[..., :2] - 8, points[..., :2] + 8], -1)
    scores = np.full((1, points.shape[1], 1), 0.1, "float32")
    goals, targets = TaskAligned()(gt, np.ones((1, 1, 1), "float32"), scores, found, points)
    assert array(targets).any() and (array(goals)[array(targets)[..., 0] > 0] == gt[0]).all()


def greedy(boxes, scores, most, iou):
    kept, order = [], np.argsort(-scores, kind="stable")
    for i in order:
        if scores[i] >= 0 and all(iou_of(boxes[i], boxes[j]) <= iou for j in kept):
            kept.append(i)
    return kept[:most]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("most", [3, 40])
def test_suppression_is_greedy(batch, most):
    rng = np.random.default_rng(batch)
    given, scores = boxes(batch, 30), rng.uniform(-0.2, 1, (batch, 30)).astype("float32")
    for function in (suppress, _in_turn):
        places, count = map(array, function(given, scores, most, 0.4))
        assert places.shape == (batch, most)
        for i in range(batch):
            kept = greedy(given[i].astype("float64"), scores[i], most, 0.4)
            assert places[i, : count[i]].tolist() == kept
            assert not places[i, count[i] :].any()


def test_points_are_the_middles_of_positions():
    found = array(Points([8, 16])([np.zeros((2, 2, 3, 5)), np.zeros((2, 1, 2, 7))]))
    first = [[4, 4, 8], [12, 4, 8], [20, 4, 8], [4, 12, 8], [12, 12, 8], [20, 12, 8]]
    assert found[1].tolist() == [*first, [8, 8, 16], [24, 8, 16]]


@pytest.mark.parametrize("bins", [1, 4])
def test_distances_are_the_mean_of_their_bins(bins):
    rng, code = np.random.default_rng(0), Code(2, bins)
    raw = rng.normal(size=(2, 5, code.width)).astype("float32")
    raw[..., -3:] = [20, 30, 8]
    (branch,) = code.split(raw)
    x = raw[..., : 4 * bins].reshape(2, 5, 4, bins).astype("float64")
    shares = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    far = np.log1p(np.exp(x[..., 0])) if bins == 1 else (shares * np.arange(bins)).sum(-1)
    expected = np.array([20, 30, 20, 30]) + 8 * far * [-1, -1, 1, 1]
    np.testing.assert_allclose(
        array(code.corners(branch["boxes"], branch["points"])), expected, rtol=1e-4
    )
    assert array(code.join([branch], branch["points"])).shape == raw.shape


@pytest.mark.parametrize("agnostic", [False, True])
def test_the_decoder_suppresses_within_classes(agnostic):
    """Three boxes of one place: two of class 0, one of class 1."""
    code = Code(2, 1)
    raw = np.zeros((1, 3, code.width), "float32")
    raw[..., -3:] = [32, 32, 8]
    raw[..., 4:6] = [[3, -9], [2, -9], [-9, 1]]
    decoder = BoxDecoder(2, 1, agnostic=agnostic, max_detections=5)
    found = {key: array(x)[0] for key, x in decoder(raw).items()}
    kept = [3, 1][: 2 - agnostic]
    assert found["count"] == len(kept)
    assert found["classes"].tolist() == [0, 1][: len(kept)] + [-1] * (5 - len(kept))
    np.testing.assert_allclose(
        found["scores"][: len(kept)], 1 / (1 + np.exp(-np.array(kept))), rtol=1e-5
    )
    half = 8 * math.log(2)
    np.testing.assert_allclose(
        found["boxes"][0], [32 - half, 32 - half, 32 + half, 32 + half], rtol=1e-5
    )
    assert not found["boxes"][len(kept) :].any() and not found["scores"][len(kept) :].any()
    batch = decoder(np.concatenate([raw, raw]))
    for key, x in found.items():
        np.testing.assert_allclose(array(batch[key])[1], x, rtol=1e-6)


GRIDS = [(6, 7), (3, 4)]


def given(code, branch, points, maps):
    """Return the raw output of two equal branches, or the parts of one with its maps."""
    if not maps:
        return code.join([branch, branch], points)
    return {**branch, "points": points, "maps": [np.zeros((len(points), *x, 1)) for x in GRIDS]}


def peaks_by_hand(logits, points):
    """Return the logits of the positions that none of the eight around them betters."""
    kept = []
    for own, (x, y, stride) in zip(logits, points):
        apart = np.abs(points[:, :2] - [x, y]).max(-1)
        beside = (points[:, 2] == stride) & (apart <= stride)
        best = own.argmax()
        kept += [own[best]] if own[best] >= logits[beside, best].max() else []
    return sorted(kept, reverse=True)


@pytest.mark.parametrize("maps", [False, True], ids=["rows", "maps"])
def test_without_suppression_the_best_of_neighbours_answers(maps):
    rng, code = np.random.default_rng(0), Code(2, 1, 2)
    points = array(Points([8, 16])([np.zeros((2, *grid, 1)) for grid in GRIDS]))
    logits = rng.normal(size=(2, points.shape[1], 2)).astype("float32")
    branch = {"boxes": np.zeros((2, points.shape[1], 4), "float32"), "logits": logits}
    decoder = BoxDecoder(2, 1, True, score=0.0, max_detections=40)
    found = decoder(given(code, branch, points, maps))
    for i in range(2):
        kept = peaks_by_hand(logits[i], points[i])
        assert len(kept) < 40 and array(found["count"])[i] == len(kept)
        scores = 1 / (1 + np.exp(-np.array(kept)))
        np.testing.assert_allclose(array(found["scores"])[i, : len(kept)], scores, rtol=1e-5)
    first = {key: x[:1] for key, x in branch.items()}
    one = decoder(given(code, first, points[:1], maps))
    for key, x in one.items():
        np.testing.assert_allclose(array(x)[0], array(found[key])[0], rtol=1e-6)


@pytest.mark.parametrize("maps", [False, True], ids=["rows", "maps"])
def test_of_equal_neighbours_one_answers(maps):
    """As those of 8 bits often are."""
    code = Code(2, 1, 2)
    points = array(Points([8, 16])([np.zeros((1, *grid, 1)) for grid in GRIDS]))
    logits = np.full((1, points.shape[1], 2), -9.0, "float32")
    logits[0, [8, 9, 15, 16, 40, 41, 46, 47], 1] = 2.0  # four, two and two beside each other
    branch = {"boxes": np.zeros((1, points.shape[1], 4), "float32"), "logits": logits}
    decoder = BoxDecoder(2, 1, True, score=0.5, max_detections=9)
    found = decoder(given(code, branch, points, maps))
    assert array(found["count"]) == [3]


@pytest.mark.parametrize("nms_free", [False, True])
def test_images_of_open_sides_have_as_many_answers(nms_free, tmp_path):
    """Fewer positions than rows of the answer, which no graph of open sides knows."""
    image, head = keras.Input((None, None, 1)), None
    levels = {"P3": keras.layers.Conv2D(4, 3, 8, padding="same")(image)}
    head = heads.DetectionHead(
        2, levels=["P3"], neck=None, filters=4, depth=0, bins=1, nms_free=nms_free
    )
    model = heads.attach(keras.Model(image, levels), head)
    answer = heads.deploy(model, score=0.0, iou=1.0, max_detections=30)
    answer.save(tmp_path / "answer.keras")
    answer = keras.models.load_model(tmp_path / "answer.keras")
    for height, width in ((16, 24), (40, 64), (17, 30)):
        x = np.random.default_rng(0).normal(size=(2, height, width, 1)).astype("float32")
        found = answer.predict(x, verbose=0)
        positions = math.ceil(height / 8) * math.ceil(width / 8)
        assert found["boxes"].shape == (2, 30, 4)
        most = min(30, positions)
        if nms_free:  # those that have no better one beside them
            assert (found["count"] >= 1).all() and (found["count"] < most).all()
            continue
        assert found["count"].tolist() == [most] * 2
        assert (found["scores"][:, :most] > 0).all()
