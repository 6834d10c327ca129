"""The models that answer: deploy."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import heads
from tests.test_heads import IMAGES, SumHead, array, backbone, several, softmax, subclassed

RNG = np.random.default_rng(1)
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs KERAS_BACKEND=tensorflow"
)


def test_deploy_answers_with_probabilities():
    model = heads.attach(backbone(), heads.ClassificationHead(3))
    answer = heads.deploy(model)
    assert answer.output_names == ["probabilities"] and answer.inputs[0].name == "image"
    expected = softmax(array(model(IMAGES)))
    np.testing.assert_allclose(array(answer(IMAGES)), expected, rtol=1e-5, atol=1e-6)


def test_deploy_with_a_threshold_gives_labels():
    model = heads.attach(backbone(), heads.ClassificationHead(2))
    p = softmax(array(model(IMAGES)))
    threshold = float(np.median(p[:, 1]))
    answer = heads.deploy(model, threshold=threshold)(IMAGES)
    labels = array(answer["labels"])
    assert labels.dtype == "int32" and 0 < labels.sum() < 16
    np.testing.assert_array_equal(labels, array(answer["probabilities"])[:, 1] >= threshold)


def test_a_probability_equal_to_the_threshold_makes_the_label():
    x = keras.Input((2,))
    head = heads.ClassificationHead(2)
    model = heads.attach(keras.Model(x, x), head)
    head.logits.set_weights([np.zeros((2, 2)), np.zeros(2)])
    assert array(heads.deploy(model, threshold=0.5)(np.ones((1, 2)))["labels"]).tolist() == [1]


def test_deploy_with_a_threshold_for_each_label():
    model = heads.attach(backbone(), heads.ClassificationHead(4, multi_label=True))
    p = 1 / (1 + np.exp(-array(model(IMAGES))))
    thresholds = np.median(p, axis=0)
    answer = heads.deploy(model, threshold=thresholds)(IMAGES)
    np.testing.assert_allclose(array(answer["probabilities"]), p, rtol=1e-5)
    np.testing.assert_array_equal(array(answer["labels"]), p >= thresholds.astype("float32"))


def test_regression_answers_in_the_units_of_its_targets():
    keras.utils.set_random_seed(0)
    x = RNG.normal(size=(256, 3)).astype("float32")
    y = 200_000 + 50_000 * x @ np.array([1.0, -0.5, 0.2])
    inputs = keras.Input((3,))
    head = heads.RegressionHead(mean=float(y.mean()), std=float(y.std()))
    model = heads.attach(keras.Model(inputs, inputs), head)
    model.compile(keras.optimizers.Adam(0.1), loss=head.loss(), metrics=head.metrics())
    assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] < 5  # in deviations
    model.fit(x, y, epochs=25, verbose=0)
    answer = heads.deploy(model).predict(x, verbose=0)[:, 0]
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(scores) == {"loss", "mae", "rmse", "r2"} and scores["r2"] > 0.99
    np.testing.assert_allclose(scores["mae"], np.abs(answer - y).mean(), rtol=1e-2)
    assert heads.deploy(model).output_names == ["values"]


def test_deploy_sorts_options_by_head():
    model = heads.attach(backbone(), several())
    assert list(heads.deploy(model).output) == ["tags", "kind", "age"]
    shared = heads.deploy(model, threshold=0.4)
    assert set(shared.output) == {
        *("tags_probabilities", "tags_labels", "kind_probabilities", "kind_labels", "age")
    }
    own = heads.deploy(model, kind={"threshold": 0.4})
    assert set(own.output) == {"tags", "kind_probabilities", "kind_labels", "age"}
    names = {layer.name for layer in own.layers}
    assert len(names) == len(own.layers) and {"tags", "age", "kind_labels"} <= names


@pytest.mark.parametrize(
    "options",
    [
        {"treshold": 0.4},
        {"age": {"threshold": 0.4}},
        {"kind": {"treshold": 0.4}},
        {"kind": 0.4},
        {"kind": {"threshold": 1.4}},
        {"kind": {"threshold": [0.4, 0.4]}},
        {"tags": {"threshold": [0.4, 0.4]}},
        {"threshold": "high"},
    ],
)
def test_deploy_refuses_options(options):
    model = heads.attach(backbone(), several())
    with pytest.raises(ValueError, match="Received: "):
        heads.deploy(model, **options)


def test_deploy_refuses_models_and_thresholds_without_sense():
    model = heads.attach(backbone(), heads.ClassificationHead(3))
    with pytest.raises(ValueError, match="two classes.*Received: "):
        heads.deploy(model, threshold=0.4)
    for wrong in (subclassed(), backbone()):
        with pytest.raises(ValueError, match="Received: "):
            heads.deploy(wrong)
        with pytest.raises(ValueError, match="Received: "):
            heads.losses(wrong)


def nested_backbone():
    image, net = keras.Input((8, 8, 3), name="image"), backbone()
    inner = keras.Model(image, net(image)["P2"], name="outer")
    return heads.attach(inner, heads.ClassificationHead(2))


def nested_whole():
    model = heads.attach(backbone(), heads.ClassificationHead(2))
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(0.5), model])


def nested_several():
    image = keras.Input((8, 8, 3), name="photo")
    model = heads.attach(backbone(), {"kind": heads.ClassificationHead(2), "n": SumHead()})
    return keras.Model(image, model(layers.Rescaling(0.5)(image)))


def by_hand():
    image = keras.Input((8, 8, 3))
    return keras.Model(image, heads.ClassificationHead(2)(backbone()(image)["P1"]))


@pytest.mark.parametrize("make", [nested_backbone, nested_whole, nested_several, by_hand])
def test_deploy_finds_heads_after_saving_wherever_they_are(make, tmp_path):
    model = make()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    answer = heads.deploy(loaded, threshold=0.5)
    answer.save(tmp_path / "answer.keras")
    again = keras.saving.load_model(tmp_path / "answer.keras")
    raw = array(model(IMAGES)["kind"] if make is nested_several else model(IMAGES))
    prefix = "kind_" if make is nested_several else ""
    for each in (answer, again):
        y = each(IMAGES)
        p = array(y[prefix + "probabilities"])
        np.testing.assert_allclose(p, softmax(raw), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(array(y[prefix + "labels"]), p[:, 1] >= 0.5)
    if make is nested_several:
        np.testing.assert_allclose(array(y["n"]), array(model(IMAGES)["n"]), rtol=1e-5)


def test_deployed_model_shares_weights():
    model = heads.attach(backbone(), heads.ClassificationHead(3))
    answer = heads.deploy(model)
    before = array(answer(IMAGES))
    model.compile(keras.optimizers.SGD(1.0), loss=heads.losses(model))
    model.fit(IMAGES, np.arange(16) % 3, verbose=0)
    assert np.abs(array(answer(IMAGES)) - before).max() > 1e-3


def test_head_without_its_own_parts():
    class Bare(heads.Head):
        def call(self, x):
            return ops.mean(x, axis=(1, 2))

    head = Bare()
    model = heads.attach(backbone(), head)
    with pytest.raises(NotImplementedError, match="Bare"):
        head.loss()
    assert head.metrics() == [] and head.check(np.zeros(3)) == [] == head.doubts(np.zeros(3))
    np.testing.assert_array_equal(array(heads.deploy(model)(IMAGES)), array(model(IMAGES)))
    assert heads.deploy(model).output_names == ["answer"]


@on_tensorflow
def test_deployed_model_becomes_a_file_of_built_in_ops(tmp_path):
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    answer = heads.deploy(heads.attach(backbone(), several()), threshold=0.45)
    archive = keras.export.ExportArchive()
    archive.track(answer)
    archive.add_endpoint(
        "serve",
        lambda x: answer(x, training=False),
        input_signature=[tf.TensorSpec((16, 8, 8, 3), "float32", name="image")],
    )
    archive.write_out(tmp_path, verbose=False)
    content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path)).convert()
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    outputs, expected = runner(image=IMAGES), answer(IMAGES)
    assert set(outputs) == set(expected)
    for key in expected:
        assert outputs[key].dtype == array(expected[key]).dtype
        np.testing.assert_allclose(outputs[key], array(expected[key]), rtol=1e-4, atol=1e-5)


def test_nothing_may_stand_behind_or_beside_a_head():
    """What a model adds to its heads' outputs would be lost without a word."""
    x = keras.Input((4,))
    model = heads.attach(keras.Model(x, x), heads.ClassificationHead(2))
    twice = keras.Input((4,))
    wrong = [
        keras.Model(twice, (model(twice) + model(-twice)) / 2),
        keras.Model(twice, keras.layers.Rescaling(5.0)(model(twice))),
        keras.Model(twice, {"kind": model(twice), "more": keras.layers.Dense(2)(twice)}),
        heads.deploy(model, threshold=0.3),
    ]
    for each in wrong:
        with pytest.raises(ValueError, match="nothing behind or beside them. Received: "):
            heads.deploy(each)


