"""What an int8 file computes in 8 bits, and what it leaves in floats."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers, ops

import export
from export import int8
from export.convert import convert
from tests.values import numbers

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
MOVES = {"QUANTIZE", "DEQUANTIZE", "RESHAPE", "TRANSPOSE"}


def computed(path):
    """Return the names of a file's operations that give 8 bits, and of those that give floats."""
    model, _ = int8.opened(path.read_bytes())
    graph, kinds, types = model.subgraphs[0], int8.kinds_of(model), schema.TensorType
    found = {types.INT8: set(), types.FLOAT32: set()}
    for operation in graph.operators:
        made = graph.tensors[operation.outputs[0]].type
        found.setdefault(made, set()).add(kinds[operation.opcodeIndex])
    return found[types.INT8] - MOVES, found[types.FLOAT32] - MOVES


def to_int8(model, given, folder):
    """Write a file; return the least signal to noise of its outputs, dB, and its path."""
    path = folder / "m.tflite"
    bundle = export.to_tflite(model, path, "int8", calibration=given, measure=False)
    return min(x.sqnr_db for x in bundle.parity.outputs), path


def file_of(function, folder):
    """Return the operations of an int8 file of a dense layer, a function, and a dense layer."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 4), name="x")
    y = layers.Dense(6, name="last")(function(layers.Dense(6, name="first")(x)))
    return computed(to_int8(keras.Model(x, y), numbers(40, 8, 8, 4), folder)[1])


def unit(x):
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), 1e-12))


@pytest.mark.parametrize(
    ("function", "kept"),
    [
        (layers.PReLU(shared_axes=[1, 2]), "PRELU"),
        (layers.Activation("gelu"), "GELU"),
        (layers.Softmax(), "SOFTMAX"),
        (layers.UnitNormalization(), "RSQRT"),
        (unit, "L2_NORMALIZATION"),
        (layers.LayerNormalization(), "SQUARED_DIFFERENCE"),
        (lambda x: ops.matmul(x, ops.swapaxes(x, 2, 3))[..., :6], "BATCH_MATMUL"),
        (layers.LayerNormalization(), "MEAN"),
        (lambda x: ops.softmax(ops.where(x > -9, x, -1e4)), "SELECT_V2"),
        (lambda x: ops.where(x > -9, x, 0.5 * x), "SELECT"),
        (lambda x: ops.log_softmax(x), "LOG_SOFTMAX"),
        (lambda x: ops.selu(x), "EXP"),
        (lambda x: ops.concatenate(ops.split(ops.softmax(x), 2, -1)[::-1], -1), "SPLIT"),
    ],
    ids=[
        "prelu",
        "gelu",
        "softmax",
        "unit",
        "l2",
        "variance",
        "product",
        "mean",
        "mask",
        "choice",
        "log",
        "exp",
        "split",
    ],
)
def test_what_has_no_quick_kernel_stays_in_floats(function, kept, tmp_path):
    whole, floating = file_of(function, tmp_path)
    assert kept in floating and kept not in whole
    dense = {"FULLY_CONNECTED", "CONV_2D"}
    assert whole & dense and not floating & dense  # before and behind it are 8 bits


@pytest.mark.parametrize(
    "function",
    [
        layers.Activation("relu"),
        layers.Activation("sigmoid"),  # in the middle
        lambda x: ops.mean(x, axis=1, keepdims=True) * x,
        lambda x: ops.matmul(x, np.full((8, 6, 6), 0.1, "float32")),  # by weights
        lambda x: ops.concatenate(ops.split(x, 2, axis=-1)[::-1], axis=-1),
    ],
    ids=["relu", "sigmoid", "mean", "weights", "split"],
)
def test_all_else_is_in_8_bits(function, tmp_path):
    whole, floating = file_of(function, tmp_path)
    assert whole and not floating


def test_a_choice_among_whole_numbers_makes_no_floats(tmp_path):
    x, i = keras.Input((8,), name="x"), keras.Input((3,), dtype="int32", name="i")
    rows = layers.Embedding(6, 8)(ops.where(i < 3, i, 5))
    y = layers.Dense(4)(rows + layers.Dense(8)(x)[:, None])
    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(40, 8)), "i": rng.integers(0, 6, (40, 3))}
    path = tmp_path / "m.tflite"
    model = keras.Model([x, i], y)
    export.to_tflite(model, path, "int8", calibration=given, measure=False)
    assert "ADD" in computed(path)[0]


@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "tanh"])
def test_an_answer_is_not_rounded_to_256_steps(activation, tmp_path):
    """Of many classes each would be 0, and a small probability, too."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8,), name="x")
    y = layers.Dense(300, activation=activation, bias_initializer="random_normal")(x)
    given = numbers(40, 8)
    noise, path = to_int8(keras.Model(x, y), given, tmp_path)
    assert noise > 30
    (answers,) = export.predict(path, given).values()
    steps = answers * 256
    assert np.abs(steps - np.round(steps)).max() > 0.1


