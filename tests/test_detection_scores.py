"""COCO's scores: pycocotools' own, an average precision by hand, and the callback's logs."""

import contextlib
import io

import keras
import numpy as np
import pytest

import heads
from heads.detection.average_precision import STATS, coco_scores
from tests.test_detection_parts import boxes, iou_of


def scene(images=12, classes=3, seed=0):
    """Targets of all three sizes, and predictions near them, with ties, doubles and misses."""
    rng = np.random.default_rng(seed)
    targets = np.zeros((images, 5, 5), "float32")
    targets[..., :4] = boxes(images, 5, side=300, seed=seed)
    targets[..., 4] = rng.integers(-1, classes, (images, 5))
    targets[2, :, 4] = -1  # an image without boxes
    near = np.concatenate([targets, targets], axis=1)
    found = {
        "boxes": near[..., :4] + rng.normal(scale=4, size=(images, 10, 4)).astype("float32"),
        "scores": rng.integers(1, 20, (images, 10)) / np.float32(20),
        "classes": np.where(rng.random((images, 10)) < 0.8, near[..., 4], 0).astype("int32"),
    }
    found["boxes"][..., 2:] = np.maximum(found["boxes"][..., 2:], found["boxes"][..., :2] + 1)
    found["classes"][3] = -1  # an image without an answer
    return found, targets


