"""Anchors, their matching and their loss, against loops in NumPy."""

import keras
import numpy as np
import pytest

import heads
from heads.detection.anchors import FACTORS, AnchorCode, Anchors
from heads.detection.ssd_loss import SSDLoss, corners_of, match
from tests.test_detection_loss import packed
from tests.test_detection_parts import array, boxes, iou_of


def raw_output(seed=0, batch=2):
    rng = np.random.default_rng(seed)
    maps = [np.zeros((batch, 4, 6, 1)), np.zeros((batch, 2, 3, 1))]
    anchors = array(Anchors([8, 16], [[1.5, 1.5], [1.0, 2.0]])(maps))
    raw = rng.normal(size=(batch, anchors.shape[1], AnchorCode(3).width)).astype("float32")
    raw[..., -4:] = anchors
    return raw


def test_anchors_go_map_by_map_row_by_row_shape_by_shape():
    found = array(
        Anchors([8, 16], [[4.0, 2.0], [1.0, 1.0]])([np.zeros((1, 1, 2, 3)), np.zeros((1, 1, 1, 3))])
    )
    expected = [[4, 4, 32, 16], [4, 4, 8, 8], [12, 4, 32, 16], [12, 4, 8, 8]]
    assert found[0].tolist() == [*expected, [8, 8, 64, 32], [8, 8, 16, 16]]


def test_boxes_are_written_beside_anchors_and_read_again():
    code, anchors = AnchorCode(3), raw_output()[..., -4:]
    given = boxes(2, anchors.shape[1])
    written = array(code.encoded(given, anchors))
    np.testing.assert_allclose(array(code.corners(written, anchors)), given, rtol=1e-4, atol=1e-3)
    x, y, width, height = anchors[0, 0].astype("float64")
    left, top, right, bottom = given[0, 0].astype("float64")
    by_hand = [
        ((top + bottom) / 2 - y) / height * FACTORS[0],
        ((left + right) / 2 - x) / width * FACTORS[1],
        np.log((bottom - top) / height) * FACTORS[2],
        np.log((right - left) / width) * FACTORS[3],
    ]
    np.testing.assert_allclose(written[0, 0], by_hand, rtol=1e-4)


def matched(gt, real, anchors, least):
    """One image: every anchor its best box, then every box its best anchor."""
    iou = np.array([[iou_of(b, a) for a in anchors] for b in gt])
    iou[~real] = -1
    chosen = np.zeros(iou.shape, bool)
    for j in range(iou.shape[1]):
        if iou[:, j].max() >= least:
            chosen[iou[:, j].argmax(), j] = True
    forced = {}
    for i in np.flatnonzero(real):
        j = iou[i].argmax()
        if j not in forced or iou[i, j] > iou[forced[j], j]:
            forced[j] = i
    for j, i in forced.items():
        chosen[:, j] = np.arange(len(gt)) == i
    return chosen


@pytest.mark.parametrize("least", [0.3, 0.5])
def test_matching_is_ssds(least):
    raw, y = raw_output(), packed()
    anchors = raw[..., -4:]
    real = y[..., 4] >= 0
    found = array(match(y[..., :4], real, anchors, least))
    for i in range(2):
        corners = array(corners_of(anchors))[i]
        np.testing.assert_array_equal(found[i], matched(y[i, :, :4], real[i], corners, least))
    assert (found.sum(1) <= 1).all() and found.any(2)[real].sum() >= 6


def by_hand(y, raw, kind, least=0.5, weight=1.0):
    code = AnchorCode(3)
    anchors, whole, count = raw[..., -4:], 0.0, 0
    for i in range(len(y)):
        real = y[i, :, 4] >= 0
        owned = matched(y[i, :, :4], real, array(corners_of(anchors))[i], least)
        positive = owned.any(0)
        count += positive.sum()
        losses = np.zeros(len(positive))
        for j, logits in enumerate(raw[i, :, 4:-4].astype("float64")):
            target = np.zeros(3)
            if positive[j]:
                target[int(y[i, owned[:, j].argmax(), 4])] = 1
            p = 1 / (1 + np.exp(-logits))
            entropy = -target * np.log(p) - (1 - target) * np.log(1 - p)
            share = np.where(target > 0, 0.25, 0.75) * np.abs(target - p) ** 2
            losses[j] = (share * entropy).sum() if kind == "focal" else entropy.sum()
        if kind == "hard_negatives":
            others = np.sort(losses[~positive])[::-1][: max(1, 3 * positive.sum())]
            whole += losses[positive].sum() + others.sum()
        else:
            whole += losses.sum()
        for j in np.flatnonzero(positive):
            goal = array(code.encoded(y[i, owned[:, j].argmax(), :4], anchors[i, j]))
            away = np.abs(raw[i, j, :4] - goal)
            whole += weight * np.where(away < 1, away**2 / 2, away - 0.5).sum()
    return whole / count


@pytest.mark.parametrize("kind", ["focal", "hard_negatives"])
def test_loss_is_its_formula(kind):
    y, raw = packed(), raw_output()
    loss = SSDLoss(3, class_loss=kind, iou=0.4, box_weight=2.0)
    expected = by_hand(y, raw, kind, 0.4, 2.0)
    assert float(loss(y, raw)) == pytest.approx(expected, rel=1e-4)
    again = SSDLoss.from_config(loss.get_config())
    assert float(again(y, raw)) == float(loss(y, raw))


@pytest.mark.parametrize("kind", ["focal", "hard_negatives"])
def test_images_without_boxes_have_a_finite_loss(kind):
    nothing = np.full((2, 4, 5), [0, 0, 0, 0, -1], "float32")
    assert 0 < float(SSDLoss(3, class_loss=kind)(nothing, raw_output())) < np.inf
    with pytest.raises(ValueError, match="left < right.*Received: "):
        SSDLoss(3)(np.full((2, 4, 5), [9, 9, 1, 1, 0], "float32"), raw_output())


def test_it_trains_deploys_and_scores():
    from tests.test_detection_export import scenes

    keras.utils.set_random_seed(0)
    image, levels = keras.Input((32, 32, 1), name="image"), {}
    x = image
    for level, filters in enumerate((8, 16, 24), start=1):
        x = keras.layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(x)
        levels[f"P{level}"] = x
    head = heads.SSDHead(2, levels=["P2", "P3"], filters=16, depth=1, anchor_size=2.0)
    model = heads.attach(keras.Model(image, levels), head)
    model.compile(keras.optimizers.Adam(5e-3), loss=head.loss())
    model.fit(*scenes(256), batch_size=16, epochs=8, verbose=0)
    x, y = scenes(64, seed=1)
    answers = heads.deploy(model, score=0.01).predict(x, verbose=0)
    assert heads.coco_scores(answers, y)["map50"] > 0.8
