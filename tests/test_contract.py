"""What every public layer promises."""

import doctest
import hashlib
import inspect
import json
import sys

import keras
import numpy as np
import pytest
from keras import tree

import heads
from export import TOLERANCES
from tests.cases import CASES, PUBLIC
from tests.slow import FULL
from tests.values import outputs_of

IDS = [f"{case.layer.__name__}-{i}" for i, case in enumerate(CASES)]
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
FIRST_CASES = [x for i, x in enumerate(CASES) if x.layer not in {y.layer for y in CASES[:i]}]
FIRST = {name for name, case in zip(IDS, CASES) if case in FIRST_CASES}
# Elsewhere the first row of every layer stands for it, but in `make conformance`.
ROWS = [(name, case) for name, case in zip(IDS, CASES) if FULL or ON_TENSORFLOW or name in FIRST]
every_layer = pytest.mark.parametrize(
    "case", [case for _, case in ROWS], ids=[name for name, _ in ROWS]
)
on_tensorflow = pytest.mark.skipif(
    not ON_TENSORFLOW,
    reason="files are written from the TensorFlow backend: run with KERAS_BACKEND=tensorflow",
)

every_kind = pytest.mark.parametrize(  # of layers: for what takes long
    "case",
    [x for _, x in ROWS if FULL or x in FIRST_CASES],
    ids=[n for n, _ in ROWS if FULL or n in FIRST],
)
alike_everywhere = pytest.mark.skipif(
    not (FULL or ON_TENSORFLOW), reason="says the same on every backend: run on TensorFlow"
)


def numbers(shape, seed=0):
    rng = np.random.default_rng(seed)
    return tree.map_shape_structure(lambda s: rng.normal(size=s).astype("float32"), shape)


def given(case, shape=None, rows=None):
    """Return inputs of a row: numbers, or ids."""
    rng = np.random.default_rng(0)

    def draw(s):
        s = s if rows is None else (rows, *s[1:])
        return (
            rng.normal(size=s).astype("float32")
            if case.ids is None
            else (rng.integers(0, case.ids, s).astype("float32"))
        )

    return tree.map_shape_structure(draw, case.input_shape if shape is None else shape)


def arrays(x):
    return tree.map_structure(lambda t: np.array(keras.ops.convert_to_numpy(t)), x)


def assert_close(x, y, **tolerance):
    tree.assert_same_structure(x, y)
    for a, b in zip(tree.flatten(x), tree.flatten(y)):
        np.testing.assert_allclose(a, b, **(tolerance or {"rtol": 1e-4, "atol": 1e-5}))


def shapes(x):
    return tree.map_structure(lambda t: tuple(t.shape), x)


def free(shape):
    """Return the same shape with every axis but the channels left open."""
    return tree.map_shape_structure(lambda s: (None,) * (len(s) - 1) + s[-1:], shape)


def doubled(shape):
    """Return the same shape with every side twice as long."""
    return tree.map_shape_structure(lambda s: (s[0], *(2 * n for n in s[1:-1]), s[-1]), shape)


def as_inputs(shape):
    if isinstance(shape, dict):
        return {key: keras.Input(s[1:], name=key) for key, s in shape.items()}
    return tree.map_shape_structure(lambda s: keras.Input(s[1:]), shape)


def own_arguments(layer):
    parameters = inspect.signature(layer.__init__).parameters.values()
    return [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "self"]


def array(w):
    return np.array(keras.ops.convert_to_numpy(w))


def shaken(case, **kwargs):
    """Return a built layer whose weights have left their symmetric or zero starting points."""
    keras.utils.set_random_seed(0)  # of kernels as they start
    layer = case.make(**kwargs)
    layer.build(case.input_shape)
    rng = np.random.default_rng(1)
    for w in layer.trainable_variables:
        w.assign(array(w) + 0.1 * rng.normal(size=w.shape))
    for w in layer.non_trainable_variables:
        if "moving" in w.path:
            w.assign(array(w) + 0.1 * rng.uniform(size=w.shape))
    return layer


