"""Where a network's weights come from, and what is said where they cannot."""

import keras
import numpy as np
import pytest

import heads
from backbones import mobilenet_v2, resnet, vgg
from benchmarks.networks.network import publish
from tests.slow import some_slow

apps = keras.applications
SHAPE = (64, 64, 3)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file as keras.applications publishes them, and its network."""
    twin = apps.MobileNetV2(SHAPE, 0.35, include_top=False, weights=None)
    path = tmp_path_factory.mktemp("published") / "mobilenet_v2.h5"
    publish(twin, path)
    return twin, path


def images():
    return np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype("float32")


def last(model, x):
    return model.predict(x, verbose=0)["P5"]


def test_imagenet_fetches_the_file_through_keras(published, monkeypatch):
    """Keras's own download is asked for its file; here it finds ours."""
    twin, path = published
    asked = []

    def get_file(name, *args, **kwargs):
        asked.append(name)
        return str(path)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    model = mobilenet_v2(SHAPE, 0.35, weights="imagenet")
    assert asked == ["mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"]
    expected = twin.predict(images() / 127.5 - 1, verbose=0)
    np.testing.assert_allclose(last(model, images()), expected, atol=1e-4 * expected.max())


def test_a_failed_download_says_how_to_go_on(monkeypatch):
    def get_file(name, *args, **kwargs):
        raise Exception("URL fetch failure on https://somewhere/file.h5: None -- no route")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(ConnectionError, match=r"(?s)somewhere/file.h5.*Go on with weights=None"):
        mobilenet_v2(SHAPE, 0.35, weights="imagenet")


def test_a_width_that_was_not_published(monkeypatch):
    with pytest.raises(ValueError, match="keras.applications says: .*Received: 'imagenet'"):
        mobilenet_v2(SHAPE, 0.4, weights="imagenet")


def test_a_file_with_its_classifier_serves(tmp_path):
    twin = apps.MobileNetV2((96, 96, 3), 0.35, weights=None)
    publish(twin, tmp_path / "with_top.h5")
    model = mobilenet_v2((96, 96, 3), 0.35, weights=tmp_path / "with_top.h5")
    np.testing.assert_array_equal(
        model.get_layer("stem").conv.kernel, twin.get_layer("Conv1").kernel
    )


def test_preprocessing_comes_with_published_weights_unless_refused(published):
    _, path = published
    asked = {
        choice: last(mobilenet_v2(SHAPE, 0.35, weights=path, include_preprocessing=choice), x)
        for choice, x in ((None, images()), (True, images()), (False, images() / 127.5 - 1))
    }
    for choice in (True, False):
        np.testing.assert_allclose(asked[choice], asked[None], rtol=1e-4, atol=1e-4)
    assert not any(layer.name == "preprocessing" for layer in mobilenet_v2(SHAPE, 0.35).layers)


@pytest.mark.parametrize("preprocessing", some_slow([True, False], False))
@pytest.mark.parametrize(
    "form", some_slow(["backbone", "with head", "nested"], "backbone", "nested")
)
def test_a_saved_model_gives_its_weights(form, preprocessing, tmp_path):
    model = backbone = mobilenet_v2(SHAPE, 0.35, include_preprocessing=preprocessing)
    if form == "with head":
        model = heads.attach(backbone, heads.ClassificationHead(3))
    elif form == "nested":
        image = keras.Input(SHAPE)
        model = keras.Model(image, backbone(image))
    model.save(tmp_path / "mine.keras")
    again = mobilenet_v2(SHAPE, 0.35, weights=tmp_path / "mine.keras")
    np.testing.assert_array_equal(last(again, images()), last(backbone, images()))


def test_saved_weights_of_a_backbone(tmp_path):
    backbone = mobilenet_v2(SHAPE, 0.35)
    backbone.save_weights(tmp_path / "mine.weights.h5")
    again = mobilenet_v2((32, 32, 3), 0.35, weights=str(tmp_path / "mine.weights.h5"))
    np.testing.assert_array_equal(
        again.get_layer("last").conv.kernel, backbone.get_layer("last").conv.kernel
    )


