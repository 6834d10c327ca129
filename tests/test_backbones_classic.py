"""Networks of the years before mobile ones: what has no twin, what is deep, what is refused."""

import keras
import numpy as np
import pytest

import heads
from backbones import alexnet, densenet, inception, lenet, pyramid, resnet, resnet_v2, vgg
from benchmarks.networks import NETWORKS
from benchmarks.networks.network import Facts, facts, publish
from tests.slow import slow, some_slow

SMALL = {
    "alexnet": lambda shape=(64, 64, 3), **kw: alexnet(shape, dense_layers=False, **kw),
    "densenet": lambda shape=(32, 32, 3), **kw: densenet(shape, growth_rate=4, **kw),
    "inception": lambda shape=(75, 75, 3), **kw: inception(shape, **kw),
    "lenet": lambda shape=(32, 32, 1), **kw: lenet(shape, **kw),
    "resnet8": lambda shape=(32, 32, 3), **kw: resnet(shape, 8, **kw),
    "resnet20": lambda shape=(32, 32, 3), **kw: resnet(shape, 20, **kw),
    "resnet_v2": lambda shape=(32, 32, 3), **kw: resnet_v2(shape, **kw),
    "vgg": lambda shape=(32, 32, 3), **kw: vgg(shape, 11, **kw),
}


@pytest.fixture(autouse=True)
def forget():
    yield
    keras.backend.clear_session()


@pytest.mark.parametrize("name", some_slow(SMALL, "densenet", "inception"))
def test_levels_are_those_that_a_search_finds(name):
    model = SMALL[name]()
    found = pyramid(model, list(model.output))
    assert list(model.output) == sorted(model.output)
    for level, x in model.output.items():
        assert found.output[level]._keras_history == x._keras_history, level


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("LeNet-5", 28**2 * 150 + 10**2 * 2400 + 48_000 + 84 * 130),
        ("ResNet-8", 12_501_632),
        ("ResNet-20 for small images", 40_551_040),
        ("ResNet-56 for small images", 125_485_696),
        ("ResNet-110 for small images", 252_887_680),
    ],
)
def test_parameters_and_multiply_adds_of_networks_without_a_twin(name, macs):
    """Sources that say 40.8 M and 127 M for 20 and 56 count additions of biases or norms, too."""
    (network,) = [each for each in NETWORKS if each.name == name]
    found = facts(network.whole())
    assert (found.trained if network.trained else found.params) == network.paper_params
    assert found.macs == macs
    assert network.paper_macs is None or abs(macs / network.paper_macs - 1) < 0.02


def test_alexnet_is_the_papers():
    """Five convolutions, in groups of two where the paper has two processors, two dense layers."""
    model = alexnet()
    found = facts(model)
    assert is_rectified(model.get_layer("dense1"))
    assert found.params + 4096 * 1000 + 1000 == 60_965_224
    convolutions = (
        55**2 * 96 * 11**2 * 3
        + 27**2 * 256 * 5**2 * 48
        + 13**2 * 3**2 * (384 * 256 + 384 * 192 + 256 * 192)
    )
    assert found.macs == convolutions + 6**2 * 256 * 4096 + 4096**2
    assert [x.shape[1] for x in alexnet((227, 227, 3)).output.values()] == [55, 27, 13, 1]


def is_rectified(layer):
    return np.min(layer(np.random.default_rng(0).normal(size=(1, 1, 1, 4096)))) == 0


# Without the classifier, as keras.applications counts them: all parameters, those that train.
DEEP = {
    "vgg 19": (lambda: vgg((32, 32, 3), 19), 20_024_384, 20_024_384),
    "resnet 152": (lambda: resnet((32, 32, 3), 152), 58_370_944, 58_219_520),
    "resnet_v2 152": (lambda: resnet_v2((32, 32, 3), 152), 58_331_648, 58_187_904),
    "densenet 169": (lambda: densenet((32, 32, 3), 169), 12_642_880, 12_484_480),
}


@slow
@pytest.mark.parametrize("name", DEEP)
def test_deep_networks_have_the_parameters_of_keras_applications(name):
    make, params, trained = DEEP[name]
    found = facts(make())
    assert (found.params, found.trained) == (params, trained)


def test_vgg_with_its_dense_layers_is_the_papers():
    """133, 133, 138 and 144 million parameters with the classifier: table 2."""
    convolutions = {11: 9_220_480, 13: 9_404_992}
    for depth, params in convolutions.items():
        assert vgg((32, 32, 3), depth).count_params() == params
    model = vgg((224, 224, 3), 11, dense_layers=True)
    dense = 49 * 512 * 4096 + 4096 + 4096**2 + 4096
    assert model.count_params() == convolutions[11] + dense
    assert model.output["P5"].shape[1:] == (1, 1, 4096)
    assert is_rectified(model.get_layer("dense1"))


def test_shortcuts_of_the_papers_small_networks_have_no_weights():
    model = resnet((32, 32, 3), 20)
    assert not [w.path for w in model.weights if "shortcut" in w.path]
    tiny = [w.path for w in resnet((32, 32, 3), 8).weights if "shortcut" in w.path]
    assert [path.split("/")[-1] for path in tiny] == ["kernel", "bias"] * 2


