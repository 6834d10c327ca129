"""Class maps of images of any size, and pictures of them."""

import functools

import keras
import numpy as np
import pytest

import heads
from heads.segmentation.overlay import colors, painted
from heads.segmentation.segment import nearest, spans
from tests.test_segmentation_heads import backbone, on_tensorflow

RNG = np.random.default_rng(0)


def brightest(x):
    """Answer with the channel that is largest, pixel by pixel."""
    return x.argmax(-1).astype("int32")


def test_maps_come_back_at_the_size_of_the_image():
    blocks = np.kron(RNG.integers(0, 3, (4, 5)), np.ones((4, 4), int))  # 16 x 20
    image = np.eye(3)[blocks]
    found = heads.segment(brightest, image, size=(32, 40))
    assert found.dtype == "int32"
    np.testing.assert_array_equal(found, blocks)
    several = heads.segment(brightest, [image, image[:7], image[:, :9]], size=(32, 40))
    assert [x.shape for x in several] == [(16, 20), (7, 20), (16, 9)]
    batch = heads.segment(lambda x: {"classes": brightest(x)}, np.stack([image] * 3), size=(16, 20))
    np.testing.assert_array_equal(batch, [blocks] * 3)


def test_files_are_read(tmp_path):
    from PIL import Image

    images = RNG.integers(0, 256, (2, 9, 12, 3)).astype("uint8")
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path, image in zip(paths, images):
        Image.fromarray(image).save(path)
    for options in ({"size": (9, 12)}, {"size": (6, 6), "tile": True}):
        found = heads.segment(brightest, [str(paths[0]), paths[1]], **options)
        np.testing.assert_array_equal(found, images.argmax(-1))
        np.testing.assert_array_equal(heads.segment(brightest, paths[0], **options), found[0])


def test_nearest_is_pillows():
    from PIL import Image

    ids = RNG.integers(0, 9, (7, 10)).astype("uint8")
    for size in ((14, 20), (5, 3), (21, 4)):
        expected = Image.fromarray(ids).resize(size[::-1], Image.Resampling.NEAREST)
        np.testing.assert_array_equal(nearest(ids, size), np.asarray(expected))


@pytest.mark.parametrize("overlap", [0, 0.25, 0.7])
@pytest.mark.parametrize("side", [1, 8, 9, 20, 31])
def test_spans_cover_a_side_once(side, overlap):
    found = spans(side, 8, int(overlap * 8))
    answered = [i for _, first, end in found for i in range(first, end)]
    assert answered == list(range(side))
    for (start, first, end), following in zip(found, found[1:]):
        assert start <= first and end <= start + 8
        assert start + 8 - following[0] >= int(overlap * 8)


def test_tiles_answer_as_one_image_does():
    """Of a network that sees 5 x 5 pixels, an overlap of 4 leaves no seam."""
    image = RNG.normal(size=(37, 22, 3)).astype("float32")
    sum_ = keras.layers.Conv2D(3, 5, padding="same")

    def predict(x):
        return {"classes": brightest(keras.ops.convert_to_numpy(sum_(x)))}

    whole = predict(image[None])["classes"][0]
    read = []

    def counted(x):
        read.append(x.shape)
        return predict(x)

    found = heads.segment(counted, image, size=(16, 12), tile=True, overlap=0.4, batch_size=3)
    np.testing.assert_array_equal(found, whole)
    assert max(shape[0] for shape in read) == 3 and {s[1:3] for s in read} == {(16, 12)}
    small = heads.segment(predict, image[:9, :8], size=(16, 12), tile=True)
    assert small.shape == (9, 8)


def test_an_image_may_stay_on_the_disk(tmp_path):
    image = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "uint8", (40, 30, 3))
    image[:] = RNG.integers(0, 255, image.shape)
    found = heads.segment(brightest, np.load(tmp_path / "x.npy", "r"), size=(16, 16), tile=True)
    np.testing.assert_array_equal(found, np.asarray(image).argmax(-1))