@pytest.mark.parametrize("kind", some_slow([".keras", ".weights.h5", ".h5"], ".weights.h5"))
@pytest.mark.parametrize(
    "make",
    [
        lambda path: resnet(SHAPE, 50, weights=path),
        lambda path: mobilenet_v2(SHAPE, 0.5, weights=path),
        lambda path: mobilenet_v2((64, 64, 1), 0.35, weights=path),
    ],
    ids=["other network", "other width", "other channels"],
)
def test_a_file_of_another_network_is_refused(make, kind, published, tmp_path):
    path = published[1]
    if kind != ".h5":
        path = tmp_path / f"other{kind}"
        model = mobilenet_v2(SHAPE, 0.35)
        model.save(path) if kind == ".keras" else model.save_weights(path)
    with pytest.raises(ValueError, match="Received: "):
        make(path)


@pytest.mark.parametrize("kind", [".keras", ".weights.h5"])
@pytest.mark.parametrize(
    "form", some_slow(["backbone", "with head", "nested"], "backbone", "nested")
)
def test_a_shallower_network_does_not_read_a_deeper_ones_file(form, kind, tmp_path):
    model = deep = resnet(SHAPE, 34)
    if form == "with head":
        model = heads.attach(deep, heads.ClassificationHead(3))
    elif form == "nested":
        image = keras.Input(SHAPE)
        model = keras.Model(image, deep(image))
    path = tmp_path / f"deep{kind}"
    model.save(path) if kind == ".keras" else model.save_weights(path)
    with pytest.raises(ValueError, match="Received: "):
        resnet(SHAPE, 18, weights=path)


@pytest.mark.parametrize("content", [b"", b"no weights at all"])
@pytest.mark.parametrize("kind", [".keras", ".weights.h5", ".h5"])
def test_broken_files_are_refused(kind, content, tmp_path):
    (tmp_path / f"broken{kind}").write_bytes(content)
    with pytest.raises(ValueError, match="Received: .*broken"):
        mobilenet_v2(SHAPE, 0.35, weights=tmp_path / f"broken{kind}")


@pytest.mark.parametrize("kind", some_slow([".keras", ".weights.h5", ".h5"], ".h5"))
def test_files_cut_off_are_refused(kind, published, tmp_path):
    path = published[1]
    if kind != ".h5":
        path = tmp_path / f"whole{kind}"
        model = mobilenet_v2(SHAPE, 0.35)
        model.save(path) if kind == ".keras" else model.save_weights(path)
    (tmp_path / f"cut{kind}").write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="Received: .*cut"):
        mobilenet_v2(SHAPE, 0.35, weights=tmp_path / f"cut{kind}")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"weights": "nowhere.h5"}, "there is none"),
        ({"weights": "imagenett"}, "imagenett"),
        ({"weights": 3}, "weights=3"),
        ({"weights": "imagenet", "input_shape": (64, 64, 1)}, r"\(64, 64, 1\).*3 channels"),
        ({"input_shape": (31, 64, 3)}, r"\(31, 64, 3\)"),
    ],
)
def test_wrong_arguments_say_what_was_received(args, says):
    with pytest.raises(ValueError, match="Received: ") as caught:
        mobilenet_v2(**{"input_shape": SHAPE, "alpha": 0.35, **args})
    assert caught.match(f"(?s){says}") or says in str(caught.value)


def test_networks_without_published_weights_say_so():
    with pytest.raises(ValueError, match="no weights of this network.*Received.*'imagenet'"):
        resnet(SHAPE, 18, weights="imagenet")


def test_published_constants_are_of_three_channels():
    with pytest.raises(ValueError, match="Received: an image of 4 channels"):
        resnet((64, 64, 4), 18, include_preprocessing=True)


def test_published_weights_read_blue_first_unless_they_are_turned(tmp_path):
    twin = apps.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    publish(twin, tmp_path / "vgg.h5")
    kernel = np.array(twin.get_layer("block1_conv1").kernel)
    for has, expected in ((False, kernel), (True, kernel[:, :, ::-1])):
        model = vgg((32, 32, 3), 16, weights=tmp_path / "vgg.h5", include_preprocessing=has)
        np.testing.assert_array_equal(model.get_layer("stage0_block0").conv.kernel, expected)