def test_a_mask_leaves_the_others_their_steps(tmp_path):
    """Beside -10,000 all numbers of a normal size would be one step of 256."""
    x = keras.Input((8, 6), name="x")
    hidden = layers.Dense(6)(x)
    y = layers.Softmax(name="p")(ops.where(x > 0, hidden, -1e4))
    given = numbers(40, 8, 6)
    given += 0.1 * np.sign(given)  # in 8 bits, too, the same are masked
    assert to_int8(keras.Model(x, y), given, tmp_path)[0] > 30


def positions():
    """Return inputs of eight positions and of which are kept, and samples of both."""
    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(40, 8, 6)), "kept": (rng.random((40, 8)) < 0.7) * 1.0}
    given["kept"][:, 0] = 1
    return keras.Input((8, 6), name="x"), keras.Input((8,), name="kept"), given


def test_a_mask_of_sums_is_kept(tmp_path):
    """One step of 256 between 0 and -1e9 is 4e6, beside which floats forget the scores."""
    keras.utils.set_random_seed(0)
    x, kept, given = positions()
    hidden = layers.Dense(6)(x)
    scores = ops.matmul(hidden, ops.swapaxes(hidden, 1, 2)) + (1 - kept[:, None]) * -1e9
    y = layers.Dense(3, name="y")(ops.matmul(ops.softmax(scores), hidden))
    noise, path = to_int8(keras.Model([x, kept], y), given, tmp_path)
    assert noise > 30
    assert "FULLY_CONNECTED" in computed(path)[0] and "FULLY_CONNECTED" not in computed(path)[1]


READ = {
    "max": lambda x: ops.max(x, axis=1),
    "sigmoid": ops.sigmoid,
    "silu": ops.silu,
    "gelu": ops.gelu,
    "logsumexp": lambda x: ops.logsumexp(x, axis=1),
    "top": lambda x: ops.top_k(ops.swapaxes(x, 1, 2), 2)[0],
}


@pytest.mark.parametrize("far", [30.0, 900.0, 1e4, 1e9])
@pytest.mark.parametrize(
    "reads", ["softmax", "max", "sigmoid", "attention", "silu", "gelu", "logsumexp", "top"]
)
def test_masks_of_any_size_leave_the_others_their_steps(reads, far, tmp_path):
    keras.utils.set_random_seed(0)
    x, kept, given = positions()
    hidden, mask = layers.Dense(6, activation="relu")(x), (1 - kept) * -far
    if reads == "softmax":
        weights = ops.softmax(layers.Reshape((8,))(layers.Dense(1)(hidden)) + mask)
        y = ops.sum(weights[..., None] * hidden, axis=1)
    elif reads == "attention":
        scores = ops.matmul(hidden, ops.swapaxes(layers.Dense(6)(x), 1, 2)) + mask[:, None]
        y = ops.matmul(ops.softmax(scores), hidden)
    else:
        y = READ[reads](mask[..., None] + layers.Dense(6)(hidden))
    model = keras.Model([x, kept], layers.Dense(3, name="y")(y))
    noise, path = to_int8(model, given, tmp_path)
    assert noise > (20 if far == 30 else 30)
    assert "FULLY_CONNECTED" in computed(path)[0] and "FULLY_CONNECTED" not in computed(path)[1]