def as_model(case, **kwargs):
    inputs = as_inputs(case.input_shape)
    return keras.Model(inputs, shaken(case, **kwargs)(inputs))


def as_program(model, **kwargs):
    """Return a model as `fit` and `predict` trace it, once for every size that it leaves open."""
    if not ON_TENSORFLOW:
        return lambda x: model.predict(x, verbose=0)
    import tensorflow as tf

    signature = tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), model.input)
    return tf.function(lambda x: model(x, **kwargs), input_signature=[signature])


def test_every_public_layer_has_a_case():
    assert PUBLIC == {case.layer for case in CASES}


@alike_everywhere
@every_layer
def test_docstring_says_shape_args_and_example(case):
    doc = inspect.getdoc(case.layer)
    assert doc.splitlines()[0].endswith(".")
    assert "Shape:" in doc and "Args:" in doc and ">>> " in doc
    for name in own_arguments(case.layer):
        assert f"\n    {name}: " in doc, f"{name} is not documented"


@alike_everywhere
@every_layer
def test_docstring_example_runs(case):
    module = sys.modules[case.layer.__module__]
    names = {**vars(module), "np": np}
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(case.layer, case.layer.__name__, globs=names)
    assert example.examples
    runner = doctest.DocTestRunner(checker=ShapeChecker(), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(example).failed == 0


class ShapeChecker(doctest.OutputChecker):
    """TensorShape([1, 2]) and torch.Size([1, 2]) count as (1, 2)."""

    def check_output(self, want, got, flags):
        got = got.replace("TensorShape([", "(").replace("torch.Size([", "(")
        return super().check_output(want, got.replace("])", ")"), flags)


@alike_everywhere
@every_layer
def test_config_is_plain_and_complete(case):
    config = case.make(name="x").get_config()
    assert set(own_arguments(case.layer)) | {"name"} <= set(config)
    for name, value in case.args.items():
        assert config[name] == value
    saved = keras.saving.serialize_keras_object(case.make(name="x"))
    assert saved["registered_name"] == f"keras_blocks>{case.layer.__name__}"
    revived = keras.saving.deserialize_keras_object(json.loads(json.dumps(saved)))
    assert type(revived) is case.layer
    assert json.dumps(revived.get_config()) == json.dumps(config)


@every_layer
def test_shapes_agree(case):
    layer = case.make()
    assert shapes(layer(as_inputs(case.input_shape))) == tree.map_shape_structure(
        lambda s: (None,) + s[1:], case.output_shape
    )
    assert shapes(outputs_of(layer, given(case), training=False)) == case.output_shape
    assert shapes_of(case.make().compute_output_shape(case.input_shape)) == case.output_shape


def shapes_of(shape):
    return tree.map_shape_structure(tuple, shape)


@alike_everywhere
@every_layer
def test_open_sides_stay_open(case):
    """One set of weights serves every resolution and batch size."""
    inputs = as_inputs(free(case.input_shape))
    if case.fixed:
        with pytest.raises(ValueError, match="Received: "):
            case.make()(inputs)
        return
    model = keras.Model(inputs, shaken(case)(inputs))
    traced = as_program(model) if FULL or case in FIRST_CASES else None  # tracing takes long
    for shape in (case.input_shape, doubled(case.input_shape)):
        x = given(case, shape)
        y = model(x)
        assert shapes(y) == shapes_of(model.layers[-1].compute_output_shape(shape))
        if traced:
            assert_close(arrays(y), arrays(traced(x)), rtol=1e-3, atol=1e-4)


@alike_everywhere
@every_layer
def test_build_makes_exactly_the_weights_of_call(case):
    built, called = case.make(name="x"), case.make(name="x")
    built.build(case.input_shape)
    called(given(case))
    assert [(w.path, w.shape) for w in built.weights] == [(w.path, w.shape) for w in called.weights]
    assert len({w.path for w in built.weights}) == len(built.weights)
    called(given(case))
    assert len(built.weights) == len(called.weights)
    assert names_of_parts(built) == names_of_parts(called)


def names_of_parts(layer):
    """Return names without counters: two layers made alike name their parts alike."""
    return [part.name for part in layer._flatten_layers(include_self=False)]


@every_layer
def test_inference_is_deterministic_and_per_sample(case):
    layer, x = shaken(case), given(case)
    y = arrays(outputs_of(layer, x, training=False))
    assert_close(y, arrays(outputs_of(layer, x, training=False)), rtol=0, atol=0)
    first = arrays(outputs_of(layer, tree.map_structure(lambda a: a[:1], x), training=False))
    assert_close(tree.map_structure(lambda a: a[:1], y), first)


def squares(target, y):
    """Return the mean square error; JAX asks for it once of an answer that is not of training."""
    return keras.ops.mean(keras.ops.square(y - target[..., : y.shape[-1]]))


@every_layer
def test_every_weight_learns(case):
    inputs = as_inputs(case.input_shape)
    model = keras.Model(inputs, tree.flatten(shaken(case)(inputs)))
    if not model.trainable_variables:
        assert not case.make().weights
        return
    before = [array(w) for w in model.trainable_variables]
    taught = tree.flatten(model(given(case), training=True))  # a head may give more than its answer
    targets = [numbers(y.shape, seed=2) for y in taught]
    eager = ON_TENSORFLOW and not FULL  # compiling takes long
    if eager and case in FIRST_CASES:
        as_program(model, training=True).get_concrete_function()
    model.compile(keras.optimizers.SGD(0.1), [squares] * len(targets), run_eagerly=eager)
    for _ in range(4):  # a draw of drop-path may skip the branch once
        model.train_on_batch(given(case), targets)
        after = [array(w) for w in model.trainable_variables]
        if not any(map(np.array_equal, before, after)):
            break
    for w, old, new in zip(model.trainable_variables, before, after):
        assert np.isfinite(new).all() and not np.array_equal(new, old), f"{w.path} did not move"


@every_layer
def test_dtype_policy_reaches_every_sublayer(case):
    layer = case.make(dtype="mixed_bfloat16")
    outputs = outputs_of(layer, given(case), training=False)
    expected = "float32" if case.layer.__module__.startswith("heads") else "bfloat16"
    for y in tree.flatten(outputs):
        assert keras.backend.standardize_dtype(y.dtype) == expected
    for y in tree.flatten(layer(as_inputs(case.input_shape))):
        assert y.dtype == expected
    assert {w.dtype for w in layer.weights} <= {"float32"}
    policies = {s.dtype_policy.name for s in layer._flatten_layers(include_self=False)}
    allowed = {"mixed_bfloat16"} | ({"float32"} if issubclass(case.layer, heads.Head) else set())
    assert policies <= allowed
    assert layer.dtype_policy.name == "mixed_bfloat16"


def behaviour(layer, case):
    """Yield all that an argument could change: the loss, weights, outputs, randomness."""
    ends = layer.ends() if isinstance(layer, heads.Head) else []
    yield [end.loss().get_config() for _, end in ends]
    keras.utils.set_random_seed(0)
    layer.build(case.input_shape)
    x = given(case)
    yield [array(w) for w in layer.trainable_variables]
    for training in (False, True):
        keras.utils.set_random_seed(1)
        outputs = tree.flatten(arrays(layer(x, training=training)))
        yield [y.astype("float32") for y in [*outputs, *map(array, layer.losses)]]
    yield [array(w) for w in layer.non_trainable_variables]  # statistics


def alike(a, b):
    """Return whether configurations or arrays are equal."""
    return len(a) == len(b) and all(
        x == y if isinstance(x, dict) else x.shape == y.shape and np.array_equal(x, y)
        for x, y in zip(a, b)
    )


@alike_everywhere
@every_layer
def test_every_argument_is_heard(case):
    """Without an argument that a row gives, something must be different."""
    parameters = inspect.signature(case.layer.__init__).parameters
    keras.utils.set_random_seed(0)
    given = [*behaviour(case.make(name="x"), case)]
    for name in case.args:
        if parameters[name].default is inspect.Parameter.empty:
            continue
        keras.utils.set_random_seed(0)
        rest = {key: value for key, value in case.args.items() if key != name}
        try:
            heard = not all(map(alike, given, behaviour(case.layer(**rest, name="x"), case)))
        except ValueError:
            continue  # the default does not fit this input, so the argument was heard
        assert heard, f"`{name}` changes nothing"


@alike_everywhere
@every_layer
def test_open_channels_are_refused(case):
    """Weights need a number of channels: one clear error, not a stack trace."""
    inputs = as_inputs(tree.map_shape_structure(lambda s: s[:-1] + (None,), case.input_shape))
    if case.ids is not None:  # ids have no channels
        return
    layer = case.make()
    try:
        layer(inputs)
    except ValueError as error:
        assert "Received: " in str(error)
    else:
        assert not layer.trainable_variables


@alike_everywhere
@every_layer
def test_masks_are_handed_on(case):
    """A layer that says it supports masks gives its (first) input's mask to its output.

    Where the positions are gone, the mask is gone with them.
    """
    first = tree.flatten(as_inputs(case.input_shape))[0]
    if isinstance(case.make(), heads.Head) or not case.make().supports_masking:
        return
    masked = keras.layers.Masking()(first)
    rest = as_inputs(case.input_shape)
    inputs = [masked, *rest[1:]] if isinstance(rest, list) else masked
    outputs = tree.flatten(case.make()(inputs))
    kept = outputs[0].shape[:-1] == first.shape[:-1]
    mask = getattr(outputs[0], "_keras_mask", None)
    assert mask is (masked._keras_mask if kept else None)


@alike_everywhere
@every_kind
def test_save_and_load_give_the_same_outputs(case, tmp_path):
    model, x = as_model(case), given(case)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    y = arrays(model(x))
    assert_close(y, arrays(loaded(x)), rtol=0, atol=0)
    inputs = as_inputs(case.input_shape)
    fresh = keras.Model(inputs, case.make(name=model.layers[-1].name)(inputs))
    model.save_weights(tmp_path / "model.weights.h5")
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert_close(y, arrays(fresh(x)), rtol=0, atol=0)


@alike_everywhere
@every_layer
def test_wrong_arguments_and_shapes_say_what_was_received(case):
    for args in case.wrong_args:
        with pytest.raises(ValueError, match="Received: "):
            case.layer(**args)
    for shape in case.wrong_shapes:
        with pytest.raises(ValueError, match=r"[Rr]eceived: "):
            case.make()(numbers(shape))


def sampled(name, precision):
    """Whether `make test` converts this row in this precision: a fixed eighth of them.

    In float32, the first row of every layer, too; in weight_only, none but in a full run.
    """
    digest = hashlib.sha256(f"{name} {precision}".encode()).digest()
    if precision == "weight_only":
        return FULL
    return FULL or (precision == "float32" and name in FIRST) or digest[0] % 8 == 0


FILES = [
    (name, case, precision)
    for precision in TOLERANCES
    for name, case in ROWS
    if sampled(name, precision)
]


@on_tensorflow
@pytest.mark.parametrize(
    ("case", "precision"),
    [row[1:] for row in FILES],
    ids=[f"{name}-{precision}" for name, _, precision in FILES],
)
@pytest.mark.filterwarnings("ignore:int8 takes ranges")  # 16 rows are enough to compare on
@pytest.mark.filterwarnings("ignore:Calibration should be")  # statistics are shaken, not learned
def test_tflite_file_agrees_with_keras(case, precision, tmp_path):
    """The layer alone becomes a file of built-in ops that gives Keras's numbers."""
    from export import to_tflite

    if precision in case.exceptions:
        pytest.skip(case.exceptions[precision])
    model = as_model(case)
    x = given(case, rows=16)
    bundle = to_tflite(
        model, tmp_path / "layer.tflite", precision, calibration=x, inputs=x, measure=False
    )
    assert (tmp_path / "layer.tflite").stat().st_size == bundle.size
