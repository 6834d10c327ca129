"""Quantization-aware training: what Keras computes is what the file answers."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import export
import heads
from export.aware_layers import FakeQuant, Quantized, QuantizedActivation

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (40, 8, 8, 3)).astype("float32")


def normed(x, layer, activation, name):
    x = layers.BatchNormalization(name=f"{name}_norm")(layer(x))
    return layers.Activation(activation, name=f"{name}_act")(x)


def network(end="softmax"):
    """Return a network of what mobile networks are made of, as after some training."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(1)
    image = keras.Input((8, 8, 3), name="image")
    given = {"padding": "same", "use_bias": False}
    x = layers.Rescaling(1 / 127.5, -1)(image)
    x = short = normed(x, layers.Conv2D(8, 3, **given, name="stem"), "hard_silu", "stem")
    x = normed(x, layers.DepthwiseConv2D(3, **given, name="depth"), "relu6", "depth")
    x = layers.Conv2D(8, 1, name="point")(x)
    x = layers.ReLU()(layers.Add()([short, layers.Dropout(0.2)(x)]))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(4, 1, activation="relu", name="reduce")(gate)
    gate = layers.Conv2D(8, 1, activation="hard_sigmoid", name="expand")(gate)
    x = layers.Multiply()([x, gate])
    x = normed(x, layers.Conv2DTranspose(8, 3, **given, name="wider"), "silu", "wider")
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(12, activation="tanh", name="dense")(x)
    model = keras.Model(image, layers.Dense(4, end, name="answer")(x), name="small")
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([w + rng.uniform(0.1, 0.5, w.shape) for w in layer.get_weights()])
    return model


def decibels(reference, values):
    return 10 * np.log10((reference**2).sum() / ((values - reference) ** 2).sum())


@pytest.fixture(scope="module")
def models():
    model = network()
    return model, export.quantize_aware(model, IMAGES)


def test_it_answers_nearly_as_before_and_leaves_the_model_alone(models):
    model, aware = models
    before, after = (x.predict(IMAGES, verbose=0) for x in (model, aware))
    assert 20 < decibels(before, after) < 80
    assert np.array_equal(before, network().predict(IMAGES, verbose=0))
    assert aware.output_names == model.output_names and aware.name == model.name
    assert not any(isinstance(x, layers.BatchNormalization) for x in aware.layers)
    assert sum(isinstance(x, Quantized) for x in aware.layers) == 8


def test_its_file_needs_no_calibration_and_answers_as_it_does(models, tmp_path):
    _, aware = models
    path = tmp_path / "a.tflite"
    bundle = export.to_tflite(aware, path, "int8", inputs=IMAGES, tolerance=35, measure=False)
    assert bundle.parity.passed and bundle.outputs[0].name == "answer"
    assert bundle.ops["QUANTIZE"] == bundle.ops["DEQUANTIZE"] == 1  # 8 bits all the way
    with pytest.raises(ValueError, match="precision='float32'"):
        export.to_tflite(aware, tmp_path / "b.tflite")


def test_a_file_that_answers_otherwise_is_not_told_to_calibrate(models, tmp_path):
    aware, given = models[1], {"inputs": IMAGES, "measure": False}
    with pytest.raises(export.ParityError, match="Train the copy on") as told:
        export.to_tflite(aware, tmp_path / "m.tflite", "int8", tolerance=500, **given)
    assert "alibrat" not in str(told.value) and "float_layers" not in str(told.value)


def test_what_is_folded_is_what_was_there():
    model = network()
    aware = export.quantize_aware(model, IMAGES)
    for layer in aware._flatten_layers():
        if isinstance(layer, Quantized):
            layer.weight_bits = 16  # nearly exact
        if isinstance(layer, FakeQuant):
            layer.observing = True  # hands on what it reads
            layer.low = None if layer.low is None else -1e3
            layer.high = None if layer.high is None else 1e3
    wide = [x for x in aware._flatten_layers() if isinstance(x, FakeQuant) and x.low is not None]
    for layer in wide:
        layer.call = lambda x, training=False: x
    before, after = model(IMAGES[:8]), aware(IMAGES[:8])
    np.testing.assert_allclose(before, after, atol=2e-3)


