"""Strided 1x1 convolutions of few channels, whose gradient oneDNN gets wrong."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import blocks
import export
from blocks.strided import PointwiseConv2D

STORY = """
import keras, numpy as np, blocks
model = keras.Sequential([keras.Input((128, 128, 12)), blocks.ResidualBlock(24, strides=2)])
flat = blocks.flatten(model)
model.compile("sgd", "mse", jit_compile=False)
flat.compile("sgd", "mse", jit_compile=False)
for seed in range(3):
    x = np.random.default_rng(seed).normal(size=(8, 128, 128, 12))
    for each in (model, flat):
        print(each.train_on_batch(x, np.zeros((8, 64, 64, 24))))
if keras.backend.backend() == "tensorflow":  # as a map of what the network looks at does
    import tensorflow as tf
    for _ in range(3):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(x, training=False))
        tape.gradient(total, model.trainable_weights)
"""


def test_the_gradient_of_a_strided_shortcut_brings_nothing_down():
    done = subprocess.run(
        [sys.executable, "-c", STORY], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == 6


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize(
    ("rank", "strides", "args"),
    [(1, 2, {"padding": "causal"}), (2, 2, {"groups": 3}), (2, (2, 1), {}), (3, 3, {})],
)
def test_training_and_inference_read_the_same_positions(rank, strides, args, norm):
    x = np.random.default_rng(0).normal(size=(2, *(9, 8, 7)[:rank], 6)).astype("float32")
    keras.utils.set_random_seed(0)
    layer = blocks.ConvNormAct(12, 1, strides, rank=rank, norm=norm, **args)
    layer.build(x.shape)
    kept = x[(slice(None), *(slice(None, None, s) for s in np.broadcast_to(strides, rank)))]
    groups = args.get("groups", 1)
    kernel = keras.ops.convert_to_numpy(layer.conv.kernel).reshape(6 // groups, 12)
    pairs = zip(np.split(kept, groups, -1), np.split(kernel, groups, -1))
    expected = np.concatenate([part @ weights for part, weights in pairs], -1)
    if norm == "none":
        layer.conv.bias.assign(np.arange(12.0))
        expected += np.arange(12, dtype="float32")
    expected = layer.act(layer.norm(expected, training=True))
    y = layer(x, training=True)
    assert y.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(y), keras.ops.convert_to_numpy(expected), rtol=1e-4, atol=1e-5
    )


def test_few_channels_are_sliced_and_many_are_not(monkeypatch):
    seen = []
    monkeypatch.setattr(
        keras.layers.Conv2D, "convolution_op", lambda _, x, kernel: seen.append(x.shape[-1])
    )
    for channels in (3, 15, 16, 40):
        layer = PointwiseConv2D(8, 1, 2)
        layer.build((None, 8, 8, channels))
        layer.convolution_op(np.ones((1, 8, 8, channels), "float32"), layer.kernel)
    assert seen == [16, 40]
    for args in ({"kernel_size": 3}, {"strides": 1}, {"rank": 1}, {"rank": 3}):
        layer = blocks.ConvNormAct(8, **{"kernel_size": 1, "strides": 2, **args})
        assert not isinstance(layer.conv, PointwiseConv2D)


@pytest.mark.parametrize(
    ("kernel", "strides"), [((3, 1, 1), (1, 3, 3)), (2, 4), ((1, 3, 3), (3, 1, 1)), (3, 5)]
)
def test_strides_that_leave_out_two_positions_of_a_volume_are_refused(kernel, strides):
    with pytest.raises(ValueError, match="at most one more than its kernel"):
        blocks.ConvNormAct(4, kernel, strides, rank=3)
    valid = blocks.ConvNormAct(4, kernel, strides, rank=3, padding="valid")
    assert valid(np.ones((1, 9, 9, 9, 2))).shape[-1] == 4
    assert blocks.ConvNormAct(4, 1, 3, rank=3).conv.padding == "valid"
    assert blocks.ConvNormAct(4, 2, 3, rank=3).conv.padding == "same"


def test_a_graph_of_layers_and_a_file_have_the_convolution(tmp_path):
    image = keras.Input((8, 8, 6))
    model = keras.Model(image, blocks.ConvNormAct(8, 1, 2)(image))
    assert export.measure(model).macs == 4 * 4 * 6 * 8
    x = np.random.default_rng(0).normal(size=(32, 8, 8, 6)).astype("float32")
    for precision in ("float32", "int8"):
        path = tmp_path / f"{precision}.tflite"
        bundle = export.to_tflite(model, path, precision, calibration=x, measure=False)
        assert bundle.ops["CONV_2D"] == 1 and "STRIDED_SLICE" not in bundle.ops
    assert not any(layer.conv.in_file for layer in model.layers[1:])
