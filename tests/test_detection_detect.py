"""Boxes come back in the pixels of the image that was given."""

import functools

import numpy as np
import pytest
from PIL import Image

import export
import heads
from tests.test_detection_scores import tiny


def spot(images):
    """A stand-in for a model: the box of what is not black, in the resized image."""
    rows = [np.argwhere(x[..., 0] > 0.5) for x in np.asarray(images)]
    boxes = [[[*x.min(0)[::-1], *(x.max(0)[::-1] + 1)], [0, 0, 0, 0]] for x in rows]
    return {
        "boxes": np.array(boxes, "float32"),
        "scores": np.tile([[0.5, 0.0]], (len(rows), 1)),
        "classes": np.tile([[2, -1]], (len(rows), 1)),
        "count": np.ones(len(rows), int),
    }


def picture(height, width, box):
    image = np.zeros((height, width, 3), "float32")
    image[box[1] : box[3], box[0] : box[2]] = 1
    return image


@pytest.mark.parametrize("letterbox", [False, True])
def test_boxes_are_those_of_the_image_as_given(letterbox):
    boxes = [(30, 20, 90, 60), (10, 40, 50, 80), (0, 0, 64, 32)]
    images = [picture(*s, b) for s, b in zip([(100, 120), (120, 80), (32, 64)], boxes)]
    found = heads.detect(spot, images, size=(32, 64), letterbox=letterbox, batch_size=2)
    for each, box in zip(found, boxes):
        np.testing.assert_allclose(each["boxes"], [box], atol=4)  # a pixel of the small image
        assert each["classes"].tolist() == [2] and each["scores"].tolist() == [0.5]


def test_files_are_read(tmp_path):
    image = picture(40, 60, (12, 8, 30, 20)) * 255
    Image.fromarray(image.astype("uint8")).save(tmp_path / "a.png")
    (from_file,) = heads.detect(spot, [tmp_path / "a.png"], size=(40, 60))
    assert from_file["boxes"].tolist() == [[12, 8, 30, 20]]


def test_models_and_files_of_them_answer_alike(tmp_path):
    model, x = tiny(), np.random.default_rng(0).normal(size=(3, 40, 48, 1)).astype("float32")
    options = {"score": 0.0, "max_detections": 6}
    found = heads.detect(model, x, **options)
    answers = heads.deploy(model, **options)
    export.to_tflite(answers, tmp_path / "boxes.tflite", measure=False)
    predict = functools.partial(export.predict, tmp_path / "boxes.tflite")
    for others in (heads.detect(answers, list(x)), heads.detect(predict, x, size=(32, 32))):
        for a, b in zip(found, others):
            assert len(a["boxes"]) > 0 and a["classes"].tolist() == b["classes"].tolist()
            np.testing.assert_allclose(a["boxes"], b["boxes"], rtol=1e-3, atol=1e-3)
    assert max(each["boxes"].max() for each in found) <= 48


@pytest.mark.parametrize(
    ("model", "args", "message"),
    [
        (spot, {}, "`size` is needed where"),
        (spot, {"size": (8, 8), "score": 0.5}, "no options"),
        ("model", {}, "Received: 'model'"),
        (lambda x: x, {"size": (8, 8)}, "must answer with boxes, classes.*one tensor"),
    ],
)
def test_what_does_not_fit_is_told(model, args, message):
    with pytest.raises(ValueError, match=message):
        heads.detect(model, [np.zeros((8, 8, 3))], **args)


def test_what_does_not_fit_a_model_is_told():
    with pytest.raises(ValueError, match="has its options already. Received: score"):
        heads.detect(heads.deploy(tiny()), np.zeros((1, 32, 32, 1)), score=0.5)
    with pytest.raises(ValueError, match=r"Received: shape \(32, 1\)"):
        heads.detect(tiny(), np.zeros((32, 32, 1)))


def test_pictures_show_what_was_found_and_what_is_true(tmp_path):
    found = heads.detect(spot, [picture(40, 60, (12, 8, 30, 20))], size=(40, 60))[0]
    truth = np.array([[10, 8, 30, 20, 1], [0, 0, 0, 0, -1]])
    figure = heads.draw_boxes(
        picture(40, 60, (0, 0, 1, 1)), found, truth, names=["a", "b", "c"], path=tmp_path / "x.png"
    )
    (axes,) = figure.axes
    assert len(axes.patches) == 2 and [x.get_text() for x in axes.texts] == ["c 0.50"]
    assert (tmp_path / "x.png").stat().st_size > 1000
    assert not heads.draw_boxes(np.zeros((8, 8)), found, score=0.6).axes[0].patches