def test_weights_are_rounded_channel_by_channel():
    kernel = RNG.normal(size=(3, 3, 2, 4)).astype("float32") * [1, 10, 100, 1000]
    layer = export.aware_layers.QuantizedConv2D(4, 3)
    layer.build((None, 8, 8, 2))
    steps = np.abs(kernel).max((0, 1, 2)) / 127
    found = ops.convert_to_numpy(layer.rounded(ops.convert_to_tensor(kernel.astype("float32"))))
    np.testing.assert_allclose(found, np.round(kernel / steps) * steps, rtol=1e-3, atol=1e-5)
    layer.set_weights([kernel, np.zeros(4)])
    x = RNG.normal(size=(1, 8, 8, 2)).astype("float32")
    np.testing.assert_allclose(layer(x), ops.conv(x, found), rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(layer.get_weights()[0], kernel.astype("float32"))


def test_ranges_follow_training_and_rest_otherwise():
    layer = FakeQuant(momentum=0.5)
    layer.observing = True
    assert np.array_equal(layer(np.float32([-1, 0, 3])), np.float32([-1, 0, 3]))
    layer(np.float32([2, 5]))
    layer.observing = False
    assert [float(w) for w in layer.get_weights()] == [-1, 5]
    layer(np.float32([9, 9]))
    assert [float(w) for w in layer.get_weights()] == [-1, 5]
    layer(np.float32([1, 9]), training=True)
    assert [float(w) for w in layer.get_weights()] == [-0.5, 7]
    rounded = np.unique(ops.convert_to_numpy(layer(np.linspace(-2, 9, 5000, dtype="float32"))))
    assert len(rounded) == 256 and 0 in rounded
    np.testing.assert_allclose(np.diff(rounded), 7.5 / 255, rtol=1e-3)


def test_it_learns_and_what_answers_learns_with_it(tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(image / 255))
    backbone = keras.Model(image, {"P1": layers.Reshape((1, 1, 4))(x)})
    model = heads.attach(backbone, heads.ClassificationHead(2))
    targets = np.arange(40) % 2
    images = IMAGES * np.where(targets, 1, 0.5)[:, None, None, None].astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.03), loss)
    model.fit(images, targets, batch_size=8, epochs=4, verbose=0)
    aware, answer = export.quantize_aware([model, heads.deploy(model)], images)
    before = answer.predict(images, verbose=0)
    aware.compile(keras.optimizers.Adam(0.03), loss)
    losses = aware.fit(images, targets, batch_size=8, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    after = answer.predict(images, verbose=0)
    sure = [x[np.arange(40), targets].mean() for x in (before, after)]
    assert sure[1] > sure[0] + 0.1
    logits = aware.predict(images, verbose=0)
    np.testing.assert_allclose(after, ops.softmax(logits), atol=1e-5)
    aware.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), logits)
    bundle = export.to_tflite(answer, tmp_path / "a.tflite", "int8", inputs=images, measure=False)
    assert bundle.parity.passed


def test_weights_may_have_4_bits(tmp_path):
    from ai_edge_litert import schema_py_generated as schema

    aware = export.quantize_aware(network(), IMAGES, weight_bits=4)
    path = tmp_path / "a.tflite"
    export.to_tflite(aware, path, "int8", inputs=IMAGES, tolerance=20, measure=False)
    graph = schema.Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0)
    types = [graph.Tensors(i).Type() for i in range(graph.TensorsLength())]
    assert schema.TensorType.INT4 in types


@keras.saving.register_keras_serializable("tests")
class Ranks(layers.Layer):
    stays_float = True

    def call(self, x):
        return x * 2.0


def test_what_stays_in_floats_is_not_rounded_nor_what_follows():
    image = keras.Input((4,), name="x")
    x = layers.Dense(3, name="before")(image)
    x = layers.Add(name="sum")([Ranks(name="ranks")(x), x])
    x = layers.Dense(3, name="after")(x)
    model = keras.Model(image, layers.Multiply(name="end")([x, x]))
    names = [x.name for x in export.quantize_aware(model, IMAGES[:, 0, 0, [0, 1, 2, 0]]).layers]
    ranges = [name for name in names if name.endswith(".range")]
    assert ranges == ["x.range", "before.range", "after.range"] and names[-1] == "end"


@pytest.mark.parametrize("name", ["hard_silu", "hard_sigmoid", "silu", "sigmoid", "tanh", "gelu"])
def test_activations_are_those_of_keras(name):
    x = np.linspace(-5, 5, 101, dtype="float32")
    layer = QuantizedActivation(name)
    for each in layer.ranges:
        each.observing = each.low is None
    layer(x)
    for each in layer.ranges:
        each.observing = False
    wanted = ops.convert_to_numpy(keras.activations.get(name)(x))
    np.testing.assert_allclose(layer(x), wanted, atol=0.05 * np.abs(wanted).max())


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.SeparableConv2D(4, 3, padding="same"),
        lambda: layers.Conv2D(6, 3, groups=3),
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
        lambda: layers.Conv2DTranspose(4, 3, strides=2),
        lambda: layers.Dense(4),
    ],
    ids=["separable", "grouped", "multiplied", "transposed", "dense"],
)
def test_a_normalization_is_never_lost(make, tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    first = layers.Normalization()
    first.adapt(IMAGES)
    norm = layers.BatchNormalization()
    x = norm(make()(first(image)))
    norm.set_weights([w + RNG.uniform(0.5, 2.0, w.shape) for w in norm.get_weights()])
    model = keras.Model(image, layers.GlobalAveragePooling2D()(x))
    aware = export.quantize_aware(model, IMAGES)
    answers = [x.predict(IMAGES, verbose=0) for x in (model, aware)]
    assert decibels(*answers) > 25
    path = tmp_path / "a.tflite"
    export.to_tflite(aware, path, "int8", inputs=IMAGES, tolerance=30, measure=False)


def test_lines_of_numbers_become_files(tmp_path):
    steps = keras.Input((16, 3), name="steps")
    x = layers.Conv1D(4, 3, activation="relu")(steps)
    aware = export.quantize_aware(keras.Model(steps, layers.Dense(2)(x)), IMAGES[:, 0].repeat(2, 1))
    export.to_tflite(
        aware, tmp_path / "a.tflite", "int8", inputs=IMAGES[:, 0].repeat(2, 1), measure=False
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_bits": 3}, "weight_bits=3"),
        ({"calibration": IMAGES[:, :4]}, "samples of shape"),
        ({"calibration": IMAGES[:0]}, "at least one sample"),
        ({"model": [network(), network()]}, "share their inputs"),
        ({"model": export.quantize_aware(network(), IMAGES)}, "made aware once"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    given = {"model": network(), "calibration": IMAGES, **change}
    with pytest.raises(ValueError, match=message):
        export.quantize_aware(**given)