def test_a_branch_has_its_own_range_and_not_that_of_the_sum(tmp_path):
    """The runtime writes the sum where the branch was, where TensorFlow's calibrator reads it."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 4), name="x")
    trunk = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    small = layers.Conv2D(4, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3))
    y = layers.Conv2D(3, 1)(trunk + small(trunk))
    given = numbers(40, 8, 8, 4)
    _, path = to_int8(keras.Model(x, y), given, tmp_path)
    model, _ = int8.opened(path.read_bytes())
    graph, kinds = model.subgraphs[0], int8.kinds_of(model)
    (add,) = [x for x in graph.operators if kinds[x.opcodeIndex] == "ADD"]
    steps = [graph.tensors[place].quantization.scale[0] for place in (*add.inputs, *add.outputs)]
    branch = keras.Model(x, small.output).predict(given, verbose=0)
    assert min(steps) * 255 == pytest.approx(branch.max() - branch.min(), rel=0.01)
    assert max(steps) > 100 * min(steps)


def test_ranges_are_of_all_samples_and_of_what_is_finite(tmp_path):
    keras.utils.set_random_seed(0)
    x = keras.Input((8,), name="x")
    model = keras.Model(x, layers.Dense(4)(ops.relu(ops.log(layers.ReLU()(x)))))
    given = numbers(40, 8)
    given[:1] = 0.5  # of which alone no number is infinite, and all are alike
    assert to_int8(model, given, tmp_path)[0] > 30


@pytest.mark.parametrize("gain", [1.0, 20.0])
def test_a_gate_of_sums_stays_in_8_bits(gain, tmp_path):
    """No mask is in it; in floats the maps behind it would take twice the time."""

    def gated(x):
        small = layers.Dense(6, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01))
        return ops.sigmoid(gain * x + small(x)) * x

    whole, floating = file_of(gated, tmp_path)
    assert {"ADD", "LOGISTIC", "MUL"} <= whole and not floating


def test_an_infinite_mask_is_one(tmp_path):
    keras.utils.set_random_seed(0)
    x, kept, given = positions()
    hidden = layers.Dense(6)(x)
    scores = layers.Reshape((8,))(layers.Dense(1)(hidden)) + ops.log(kept)
    y = layers.Dense(3, name="y")(ops.sum(ops.softmax(scores)[..., None] * hidden, axis=1))
    assert to_int8(keras.Model([x, kept], y), given, tmp_path)[0] > 30


def test_what_is_always_infinite_is_a_file(tmp_path):
    x = keras.Input((8,), name="x")
    y = layers.Dense(4)(ops.minimum(ops.log(layers.Dense(8)(x) * 0.0) * -1, 3.0) + x)
    assert to_int8(keras.Model(x, y), numbers(40, 8), tmp_path)[0] > 30


def test_branches_have_ranges_of_all_samples(tmp_path):
    keras.utils.set_random_seed(0)
    x, which = keras.Input((8,), name="x"), keras.Input((), dtype="int32", name="which")
    ways = [keras.Sequential([layers.Dense(8), layers.Dense(8)]) for _ in range(2)]

    class Either(layers.Layer):
        def build(self, *shapes):
            self.ways = ways
            for way in ways:
                way.build((None, 8))

        def call(self, x, which):
            return ops.cond(which[0] > 0, lambda: ways[0](x), lambda: ways[1](x))

    model = keras.Model([x, which], layers.Dense(4)(Either()(layers.Dense(8)(x), which)))
    given = {"x": numbers(40, 8), "which": np.arange(40) % 2}
    given["x"][0] *= 1e-6
    content = convert(model, "int8", {k: v.astype(t) for (k, v), t in zip(given.items(), "fi")})
    (tmp_path / "m.tflite").write_bytes(content)
    answers = export.predict(tmp_path / "m.tflite", given)
    rows = range(len(given["x"]))
    expected = np.concatenate([model([x[i : i + 1] for x in given.values()]) for i in rows])
    error = next(iter(answers.values())) - expected
    assert 10 * np.log10((expected**2).sum() / (error**2).sum()) > 25


def test_scores_that_are_moved_are_answers_too(tmp_path):
    x = keras.Input((8, 8, 3), name="x")
    scores = layers.Conv2D(
        2, 3, activation="sigmoid", bias_initializer=lambda s, dtype: ops.full(s, -5.0)
    )(x)
    y = layers.Concatenate(axis=1)(
        [layers.Reshape((36, 2))(scores), layers.Reshape((36, 2))(scores)]
    )
    given = numbers(40, 8, 8, 3)
    assert to_int8(keras.Model(x, y), given, tmp_path)[0] > 30


def test_what_computes_nothing_is_a_file(tmp_path):
    x = keras.Input((8,), name="x")
    model = keras.Model(x, layers.Dropout(0.1, name="y")(x))
    given = numbers(40, 8)
    path = tmp_path / "m.tflite"
    export.to_tflite(model, path, "int8", calibration=given, measure=False)
    assert np.array_equal(export.predict(path, given)["y"], given)


@pytest.mark.parametrize(
    "other",
    [
        lambda x, top: ops.stack([top, top], axis=-1)[..., 0],
        lambda x, top: ops.concatenate(ops.unstack(top, axis=1)[:4], axis=-1),
        lambda x, top: ops.maximum(x, top),
        lambda x, top: ops.maximum(x, 0.5),
        lambda x, top: ops.minimum(x, 0.5),
    ],
    ids=["stack", "unstack", "maximum", "at least", "at most"],
)
def test_what_else_reads_the_same_is_not_cut_off(other, tmp_path):
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 4), name="x")
    top = layers.MaxPooling2D(3, 1, padding="same")(x)
    outputs = [layers.Conv2D(6, 3, name="same")(x), layers.Dense(3, name="other")(other(x, top))]
    given = numbers(40, 8, 8, 4)
    assert to_int8(keras.Model(x, outputs), given, tmp_path)[0] > 30


def test_what_is_turned_round_has_its_own_numbers(tmp_path):
    """The kernel moves bytes, whatever ranges they are of."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 4), name="x")
    top = layers.MaxPooling2D(3, 1, padding="same")(layers.Dense(4)(x))
    y = layers.Dense(3)(ops.flip(top, 1))
    given = numbers(40, 8, 8, 4)
    assert to_int8(keras.Model(x, y), given, tmp_path)[0] > 30