@pytest.mark.parametrize("name", some_slow(SMALL, "densenet", "inception"))
def test_sides_may_be_open_and_channels_any(name):
    model = SMALL[name]((None, None, 2))
    outputs = model(np.zeros((1, 96, 107, 2), "float32"))
    deepest = list(outputs)[-1]
    assert outputs[deepest].shape[-1] == SMALL[name]().output[deepest].shape[-1]


def test_growth_rate_is_the_papers_k():
    model = densenet((32, 32, 3), growth_rate=12)
    assert model.output["P1"].shape[-1] == 24
    assert model.output["P2"].shape[-1] == 24 + 6 * 12


LEAST = {
    "alexnet": (64, lambda n: alexnet((n, 64, 3), dense_layers=False)),
    "alexnet with dense layers": (224, lambda n: alexnet((224, n, 3))),
    "densenet": (32, lambda n: densenet((n, 32, 3), growth_rate=4)),
    "inception": (75, lambda n: inception((n, 75, 3))),
    "lenet": (32, lambda n: lenet((n, 32, 1))),
    "resnet of small images": (4, lambda n: resnet((n, 4, 3), 8)),
    "resnet_v2": (32, lambda n: resnet_v2((32, n, 3))),
    "vgg": (32, lambda n: vgg((n, 32, 3), 11)),
    "vgg with dense layers": (224, lambda n: vgg((n, 224, 3), 11, dense_layers=True)),
}


@pytest.mark.parametrize("name", LEAST)
def test_smaller_images_are_refused(name):
    least, make = LEAST[name]
    with pytest.raises(ValueError, match=rf"at least {least}\D(?s:.*)Received: input_shape="):
        make(least - 1)
    if "dense layers" not in name:
        *_, deepest = make(least).output.values()
        assert 1 in deepest.shape[1:3]


@pytest.mark.parametrize(
    "make",
    [
        lambda: resnet(depth=14),
        lambda: resnet_v2(depth=18),
        lambda: vgg(depth=12),
        lambda: densenet(depth=161),
        lambda: densenet(growth_rate=0),
        lambda: lenet(activation="nonsense"),
        lambda: lenet(include_preprocessing=True),
        lambda: resnet((32, 32, 3), 8, include_preprocessing=True),
        lambda: vgg((64, 64, 1), weights="imagenet"),
        lambda: vgg(dense_layers=True, weights="imagenet"),
        lambda: densenet(growth_rate=12, weights="imagenet"),
        lambda: alexnet(weights="imagenet"),
        lambda: resnet((32, 32, 3), 20, weights="imagenet"),
    ],
)
def test_wrong_arguments_say_what_was_received(make):
    with pytest.raises(ValueError, match="Received: "):
        make()


def test_files_of_other_networks_are_refused(tmp_path):
    resnet((32, 32, 3), 8).save(tmp_path / "tiny.keras")
    resnet((32, 32, 3), 8).save_weights(tmp_path / "tiny.weights.h5")
    for path in (tmp_path / "tiny.keras", tmp_path / "tiny.weights.h5"):
        for make in (
            lambda path: resnet((32, 32, 1), 8, weights=path),  # other channels
            lambda path: resnet((32, 32, 3), 20, weights=path),
            lambda path: lenet((32, 32, 3), weights=path),
        ):
            with pytest.raises(ValueError, match="Received: "):
                make(path)
    twin = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    publish(twin, tmp_path / "vgg.h5")
    with pytest.raises(ValueError, match="Received: "):
        vgg((32, 32, 3), 19, weights=tmp_path / "vgg.h5")


def test_a_classifier_gives_its_weights_to_another_size(tmp_path):
    model = heads.attach(resnet((32, 32, 3), 20), heads.ClassificationHead(10))
    assert facts(model) == Facts(271_098, 269_722, 40_551_040)
    model.save(tmp_path / "mine.keras")
    again = resnet((64, 48, 3), 20, weights=tmp_path / "mine.keras")
    for ours, theirs in zip(again.weights, model.weights):
        np.testing.assert_array_equal(ours, theirs)


def test_poolings_of_the_papers():
    """Shapes, parameters and multiply-adds would be the same with others."""
    x = np.arange(16.0, dtype="float32").reshape(1, 4, 4, 1)
    pooled = np.array(lenet().get_layer("s1")(x))
    np.testing.assert_array_equal(pooled[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]])
    x = np.zeros((1, 5, 5, 1), "float32")
    x[0, 2, 2] = 1
    overlapping = alexnet((64, 64, 3), dense_layers=False).get_layer("pool0")
    np.testing.assert_array_equal(overlapping(x), np.ones((1, 2, 2, 1)))


@pytest.mark.parametrize("depth", [18, 20])
def test_norms_of_every_depth_have_the_published_epsilon(depth):
    norms = [
        layer
        for layer in resnet((32, 32, 3), depth)._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {norm.epsilon for norm in norms} == {1.001e-5}
