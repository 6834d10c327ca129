"""ViT: the paper's figures, KerasHub's numbers, its heads, sizes, and what is refused."""

import doctest
import inspect

import keras
import numpy as np
import pytest

import heads
from backbones import vit
from backbones.leaves import leaves_of
from benchmarks.networks import NETWORKS
from benchmarks.networks.network import facts
from tests.slow import some_slow


def tiny(input_shape=(32, 48, 3), **args):
    return vit(input_shape, "tiny", **args)


def pixels(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


def shaken(model):
    """Move every weight from its start; positions and tokens start small or at nothing."""
    rng = np.random.default_rng(1)
    for w in model.weights:
        w.assign(w + 0.05 * rng.normal(size=w.shape))
    return model


def multiply_adds(width, depth=12, tokens=197, patch=16 * 16 * 3, classes=1000):
    """Return those of the projections, the dense layers and both products of attention."""
    block = 12 * width**2 * tokens + 2 * tokens**2 * width
    return patch * width * (tokens - 1) + depth * block + width * classes


@pytest.mark.parametrize(
    ("name", "width", "params"),
    [
        ("ViT-Ti/16", 192, 5_717_416),
        ("ViT-S/16", 384, 22_050_664),
        ("ViT-B/16", 768, 86_567_656),
    ],
)
def test_parameters_and_multiply_adds_of_the_paper(name, width, params):
    (network,) = [each for each in NETWORKS if each.name == name]
    found = facts(network.whole())
    assert (found.params, found.trained) == (params, params)
    assert found.macs == multiply_adds(width)
    assert found.params == network.paper_params
    assert found.macs == pytest.approx(network.paper_macs, rel=0.006)  # it rounds


def copy_from_hub(model, hub):
    """Copy the weights of KerasHub's ViT, whose heads have axes of their own."""
    embedding = hub.get_layer("vit_patching_and_embedding")
    encoder = hub.get_layer("vit_encoder")
    model.get_layer("patches").project.set_weights(embedding.patch_embedding.get_weights())
    positions = model.get_layer("positions")
    positions.positions.assign(embedding.position_embedding.embeddings)
    if positions.class_token:
        positions.token.assign(embedding.class_token[0])
    for i, theirs in enumerate(encoder.encoder_layers):
        ours = model.get_layer(f"block{i}")
        channels = ours.norm1.gamma.shape[0]
        query, key, value, output = (
            [np.array(w) for w in getattr(theirs.mha, f"{part}_dense").get_weights()]
            for part in ("query", "key", "value", "output")
        )
        read = (query, key, value)
        ours.attention.project.set_weights(
            [
                np.concatenate([kernel.reshape(channels, channels) for kernel, _ in read], -1),
                np.concatenate([bias.reshape(channels) for _, bias in read]),
            ]
        )
        ours.attention.output_projection.set_weights(
            [output[0].reshape(channels, channels), output[1]]
        )
        for ours_part, theirs_part in (
            (ours.norm1, theirs.layer_norm_1),
            (ours.norm2, theirs.layer_norm_2),
            (ours.widen, theirs.mlp.dense_1),
            (ours.narrow, theirs.mlp.dense_2),
        ):
            ours_part.set_weights(theirs_part.get_weights())
    model.get_layer("norm").set_weights(encoder.layer_norm.get_weights())


@pytest.mark.parametrize("class_token", [True, False])
def test_equals_the_network_of_keras_hub(class_token):
    hub = pytest.importorskip(
        "keras_hub", reason="compares with KerasHub's ViT: pip install keras-hub"
    ).models
    theirs = hub.ViTBackbone((32, 48, 3), 16, 12, 3, 192, 768, use_class_token=class_token)
    ours = tiny(class_token=class_token)
    shaken(theirs)
    assert ours.count_params() == theirs.count_params()
    copy_from_hub(ours, theirs)
    x = pixels(2, 32, 48, 3)
    expected = theirs.predict(x, verbose=0)
    actual = ours.predict(x, verbose=0)["tokens"]
    assert actual.shape == expected.shape == (2, 6 + class_token, 192)
    np.testing.assert_allclose(actual, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("class_token", some_slow([True, False], False))
def test_a_head_reads_the_class_token_or_the_mean(class_token):
    backbone, head = shaken(tiny(class_token=class_token)), heads.ClassificationHead(10)
    model = heads.attach(backbone, head)
    x = pixels(2, 32, 48, 3)
    tokens = backbone.predict(x, verbose=0)["tokens"]
    read = tokens[:, 0] if class_token else tokens.mean(1)
    kernel, bias = head.logits.get_weights()
    np.testing.assert_allclose(
        model.predict(x, verbose=0), read @ kernel + bias, rtol=1e-3, atol=1e-3
    )
    model.compile("sgd", loss=head.loss(), metrics=head.metrics())
    model.fit(x, np.array([3, 7]), verbose=0)


@pytest.mark.parametrize("class_token", some_slow([True, False], True))
def test_one_network_serves_every_size(class_token):
    fixed = shaken(tiny((32, 48, 3), class_token=class_token, pyramid=True))
    free = tiny((None, None, 3), class_token=class_token, pyramid=True, position_size=(32, 48))
    free.set_weights(fixed.get_weights())
    x = pixels(1, 32, 48, 3)
    expected, actual = fixed.predict(x, verbose=0), free.predict(x, verbose=0)
    assert [*actual] == [*expected]
    for key in expected:
        np.testing.assert_allclose(actual[key], expected[key], rtol=1e-3, atol=1e-3)
    larger = free.predict(pixels(1, 70, 64, 3), verbose=0)  # 70 is padded to 80
    assert larger["tokens"].shape == (1, 20 + class_token, 192)
    assert {k: y.shape[1:3] for k, y in larger.items() if k[0] == "P"} == {
        "P2": (20, 16),
        "P3": (10, 8),
        "P4": (5, 4),
        "P5": (3, 2),
    }


def test_sizes_that_patches_do_not_divide_are_padded_with_zeros():
    model = tiny((30, 33, 3), position_size=(32, 48))
    whole = shaken(tiny((32, 48, 3)))
    model.set_weights(whole.get_weights())
    x = pixels(1, 30, 33, 3)
    padded = np.pad(x, [(0, 0), (1, 1), (7, 8), (0, 0)])
    np.testing.assert_allclose(
        model.predict(x, verbose=0)["tokens"],
        whole.predict(padded, verbose=0)["tokens"],
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("patch_size", "levels"), [(16, "P2 P3 P4 P5"), (8, "P1 P2 P3 P4"), (4, "P0 P1 P2 P3")]
)
def test_levels_of_the_pyramid_have_their_strides(patch_size, levels):
    model = vit((64, 32, 1), "tiny", patch_size, pyramid=True)
    maps = {key: x for key, x in model.output.items() if key[0] == "P"}
    assert [*maps] == levels.split()
    for level, x in maps.items():
        stride = 2 ** int(level[1:])
        assert x.shape[1:] == (64 // stride, 32 // stride, 256)


def test_the_pyramid_is_made_of_patches_where_they_lie():
    """A patch of the image moves its own place of the map most: the fold keeps the order."""
    model = vit((64, 96, 3), "tiny", pyramid=True)
    for layer in model.layers:
        if layer.name.startswith("block"):  # branches of transformers would mix the places
            layer.attention.output_projection.kernel.assign(np.zeros((192, 192)))
    fold = keras.Model(model.input, model.get_layer("fold").output)
    x = pixels(1, 64, 96, 3)
    y = x.copy()
    y[:, 16:32, 64:80] += 1
    changed = np.abs(fold.predict(y, verbose=0) - fold.predict(x, verbose=0)).max((0, 3)) > 1e-6
    assert [*zip(*np.nonzero(changed))] == [(1, 4)]


def test_weights_of_other_sizes_are_read_with_their_positions(tmp_path):
    model = shaken(tiny((32, 48, 3)))
    model.save(tmp_path / "vit.keras")
    again = tiny((64, 64, 3), position_size=(32, 48), weights=tmp_path / "vit.keras")
    for (path, ours), (_, theirs) in zip(leaves_of(again), leaves_of(model)):
        for a, b in zip(ours.get_weights(), theirs.get_weights()):
            np.testing.assert_array_equal(a, b, err_msg=path)
    with pytest.raises(ValueError, match="Received: .*vit.keras"):
        tiny((64, 64, 3), weights=tmp_path / "vit.keras")


def test_preprocessing_brings_pixels_to_one():
    plain, with_pixels = tiny(), tiny(include_preprocessing=True)
    with_pixels.set_weights(plain.get_weights())
    x = pixels(1, 32, 48, 3)
    np.testing.assert_allclose(
        with_pixels.predict(127.5 * (x + 1), verbose=0)["tokens"],
        plain.predict(x, verbose=0)["tokens"],
        rtol=1e-3,
        atol=1e-3,
    )


def test_paths_are_dropped_more_often_the_deeper():
    model = tiny(drop_path=0.22)
    rates = [model.get_layer(f"block{i}").drop_path1.rate for i in range(12)]
    np.testing.assert_allclose(rates, 0.02 * np.arange(12))


def test_the_example_of_the_docstring():
    (example,) = doctest.DocTestFinder(recurse=False).find(vit, "vit", globs={"vit": vit})
    assert doctest.DocTestRunner().run(example).failed == 0
    arguments = inspect.signature(vit).parameters
    assert [*arguments][-3:] == ["weights", "include_preprocessing", "name"]
    for argument in arguments:
        assert f"\n    {argument}: " in inspect.getdoc(vit)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"input_shape": (15, 64, 3)}, "at least 16 x 16"),
        ({"input_shape": (64, 64)}, "Received"),
        ({"size": "huge"}, "'huge'"),
        ({"patch_size": 0}, "patch_size=0"),
        ({"patch_size": 14, "pyramid": True}, "patch_size=14"),
        ({"position_size": (32,)}, r"position_size=\(32,\)"),
        ({"position_size": 0}, "position_size=0"),
        ({"drop_path": 1.0}, "drop_path=1.0"),
        ({"weights": "imagenet"}, "no weights of this network.*Give weights=None"),
        ({"weights": "none.keras"}, "there is none"),
    ],
)
def test_what_is_refused(args, says):
    with pytest.raises(ValueError, match=says) as error:
        vit(**{"input_shape": (32, 32, 3), "size": "tiny", **args})
    assert "Received: " in str(error.value)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="files are written from the TensorFlow backend: run with KERAS_BACKEND=tensorflow",
)
@pytest.mark.parametrize("precision", some_slow(["float32", "int8"], "float32"))
def test_the_file_of_a_classifier_at_another_size(precision, tmp_path):
    from export import to_tflite

    backbone = shaken(tiny((40, 48, 3), position_size=32))
    model = heads.deploy(heads.attach(backbone, heads.ClassificationHead(4)))
    x = pixels(64, 40, 48, 3)
    to_tflite(model, tmp_path / "vit.tflite", precision, calibration=x, inputs=x, measure=False)


def test_every_norm_has_the_papers_epsilon():
    norms = [
        layer
        for layer in vit((32, 32, 3), "tiny")._flatten_layers()
        if isinstance(layer, keras.layers.LayerNormalization)
    ]
    assert {norm.epsilon for norm in norms} == {1e-6}
