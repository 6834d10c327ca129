"""Published weights that do not lie as ours do: shapes, names, what is behind preprocessing."""

import functools
import importlib

import keras
import numpy as np
import pytest

from backbones import convnext, efficientnet
from benchmarks.networks import NETWORKS
from benchmarks.networks.network import images, publish

SHAPE = (64, 64, 3)


def last(model, x):
    return keras.ops.convert_to_numpy(model(x)["P5"])


STAGES = ((3, 1, 8, 1, 1), (3, 1, 8, 6, 2), (5, 2, 16, 6, 2), (3, 1, 16, 6, 2), (5, 1, 24, 6, 2))
NAMES = ("kernel_size", "repeats", "filters_out", "expand_ratio", "strides")


@pytest.fixture(scope="module")
def efficientnet_file(tmp_path_factory):
    """A file as published, with numbers of its own, of a network with fewer blocks; its twin."""
    ours = importlib.import_module("backbones.efficientnet")
    theirs = keras.src.applications.efficientnet
    rows = [dict(zip(NAMES, row), se_ratio=0.25, id_skip=True) for row in STAGES]
    before = 32
    for row in rows:
        row["filters_in"], before = before, row["filters_out"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours, "STAGES", STAGES)
        patch.setattr(theirs, "DEFAULT_BLOCKS_ARGS", rows)
        (network,) = [each for each in NETWORKS if each.name == "EfficientNet-B0"]
        path = tmp_path_factory.mktemp("published") / "efficientnetb0_notop.h5"
        twin = network.theirs(SHAPE[0])
        publish(twin, path)
        yield twin, path


def test_efficientnet_without_preprocessing_takes_standardized_pixels(efficientnet_file):
    twin, path = efficientnet_file
    mean, variance, _ = next(
        layer for layer in twin.layers if isinstance(layer, keras.layers.Normalization)
    ).get_weights()
    x = images(SHAPE[0])
    deviation = np.sqrt(variance * (0.229, 0.224, 0.225))
    bare = efficientnet(SHAPE, weights=path, include_preprocessing=False)
    expected = last(efficientnet(SHAPE, weights=path), x)
    actual = last(bare, (x / 255 - mean) / deviation)
    assert twin.count_params() - bare.count_params() == 7
    np.testing.assert_allclose(actual, expected, atol=1e-4 * expected.max())


def test_a_saved_efficientnet_keeps_the_numbers_of_its_preprocessing(efficientnet_file, tmp_path):
    model = efficientnet(SHAPE, weights=efficientnet_file[1])
    model.save(tmp_path / "mine.keras")
    again = efficientnet(SHAPE, weights=tmp_path / "mine.keras")
    np.testing.assert_array_equal(last(again, images(SHAPE[0])), last(model, images(SHAPE[0])))


def test_another_variants_file_is_refused(efficientnet_file):
    with pytest.raises(ValueError, match="Received: .*efficientnetb0_notop"):
        efficientnet(SHAPE, "b1", weights=efficientnet_file[1])
    with pytest.raises(ValueError, match="no weights of this network.*Received: "):
        efficientnet(SHAPE, "lite0", weights=efficientnet_file[1])


@pytest.fixture
def small_convnext(monkeypatch):
    """ConvNeXt-Tiny shrunk, ours and the twin: the published one has 28 million weights."""
    module = importlib.import_module("backbones.convnext")
    small = ([1, 1, 2, 1], [8, 16, 24, 32])
    monkeypatch.setitem(module.SIZES[1], "tiny", small)
    twin = functools.partial(
        keras.src.applications.convnext.ConvNeXt,
        depths=small[0],
        projection_dims=small[1],
        name="convnext_tiny",
        weights_name="convnext_tiny",
    )
    monkeypatch.setattr(keras.applications, "ConvNeXtTiny", twin)
    return twin


def test_convnext_with_its_classifier_gives_its_last_norm(small_convnext, tmp_path):
    """Without a classifier Keras calls that layer otherwise, by a number."""
    twin = small_convnext(weights=None, input_shape=SHAPE, include_top=True)
    rng = np.random.default_rng(0)
    for w in twin.weights:
        w.assign(w + 0.1 * rng.normal(size=w.shape))
    publish(twin, tmp_path / "with_top.h5")
    model = convnext(SHAPE, weights=tmp_path / "with_top.h5")
    norm = twin.get_layer("convnext_tiny_head_layernorm")
    for ours, theirs in zip(model.get_layer("last").get_weights(), norm.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_kernels_of_other_sizes_are_refused(small_convnext, tmp_path, monkeypatch):
    """Only axes of one may lie elsewhere."""
    publish(
        small_convnext(weights=None, input_shape=SHAPE, include_top=False), tmp_path / "file.h5"
    )
    convnext(SHAPE, weights=tmp_path / "file.h5")
    module = importlib.import_module("backbones.convnext")
    monkeypatch.setitem(module.SIZES[1], "tiny", ([1, 1, 2, 1], [8, 16, 24, 40]))
    with pytest.raises(ValueError, match=r"takes weights of shapes .*40.*Received: .*32"):
        convnext(SHAPE, weights=tmp_path / "file.h5")
    monkeypatch.setitem(module.SIZES[1], "tiny", ([1, 1, 1, 1], [8, 16, 24, 32]))
    with pytest.raises(ValueError, match="no layers for .*stage_2_block_1"):
        convnext(SHAPE, weights=tmp_path / "file.h5")
