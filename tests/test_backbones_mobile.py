"""Networks for phones and scaled ones: papers' figures, sizes, what is refused."""

import doctest
import functools
import importlib
import inspect

import keras
import numpy as np
import pytest

import backbones
from backbones import (
    convnext,
    efficientnet,
    efficientnet_v2,
    mobilenet,
    mobilenet_v3,
    mobilenet_v4,
    pyramid,
)
from benchmarks.networks import NETWORKS
from benchmarks.networks.network import facts
from blocks.channels import round_channels

FAMILIES = {
    "mobilenet": (mobilenet, {"alpha": 0.25}),
    "mobilenet_v3": (mobilenet_v3, {"size": "small", "alpha": 0.35, "minimalistic": True}),
    "mobilenet_v4": (mobilenet_v4, {"alpha": 0.25}),
    "efficientnet": (efficientnet, {"variant": "lite0"}),
    "efficientnet_v2": (efficientnet_v2, {"activation": "relu6", "squeeze": False}),
    "convnext": (convnext, {"size": "atto", "version": 2, "drop_path": 0.11}),
}
RECTIFIER = {"mobilenet_v3": "relu", "mobilenet_v4": "relu"}
every_family = pytest.mark.parametrize("family", FAMILIES)


# Without a twin: trained parameters with the paper's classifier, as timm's networks have them,
# and multiply-adds of convolutions and dense layers. The authors of Lite count 899 M: what
# beside these products is in it, they do not say.
@pytest.mark.parametrize(
    ("name", "trained", "macs"),
    [
        ("MobileNetV4-Conv-Small", 3_774_024, 186_005_568),
        ("EfficientNet-Lite2", 6_092_072, 859_736_272),
        ("ConvNeXtV2-Atto", 3_708_400, 547_332_480),
    ],
)
def test_networks_without_a_twin_have_the_figures_of_the_paper(name, trained, macs):
    (network,) = [each for each in NETWORKS if each.name == name]
    found = facts(network.whole())
    assert (found.trained, found.macs) == (trained, macs)
    assert found.trained == pytest.approx(network.paper_params, rel=0.02)
    assert found.macs == pytest.approx(network.paper_macs, rel=0.06)


@every_family
def test_the_example_of_the_docstring(family):
    function = getattr(backbones, family)
    (example,) = doctest.DocTestFinder(recurse=False).find(
        function, family, globs={family: function}
    )
    assert doctest.DocTestRunner().run(example).failed == 0
    arguments = inspect.signature(function).parameters
    assert [*arguments][-3:] == ["weights", "include_preprocessing", "name"]
    for argument in arguments:
        assert f"\n    {argument}: " in inspect.getdoc(function)


@functools.cache
def built(family):
    make, args = FAMILIES[family]
    return make((75, 64, 2), **args)


@every_family
def test_sides_may_be_open_and_channels_any(family):
    make, args = FAMILIES[family]
    fixed, model = built(family), make((None, None, 2), **args)
    assert model.name.startswith(family)
    assert {x.shape[1:3] for x in model.output.values()} == {(None, None)}
    model.set_weights(fixed.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 75, 64, 2)).astype("float32")
    expected, actual = fixed(x), model(x)
    assert [*actual] == [*expected]
    for level in expected:
        np.testing.assert_allclose(actual[level], expected[level], rtol=1e-4, atol=1e-5)
    down = 2 if family in ("mobilenet", "convnext") else 3  # as published, of 75
    assert actual["P5"].shape[1:3] == (down, 2)


@every_family
def test_a_level_ends_with_the_last_block_of_its_stage(family):
    model = built(family)
    for level, x in pyramid(model, list(model.output)).output.items():
        assert x._keras_history == model.output[level]._keras_history, level


@every_family
def test_variants_for_integer_hardware_hold_nothing_that_quantizes_badly(family):
    leaves = [x for x in built(family)._flatten_layers() if isinstance(x, keras.layers.Activation)]
    found = {leaf.get_config()["activation"] for leaf in leaves}
    assert found == ({"gelu"} if family == "convnext" else {RECTIFIER.get(family, "relu6")})


@pytest.mark.parametrize(
    ("family", "rates"),
    [
        ("convnext", np.arange(12) / 100),
        ("efficientnet", 0.2 * np.arange(16) / 16),
        ("efficientnet_v2", 0.2 * np.arange(21) / 21),
    ],
)
def test_paths_are_dropped_more_often_the_deeper(family, rates):
    blocks = [layer for layer in built(family).layers if hasattr(layer, "drop_path")]
    np.testing.assert_allclose([block.drop_path.rate for block in blocks], rates)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: mobilenet((31, 64, 3)), r"\(31, 64, 3\)"),
        (lambda: mobilenet_v3((64, 31, 3)), r"\(64, 31, 3\)"),
        (lambda: mobilenet_v4((16, 16, 3)), "at least 32 x 32"),
        (lambda: efficientnet((16, 16, 3)), "at least 32 x 32"),
        (lambda: efficientnet_v2((16, 16, 3)), "at least 32 x 32"),
        (lambda: convnext((16, 16, 3)), "at least 32 x 32"),
        (lambda: mobilenet((64, 64, 3), alpha=0.01), "alpha=0.01"),
        (lambda: mobilenet_v3((64, 64, 3), alpha=0), "alpha=0"),
        (lambda: mobilenet_v4((64, 64, 3), alpha=-1), "alpha=-1"),
        (lambda: mobilenet_v3((64, 64, 3), "medium"), "'large', 'small'.*'medium'"),
        (lambda: mobilenet_v4((64, 64, 3), "small"), "conv_small.*'small'"),
        (lambda: efficientnet((64, 64, 3), "b8"), "b7, lite0.*'b8'"),
        (lambda: efficientnet_v2((64, 64, 3), "xl"), "b3, s, m.*'xl'"),
        (lambda: convnext((64, 64, 3), "atto"), "in version 1.*'atto'"),
        (lambda: convnext((64, 64, 3), version=3), "version=3"),
        (lambda: mobilenet_v4((64, 64, 3), weights="imagenet"), "no weights of this network"),
        (lambda: efficientnet((64, 64, 3), "lite0", weights="imagenet"), "no weights of this"),
        (lambda: convnext((64, 64, 3), "nano", version=2, weights="imagenet"), "no weights of"),
        (lambda: mobilenet_v3((64, 64, 1), weights="imagenet"), "3 channels"),
        (lambda: convnext((64, 64, 4), include_preprocessing=True), "3 channels"),
        (lambda: efficientnet((64, 64, 3), drop_path=1.5), "Received"),
    ],
)
def test_wrong_arguments_say_what_was_received(make, says):
    with pytest.raises(ValueError, match=f"(?s){says}") as caught:
        make()
    assert "Received: " in str(caught.value)


def test_widths_and_depths_of_larger_variants():
    """Their rules of rounding, without building what is large."""
    v1 = importlib.import_module("backbones.efficientnet")
    v2 = importlib.import_module("backbones.efficientnet_v2")
    b5 = [round_channels(row[2] * v1.VARIANTS["b5"][0]) for row in v1.STAGES]
    assert b5 == [24, 40, 64, 128, 176, 304, 512]
    b3 = [v2._rounded(row[1] * v2.VARIANTS["b3"][2]) for row in v2.BASE]
    assert b3 == [16, 40, 56, 112, 136, 232]  # 16 * 1.2 is not 24, as it is in the first version
