"""Strided 1x1 convolutions of few channels, whose gradient oneDNN gets wrong."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import blocks

STORY = """
import keras, numpy as np, blocks
model = keras.Sequential([keras.Input((128, 128, 12)), blocks.ResidualBlock(24, strides=2)])
model.compile("sgd", "mse", jit_compile=False)
for seed in range(3):
    x = np.random.default_rng(seed).normal(size=(8, 128, 128, 12))
    print(model.train_on_batch(x, np.zeros((8, 64, 64, 24))))
"""


def test_the_gradient_of_a_strided_shortcut_brings_nothing_down():
    done = subprocess.run(
        [sys.executable, "-c", STORY], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == 3


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
    expected = layer.conv(x)
    if norm == "none":
        layer.conv.bias.assign(np.arange(12.0))
        expected += np.arange(12, dtype="float32")
    expected = layer.act(layer.norm(expected, training=True))
    y = layer(x, training=True)
    assert y.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(y), keras.ops.convert_to_numpy(expected), rtol=1e-4, atol=1e-5
    )
