"""MobileFaceNet against table 1 of its paper, counted by hand."""

import keras
import numpy as np
import pytest

import blocks
import export
import heads
from backbones import mobilefacenet

# Rows of the table: kind, filters, kernel or expansion, repeats, stride.
TABLE = [
    ("conv", 64, 3, 1, 2),
    ("depthwise", 64, 3, 1, 1),
    ("bottleneck", 64, 2, 5, 2),
    ("bottleneck", 128, 4, 1, 2),
    ("bottleneck", 128, 2, 6, 1),
    ("bottleneck", 128, 4, 1, 2),
    ("bottleneck", 128, 2, 2, 1),
    ("conv", 512, 1, 1, 1),
]


def by_hand(height, width, embedding=128):
    """Return kernels, channels behind a convolution, PReLU's slopes and multiply-adds."""
    kernels = channels = slopes = macs = 0
    inputs = 3

    def convolution(weights, filters, has_slopes=True):
        nonlocal kernels, channels, slopes, macs
        kernels += weights
        channels += filters
        slopes += filters * has_slopes
        macs += weights * height * width

    def halve(strides):
        nonlocal height, width
        height, width = -(-height // strides), -(-width // strides)

    for kind, filters, size, repeats, strides in TABLE:
        for i in range(repeats):
            step = strides if i == 0 else 1
            if kind == "bottleneck":
                inner = size * inputs
                convolution(inputs * inner, inner)
                halve(step)
                convolution(9 * inner, inner)
                convolution(inner * filters, filters, False)
            else:
                halve(step)
                per_input = 1 if kind == "depthwise" else inputs
                convolution(size * size * per_input * filters, filters)
            inputs = filters
    area, height, width = height * width, 1, 1
    convolution(area * 512, 512, False)
    convolution(512 * embedding, embedding, False)
    return kernels, channels, slopes, macs


def whole(shape, **options):
    head = heads.MarginHead(1000, 128, pool="depthwise")
    return heads.deploy(heads.attach(mobilefacenet(shape, **options), head))


def test_the_table_says_what_the_abstract_says():
    kernels, channels, slopes, macs = by_hand(112, 112)
    assert kernels == 976_000 and macs == 220_965_376  # "221 million multiply-adds"
    assert kernels + channels + slopes == 993_344  # "0.99 million parameters", norms folded


@pytest.mark.parametrize("sides", [(112, 112), (112, 96), (64, 64), (32, 32)])
def test_with_its_head_it_is_the_network_of_the_paper(sides):
    kernels, channels, slopes, macs = by_hand(*sides)
    found = export.measure(whole((*sides, 3)))
    assert found.macs == macs
    assert found.trainable_params == kernels + 2 * channels + slopes


def test_levels_width_activation_and_open_sides():
    levels = mobilefacenet((112, 112, 3)).output
    assert {key: tuple(x.shape[1:]) for key, x in levels.items()} == {
        "P1": (56, 56, 64),
        "P2": (28, 28, 64),
        "P3": (14, 14, 128),
        "P4": (7, 7, 512),
    }
    half = mobilefacenet((None, None, 1), alpha=0.5, activation="relu")
    assert half(np.zeros((1, 48, 33, 1)))["P4"].shape == (1, 3, 3, 256)
    assert not any("alpha" in w.path for w in half.weights)
    slopes = [w for w in mobilefacenet((32, 32, 3)).weights if w.path.endswith("alpha")]
    assert sum(int(np.prod(w.shape)) for w in slopes) == 7552
    with pytest.raises(ValueError, match="sides are known. Received: "):
        heads.attach(half, heads.MarginHead(5, pool="depthwise"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: mobilefacenet((15, 112, 3)),
        lambda: mobilefacenet((112, 112)),
        lambda: mobilefacenet(alpha=0),
        lambda: mobilefacenet(activation="nonsense"),
        lambda: mobilefacenet(weights="imagenet"),
    ],
)
def test_wrong_arguments_say_what_was_received(make):
    with pytest.raises(ValueError, match="Received: "):
        make()


def test_pixels_and_weights_of_a_file(tmp_path):
    plain = mobilefacenet((32, 32, 3), alpha=0.25)
    own = mobilefacenet((32, 32, 3), alpha=0.25, include_preprocessing=True)
    own.set_weights(plain.get_weights())
    x = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    expected = plain.predict((x - 127.5) / 128, verbose=0)["P4"]
    np.testing.assert_allclose(own.predict(x, verbose=0)["P4"], expected, rtol=1e-3, atol=1e-5)
    own.save(tmp_path / "faces.keras")
    again = mobilefacenet((32, 32, 3), alpha=0.25, weights=tmp_path / "faces.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0)["P4"], expected, rtol=1e-3, atol=1e-5)


def test_prelu_learns_a_slope_for_each_channel():
    layer = blocks.ConvNormAct(3, activation="prelu", norm="none")
    layer.build((None, None, None, 2))
    assert [w.shape for w in layer.act.weights] == [(1, 1, 3)]
    assert (keras.ops.convert_to_numpy(layer.act.alpha) == 0.25).all()
    layer.act.alpha.assign(np.array([0.1, -0.5, 2.0]).reshape(1, 1, 3))
    x = np.random.default_rng(1).normal(size=(2, 4, 5, 2)).astype("float32")
    y = keras.ops.convert_to_numpy(layer.conv(x))
    expected = np.where(y > 0, y, y * [0.1, -0.5, 2.0])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), expected, rtol=1e-5)