def by_pycocotools(found, targets, crowd, area):
    """The way of pycocotools' documentation, through `loadRes`."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, guesses = [], []
    for i, rows in enumerate(targets):
        for j, (x, y, right, bottom, kind) in enumerate(rows.astype("float64")):
            if kind >= 0:
                entry = {"id": len(truth) + 1, "image_id": i, "category_id": int(kind)}
                entry |= {"bbox": [x, y, right - x, bottom - y], "iscrowd": int(crowd[i][j])}
                truth.append(entry | {"area": float(area[i][j])})
        for box, score, kind in zip(found["boxes"][i], found["scores"][i], found["classes"][i]):
            if kind >= 0:
                x, y, right, bottom = map(float, box)
                guess = {"image_id": i, "category_id": int(kind), "score": float(score)}
                guesses.append(guess | {"bbox": [x, y, right - x, bottom - y]})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(targets))],
            "annotations": truth,
            "categories": [{"id": i} for i in range(3)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(guesses), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_pycocotools(seed):
    found, targets = scene(seed=seed)
    rng = np.random.default_rng(seed)
    crowd = rng.random(targets.shape[:2]) < 0.1
    area = rng.uniform(100, 20_000, targets.shape[:2])
    scores = coco_scores(found, targets, crowd=crowd, area=area)
    expected = by_pycocotools(found, targets, crowd, area)
    np.testing.assert_allclose([scores[name] for name in STATS], expected, atol=1e-6)
    lists = [{key: x[i] for key, x in found.items()} for i in range(len(targets))]
    again = coco_scores(lists, [x[x[:, 4] >= 0] for x in targets])
    assert again["map"] == coco_scores(found, targets)["map"]


def average_precision(found, targets, kind, least=0.5):
    """Of one class at one overlap: greedy matching by score, 101 recalls."""
    guesses, total = [], 0
    for i, rows in enumerate(targets):
        truth = [row[:4] for row in rows if row[4] == kind]
        total, free = total + len(truth), list(range(len(truth)))
        places = [j for j in range(found["scores"].shape[1]) if found["classes"][i, j] == kind]
        for j in sorted(places, key=lambda j: -found["scores"][i, j]):
            overlaps = [(iou_of(found["boxes"][i, j], truth[k]), k) for k in free]
            best = max(overlaps, default=(0, None))
            if best[0] >= least:
                free.remove(best[1])
            guesses.append((found["scores"][i, j], best[0] >= least))
    hits = np.array([hit for _, hit in sorted(guesses, key=lambda x: -x[0])])
    recall = np.cumsum(hits) / total
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return np.mean(
        [precision[recall >= r][0] if (recall >= r).any() else 0 for r in np.linspace(0, 1, 101)]
    )


def test_average_precision_by_hand():
    found, targets = scene()
    found["scores"] = np.random.default_rng(1).permutation(120).reshape(12, 10) / np.float32(120)
    scores = coco_scores(found, targets, names=["a", "b", "c"])
    for i, name in enumerate("abc"):
        expected = average_precision(found, targets, i)
        assert scores["by_class"][name]["map50"] == pytest.approx(expected, abs=1e-6)


def test_perfect_answers_and_none():
    _, targets = scene()
    found = {"boxes": targets[..., :4], "scores": np.ones((12, 5)), "classes": targets[..., 4]}
    assert coco_scores(found, targets)["map"] == pytest.approx(1)
    nothing = {**found, "classes": np.full((12, 5), -1)}
    scores = coco_scores(nothing, targets, num_classes=4)
    assert scores["map50"] == 0 and np.isnan(scores["by_class"][3]["map"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (lambda f, t: (f, t[:5]), "Received: 12 and 5"),
        (lambda f, t: (f, np.full_like(t, -1)), "without any"),
    ],
)
def test_what_cannot_be_scored_is_told(args, message):
    with pytest.raises(ValueError, match=message):
        coco_scores(*args(*scene()))
    with pytest.raises(ValueError, match="Ids of 1 classes are below 1. Received: 2"):
        coco_scores(*scene(), names=["a"])
    with pytest.raises(ValueError, match="Each of 5 classes has a name"):
        coco_scores(*scene(), names=["a"], num_classes=5)
    assert len(coco_scores(*scene(), names="abcde")["by_class"]) == 5  # two that nobody saw


@pytest.mark.parametrize("key", ["boxes", "scores"])
def test_what_is_nan_finds_nothing(key):
    found, targets = scene()
    broken = {**found, key: np.full_like(np.asarray(found[key], "float32"), np.nan)}
    assert coco_scores(broken, targets)["map"] == 0


def tiny():
    image = keras.Input((32, 32, 1), name="image")
    x = keras.layers.Conv2D(4, 3, strides=8, padding="same", name="conv")(image)
    head = heads.DetectionHead(2, levels=["P3"], neck=None, filters=4, depth=0, bins=1)
    model = heads.attach(keras.Model(image, {"P3": x}), head)
    model.compile("sgd", loss=head.loss(), run_eagerly=True)
    return model


@pytest.mark.parametrize("batched", [False, True])
def test_callbacks_after_it_see_the_scores(batched):
    x = np.random.default_rng(0).normal(size=(4, 32, 32, 1)).astype("float32")
    y = np.zeros((4, 2, 5), "float32")
    y[:, 0], y[:, 1, 4] = [4, 4, 20, 20, 1], -1
    data = [(x[:2], y[:2]), (x[2:], y[2:])] if batched else (x, y)

    class See(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(sorted(key for key in logs if key.startswith("val_")))

    seen, model = [], tiny()
    scores = heads.CocoScores(data, every=2, score=0.0, iou=0.9)
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[scores, See()]).history
    assert seen == [
        [],
        ["val_map", "val_map50", "val_map75"],
        ["val_map", "val_map50", "val_map75"],
    ]
    answers = heads.deploy(model, score=0.0, iou=0.9).predict(x, verbose=0)
    assert len(history["val_map"]) == 2 and 0 <= coco_scores(answers, y)["map"] <= 1


def test_the_callback_needs_boxes():
    model = heads.attach(keras.Model(x := keras.Input((4,)), x), heads.ClassificationHead(2))
    model.compile("sgd", loss=heads.losses(model))
    with pytest.raises(ValueError, match="answers with boxes is needed"):
        model.fit(np.ones((2, 4)), np.ones(2), callbacks=[heads.CocoScores((0, 0))], verbose=0)


def test_the_callback_finds_out_before_it_trains(monkeypatch):
    with pytest.raises(ValueError, match="every"):
        heads.CocoScores((0, 0), every=0)
    from heads.detection import coco_callback
    from tests.test_benchmark_detection import tiny
    from tests.test_detection_export import scenes

    model, (x, y) = tiny("", 2), scenes(4)
    model.compile("sgd", loss=heads.losses(model))

    def no_step(*_):
        raise AssertionError("a step was made")

    monkeypatch.setattr(model, "train_step", no_step)
    empty = np.full_like(y, -1)
    data = [(x[:2], empty[:2]), (x[2:], empty[2:])]
    with pytest.raises(ValueError, match="must have a box to find"):
        model.fit(x, y, verbose=0, callbacks=[heads.CocoScores(data, every=3)])

    def missing():
        raise ImportError("COCO's scores need pycocotools")

    monkeypatch.setattr(coco_callback, "required", missing)
    with pytest.raises(ImportError, match="pycocotools"):
        model.fit(x, y, verbose=0, callbacks=[heads.CocoScores((x, y), every=3)])