def test_models_of_every_kind():
    head = heads.LRASPPHead(3, "P3", "P1", 4)
    model = heads.attach(backbone(), head)
    images = [RNG.normal(size=(21, 18, 3)), RNG.normal(size=(30, 11, 3))]
    raw, answer = (heads.segment(x, images) for x in (model, heads.deploy(model)))
    assert [x.shape for x in raw] == [(21, 18), (30, 11)]
    for a, b in zip(raw, answer):
        np.testing.assert_array_equal(a, b)
    logits = keras.ops.convert_to_numpy(model(images[0][None].astype("float32")))
    np.testing.assert_array_equal(raw[0], logits[0].argmax(-1))
    both = heads.deploy(model, probabilities=True)
    np.testing.assert_array_equal(heads.segment(both, images[0]), raw[0])
    open_ = heads.attach(backbone(None, None), heads.LRASPPHead(3, "P3", "P1", 4))
    assert [x.shape for x in heads.segment(open_, images)] == [(21, 18), (30, 11)]
    assert heads.segment(open_, images[1], size=(8, 8), tile=True).shape == (30, 11)


@on_tensorflow
def test_a_file_answers_through_export_predict(tmp_path):
    from export import predict, to_tflite

    model = heads.attach(backbone(), heads.LRASPPHead(3, "P3", "P1", 4))
    path = tmp_path / "mask.tflite"
    to_tflite(heads.deploy(model), path, measure=False)
    image = RNG.normal(size=(25, 30, 3)).astype("float32")
    found = heads.segment(functools.partial(predict, path), image, size=(21, 18))
    assert np.mean(found == heads.segment(model, image)) > 0.99


IMAGE = np.zeros((8, 8, 3))
MODEL = heads.attach(backbone(None, None), heads.LRASPPHead(3, "P3", "P1", 4))


@pytest.mark.parametrize(
    ("model", "images", "options"),
    [
        (7, IMAGE, {}),
        (brightest, IMAGE, {}),
        (brightest, IMAGE, {"size": 8}),
        (brightest, IMAGE, {"size": (0, 8)}),
        (brightest, IMAGE, {"size": (8, 8), "overlap": 1.0}),
        (brightest, IMAGE, {"size": (8, 8), "batch_size": 0}),
        (brightest, IMAGE[0], {"size": (8, 8)}),
        (brightest, [IMAGE[None]], {"size": (8, 8)}),
        (brightest, [], {"size": (8, 8)}),
        (lambda x: x, IMAGE, {"size": (8, 8)}),
        (MODEL, IMAGE, {"tile": True}),
        (heads.attach(backbone(), heads.LRASPPHead(3, "P3", "P1", 4)), IMAGE, {"size": (8, 8)}),
        (heads.attach(backbone(), heads.ClassificationHead(3)), IMAGE, {}),
    ],
)
def test_segment_says_what_it_needs(model, images, options):
    with pytest.raises(ValueError, match="Received: "):
        heads.segment(model, images, **options)


def test_painted_is_its_formula():
    image, classes = RNG.integers(0, 255, (4, 5, 3)), RNG.integers(0, 3, (4, 5))
    classes[0, 0] = 255
    found = painted(image, classes, alpha=0.25)
    paint = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]])
    for i, j in np.ndindex(4, 5):
        c = classes[i, j]
        expected = image[i, j] if c in (0, 255) else 0.75 * image[i, j] + 0.25 * paint[c]
        np.testing.assert_allclose(found[i, j], expected, atol=0.51)
    assert painted(image[..., 0] / 255, classes).shape == (4, 5, 3)
    assert colors(22)[21].tolist() == [128, 64, 128] or len(np.unique(colors(256), axis=0)) == 256


def test_overlay_draws_a_legend_and_a_file(tmp_path):
    classes = np.array([[0, 1], [2, 255]])
    figure = heads.overlay(
        np.zeros((2, 2, 3)), classes, names=["ground", "cat", "dog"], path=tmp_path / "x.png"
    )
    assert (tmp_path / "x.png").stat().st_size > 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cat", "dog"]
    with pytest.raises(ValueError, match="every class, 2 included. Received: 2 names"):
        heads.overlay(np.zeros((2, 2, 3)), classes, names=["a", "b"])
    with pytest.raises(ValueError, match="Received: shapes \\(2, 2\\) and \\(3, 2, 3\\)"):
        heads.overlay(np.zeros((3, 2, 3)), classes)
    with pytest.raises(ValueError, match="Received: alpha=2"):
        heads.overlay(np.zeros((2, 2, 3)), classes, alpha=2)