def twins():
    """Two models with heads of one name, on one input."""
    made = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        head = heads.ClassificationHead(3, name="head")
        made.append(heads.attach(backbone(), head, name=f"model{seed}"))
    return made


def test_heads_of_joined_models_are_named_by_the_outputs():
    first, second = twins()
    image = keras.Input(IMAGES.shape[1:])
    both = keras.Model(image, {"a": first(image), "b": second(image)})
    assert sorted(heads.losses(both)) == sorted(heads.metrics(both)) == ["a", "b"]
    targets = dict.fromkeys("ab", np.arange(len(IMAGES)) % 3)
    heads.check_targets((IMAGES, targets), both)
    both.compile("sgd", loss=heads.losses(both), metrics=heads.metrics(both))
    both.train_on_batch(IMAGES, targets)
    answer = heads.deploy(both)(IMAGES)
    for key, model in {"a": first, "b": second}.items():
        expected = array(heads.deploy(model)(IMAGES))
        np.testing.assert_allclose(array(answer[key]), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="a name of its own. Received: head, head"):
        heads.deploy(keras.Model(image, [first(image), second(image)]))


def test_a_model_that_is_used_twice_answers_twice():
    model, _ = twins()
    left, right = (keras.Input(IMAGES.shape[1:]) for _ in range(2))
    both = keras.Model([left, right], {"left": model(left), "right": model(right)})
    mirrored = IMAGES[:, ::-1]
    answer = heads.deploy(both)([IMAGES, mirrored])
    for key, x in {"left": IMAGES, "right": mirrored}.items():
        expected = array(heads.deploy(model)(x))
        np.testing.assert_allclose(array(answer[key]), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="a name of its own"):
        heads.deploy(keras.Model([left, right], [model(left), model(right)]))


def test_options_reach_the_nested_head_they_name():
    made = [
        heads.attach(backbone(), heads.ClassificationHead(2, name="head"), name=f"model_{key}")
        for key in "ab"
    ]
    image = keras.Input(IMAGES.shape[1:])
    both = keras.Model(image, {key: model(image) for key, model in zip("ab", made)})
    answer = heads.deploy(both, a={"threshold": 0.0})(IMAGES)
    assert sorted(answer) == ["a_labels", "a_probabilities", "b"]
