"""Compact files answer as before, bit for bit, and keep what a caller sees of them."""

import keras
import numpy as np
import pytest
from keras import layers

import export
from export import schema
from export.compact import compact

RNG = np.random.default_rng(0)


def network():
    """Equal constants (two zero biases, two constant kernels), and channels with zero points."""
    image = keras.Input((8, 8, 3), name="image")
    kernel = keras.initializers.RandomNormal(stddev=0.3, seed=1)
    x = layers.Conv2D(16, 3, padding="same", activation="relu", kernel_initializer=kernel)(image)
    branches = [
        layers.Conv2D(16, 3, padding="same", kernel_initializer=kernel, name=f"twin{i}")(x)
        for i in range(2)
    ]
    x = layers.GlobalAveragePooling2D()(layers.Concatenate()(branches))
    return keras.Model(image, [layers.Dense(4, name="kind")(x), layers.Dense(1, name="age")(x)])


@pytest.fixture(scope="module")
def samples():
    return RNG.normal(size=(32, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="module", params=["float32", "int8"])
def files(request, samples, tmp_path_factory):
    folder, model = tmp_path_factory.mktemp(request.param), network()
    return [
        export.to_tflite(
            model,
            folder / f"{name}.tflite",
            request.param,
            calibration=samples,
            measure=False,
            compact=name == "compact",
        )
        for name in ("plain", "compact")
    ]


def parsed(path):
    from ai_edge_litert import schema_py_generated as tflite

    return tflite.ModelT.InitFromObj(tflite.Model.GetRootAs(path.read_bytes(), 0))


def test_answers_are_equal_and_the_file_is_smaller(files, samples):
    plain, small = files
    assert small.size == small.path.stat().st_size < plain.size
    expected, found = (export.predict(x.path, samples) for x in files)
    assert set(expected) == {"kind", "age"} == set(found)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_operations_inputs_and_outputs_stay(files):
    plain, small = (schema.read(x.path) for x in files)
    assert small.ops == plain.ops
    assert small.inputs == plain.inputs
    assert small.outputs == plain.outputs


def test_the_runtime_takes_it_in_as_many_parts(files):
    from ai_edge_litert.interpreter import Interpreter

    parts = []
    for x in files:
        interpreter = Interpreter(str(x.path))
        interpreter.allocate_tensors()
        parts.append([op["op_name"] for op in interpreter._get_ops_details()].count("DELEGATE"))
    assert parts[0] == parts[1]


def test_what_goes_and_what_stays(files):
    plain, small = (parsed(x.path) for x in files)
    (graph,) = small.subgraphs
    ends = {*graph.inputs, *graph.outputs}
    for index, (before, after) in enumerate(zip(plain.subgraphs[0].tensors, graph.tensors)):
        assert after.name == (before.name if index in ends else b"")
        assert (after.shape == before.shape).all() and after.type == before.type
        data = plain.buffers[before.buffer].data, small.buffers[after.buffer].data
        assert (data[0] is None) == (data[1] is None)
        assert data[0] is None or bytes(data[0]) == bytes(data[1])
        scales = [x.quantization and x.quantization.scale for x in (before, after)]
        np.testing.assert_array_equal(*scales)
    names = {entry.name for entry in small.metadata}
    assert names == {entry.name for entry in plain.metadata} - {b"CONVERSION_METADATA"}
    (entry,) = (x for x in small.metadata if x.name == b"min_runtime_version")
    assert bytes(small.buffers[entry.buffer].data).strip(b"\0")
    contents = [bytes(x.data) for x in small.buffers if x.data is not None]
    assert len(contents) == len(set(contents))


def test_data_is_aligned(files):
    from ai_edge_litert import schema_py_generated as tflite

    content = np.frombuffer(files[1].path.read_bytes(), "uint8")
    model = tflite.Model.GetRootAs(content, 0)
    start = content.__array_interface__["data"][0]
    arrays = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength())]
    places = [x.__array_interface__["data"][0] - start for x in arrays if isinstance(x, np.ndarray)]
    assert len(places) > 5
    assert not np.any(np.array(places) % 16)


def test_files_with_loops_stay_right(tmp_path):
    sequence = keras.Input((6, 3), name="sequence")
    model = keras.Model(sequence, layers.GRU(4, name="gru")(sequence))
    bundle = export.to_tflite(model, tmp_path / "gru.tflite", measure=False, compact=True)
    assert bundle.ops["WHILE"] == 1
    assert bundle.parity.passed


def test_a_file_with_data_behind_it_stays_as_it_is():
    """Above 2 GB the data stands behind the flatbuffer; such a file is not touched."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as tflite

    model = tflite.ModelT()
    model.version, model.subgraphs, model.metadata, model.operatorCodes = 3, [], [], []
    model.buffers = [tflite.BufferT(), tflite.BufferT()]
    model.buffers[1].offset, model.buffers[1].size = 1024, 16
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), b"TFL3")
    content = bytes(builder.Output()) + bytes(2048)
    assert compact(content) == content


def test_compacting_twice_changes_nothing(files):
    content = files[1].path.read_bytes()
    assert len(compact(content)) == len(content)
