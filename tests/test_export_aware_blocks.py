"""Quantization-aware training of every public layer: its file answers as what Keras computes."""

import hashlib
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import blocks
import export
from tests.slow import FULL, slow
from tests.test_contract import ROWS, as_model, given, on_tensorflow

AGREES = 30.0  # dB
EXCEPTIONS = {  # layers that agree less, in dB
    "RCNNHead": 10.0,  # other proposals are the best where scores differ by a step
    "SequentialHead": 15.0,  # not understood yet
    "UNetHead": 22.0,  # of a dozen normalizations one after another, each makes much of a step
}
NO_FILE = {  # rows
    "ChannelSpatialAttention-83": "the converter makes a transposition of more than 6 axes",
    "ResidualBlock-141": "XNNPACK refuses the file",
}


def sampled(name):
    """Whether `make test` makes this row aware: a fixed few of them."""
    return FULL or hashlib.sha256(f"{name} aware".encode()).digest()[0] % 32 == 0


@on_tensorflow
@pytest.mark.parametrize(
    ("name", "case"),
    [row for row in ROWS if sampled(row[0])],
    ids=[name for name, _ in ROWS if sampled(name)],
)
def test_the_file_answers_as_the_aware_model(name, case, tmp_path):
    if name in NO_FILE:
        pytest.skip(NO_FILE[name])
    x = given(case, rows=16)
    aware = export.quantize_aware(as_model(case), x)
    least = {"sqnr_db": EXCEPTIONS.get(case.layer.__name__, AGREES), "agreement": 0.0}
    path = tmp_path / "a.tflite"
    export.to_tflite(aware, path, "int8", inputs=x, tolerance=least, measure=False)


@on_tensorflow
@pytest.mark.parametrize(
    "make",
    [
        lambda x: layers.LayerNormalization()(x),
        lambda x: blocks.SelfAttention(2)(x),
        lambda x: blocks.SelfAttention(2, causal=True)(x),
        lambda x: layers.MultiHeadAttention(2, 8)(x, x),
    ],
    ids=["norm", "attention", "causal", "keras"],
)
@pytest.mark.parametrize("bits", [8, pytest.param(4, marks=slow)])
def test_norms_and_products_are_in_floats_throughout(make, bits, tmp_path):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(32, 9, 16)).astype("float32")
    tokens = keras.Input((9, 16), name="tokens")
    aware = export.quantize_aware(keras.Model(tokens, make(tokens)), x, weight_bits=bits)
    path = tmp_path / "a.tflite"
    export.to_tflite(aware, path, "int8", inputs=x, tolerance=40, measure=False)
    in_floats = {"MEAN", "SOFTMAX", "BATCH_MATMUL"}
    assert {types for op, types in outputs_of(path) if op in in_floats} == {"FLOAT32"}
    assert {types for op, types in outputs_of(path) if op == "FULLY_CONNECTED"} <= {"INT8"}


def outputs_of(path):
    """Yield each operation of a file and the type of what it gives."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    types = {value: name for name, value in vars(schema.TensorType).items()}
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    for operation in graph.operators:
        code = model.operatorCodes[operation.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        yield kind, types[graph.tensors[operation.outputs[0]].type]


@slow
def test_it_trains_on_jax():
    code = """
import keras, numpy as np, blocks, export
x = np.random.default_rng(0).uniform(size=(8, 8, 8, 3)).astype("float32")
image = keras.Input((8, 8, 3))
y = keras.layers.BatchNormalization()(keras.layers.DepthwiseConv2D(3, use_bias=False)(image))
y = blocks.TransformerEncoder(3)(keras.layers.Reshape((-1, 3))(y))
aware = export.quantize_aware(keras.Model(image, keras.layers.GlobalAveragePooling1D()(y)), x)
aware.compile(keras.optimizers.Adam(0.01), "mse")
losses = aware.fit(x, np.ones((8, 3)), epochs=4, verbose=0).history["loss"]
assert keras.backend.backend() == "jax" and losses[-1] < losses[0], losses
"""
    run = {"capture_output": True, "text": True, "env": {**os.environ, "KERAS_BACKEND": "jax"}}
    done = subprocess.run([sys.executable, "-c", code], **run)
    if "No module named 'jax'" in done.stderr:
        pytest.skip("needs jax: pip install keras-blocks[jax]")
    assert done.returncode == 0, done.stderr