def test_an_aware_model_of_many_classes_answers_alike(tmp_path):
    x = keras.Input((8,), name="x")
    model = keras.Model(x, layers.Dense(1000, activation="softmax")(x))
    given = numbers(60, 8)
    aware, path = export.quantize_aware(model, given), tmp_path / "m.tflite"
    bundle = export.to_tflite(aware, path, "int8", inputs=given, measure=False)
    assert bundle.parity.outputs[0].sqnr_db > 60
    assert computed(path) == ({"FULLY_CONNECTED"}, {"SOFTMAX"})


def test_what_is_joined_takes_no_range_from_the_others(tmp_path):
    """The largest of a window are above -1, which the convolution's inputs are not."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 4), name="x")
    largest = layers.MaxPooling2D(3, 1, padding="same")(x)
    y = layers.Concatenate()([layers.Conv2D(6, 3, padding="same", activation="relu")(x), largest])
    given = numbers(40, 8, 8, 4)
    assert to_int8(keras.Model(x, y), given, tmp_path)[0] > 30


def test_dead_units_are_a_file(tmp_path):
    x = keras.Input((8, 8, 4), name="x")
    dead = layers.Conv2D(
        3, 1, activation="relu", bias_initializer=lambda s, dtype: ops.full(s, -99.0)
    )
    y = layers.Conv2D(2, 1)(dead(x)) + layers.Conv2D(2, 1)(x)
    given = numbers(40, 8, 8, 4)
    assert to_int8(keras.Model(x, y), given, tmp_path)[0] > 30


@pytest.mark.parametrize("join", [ops.concatenate, ops.stack], ids=["joined", "stacked"])
@pytest.mark.parametrize("activation", ["gelu", "exponential"])
def test_what_is_joined_in_floats_leaves_8_bits_their_range(activation, join, tmp_path):
    keras.utils.set_random_seed(0)
    x = keras.Input((16, 16, 3), name="x")
    hidden = layers.Conv2D(16, 3, padding="same", activation=activation)(x)
    low = layers.Conv2D(16, 1, bias_initializer=lambda s, dtype: ops.full(s, -2.0))(hidden)
    joined = join([hidden, low], axis=-1)
    y = layers.Dense(4)(layers.GlobalAveragePooling2D()(layers.Reshape((16, 16, 32))(joined)))
    given = numbers(40, 16, 16, 3)
    assert to_int8(keras.Model(x, y), given, tmp_path)[0] > 30


def test_bounds_keep_256_steps_between_them(tmp_path):
    whole, _ = file_of(lambda x: ops.clip(20 * x, -2, 2), tmp_path)
    assert {"MINIMUM", "MAXIMUM"} <= whole


def test_small_numbers_are_numbers(tmp_path):
    keras.utils.set_random_seed(0)
    x = keras.Input((8,), name="x")
    model = keras.Model(x, layers.Dense(4)(1e-8 * x))
    given = {"calibration": numbers(40, 8), "tolerance": {"sqnr_db": 5}, "measure": False}
    assert export.to_tflite(model, tmp_path / "m.tflite", "int8", **given).parity.passed
