"""Several tasks on experts that they share."""

import keras
import numpy as np
import pytest

import blocks
import export
import heads
from blocks.experts import mixed
from tests.test_contract import array


def rows(count=512, noise=1.0, seed=0):
    """Two numbers of one input, one of them noisy, and the sign of a third."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 6)).astype("float32")
    y = {
        "clear": x[:, :1] - x[:, 1:2],
        "noisy": x[:, 2:3] + noise * rng.normal(size=(count, 1)).astype("float32"),
        "sign": (x[:, 3] > 0).astype("int32"),
    }
    return x, y


def three(**kwargs):
    tasks = {
        "clear": heads.RegressionHead(),
        "noisy": heads.RegressionHead(),
        "sign": heads.ClassificationHead(2),
    }
    head = heads.MultiTaskHead(tasks, 32, 3, name="tasks", **kwargs)
    x = keras.Input((6,), name="x")
    return heads.attach(keras.Model(x, keras.layers.Dense(32, "relu")(x)), head)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    model = three()
    x, y = rows(2048)
    model.compile(
        keras.optimizers.Adam(1e-2), loss=heads.losses(model), metrics=heads.metrics(model)
    )
    model.fit(x, y, batch_size=64, epochs=12, verbose=0)
    return model


def test_experts_are_mixed_by_a_softmax_of_each_task():
    layer = blocks.MixtureOfExperts(2, 4, 3)
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    found = [array(y) for y in layer(x)]
    parts = [np.maximum(x @ array(e.kernel) + array(e.bias), 0) for e in layer.experts]
    for y, gate in zip(found, layer.gates):
        logits = x @ array(gate.kernel) + array(gate.bias)
        shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        expected = sum(shares[:, i : i + 1] * part for i, part in enumerate(parts))
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    assert mixed(np.ones((1, 1)), [np.full((1, 2), 3.0)]).tolist() == [[3.0, 3.0]]


def test_a_loss_is_weighted_by_what_it_learned():
    y = np.array([[1.0], [2.0]], "float32")
    raw = np.array([[3.0, 0.7], [2.0, 0.7]], "float32")
    loss = heads.WeightedLoss("mean_squared_error")
    assert float(loss(y, raw)) == pytest.approx(np.exp(-0.7) * 2.0 + 0.35, rel=1e-5)


def test_a_noisy_task_weighs_less(trained):
    head = trained.get_layer("tasks")
    weights = {key: float(array(layer.value)[0]) for key, layer in head.appended.items()}
    assert weights["noisy"] > weights["clear"] + 1
    assert weights["noisy"] == pytest.approx(np.log(2), abs=0.4)  # twice a loss of 1


def test_all_tasks_are_learned_and_deployed(trained, tmp_path):
    x, y = rows(512, noise=0.0, seed=1)
    found = trained.evaluate(x, y, return_dict=True, verbose=0)
    assert {"clear_loss", "noisy_loss", "sign_loss"} <= set(found)
    answer = heads.deploy(trained)
    assert sorted(answer.output) == ["clear", "noisy", "sign"]
    answers = answer.predict(x, verbose=0)
    assert np.abs(answers["clear"] - y["clear"]).mean() < 0.2
    assert np.abs(answers["noisy"] - y["noisy"]).mean() < 0.3
    assert (answers["sign"].argmax(-1) == y["sign"]).mean() > 0.95
    trained.save(tmp_path / "model.keras")
    again = heads.deploy(keras.models.load_model(tmp_path / "model.keras"))
    for key, value in again.predict(x, verbose=0).items():
        np.testing.assert_array_equal(value, answers[key])


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs KERAS_BACKEND=tensorflow"
)
def test_the_answers_are_one_file(trained, tmp_path):
    x, _ = rows(64, seed=2)
    path = tmp_path / "tasks.tflite"
    bundle = export.to_tflite(heads.deploy(trained), path, inputs=x, measure=False)
    assert bundle.parity.passed
    assert sorted(export.predict(path, x)) == ["clear", "noisy", "sign"]


def test_targets_of_each_task_are_checked(trained):
    x, y = rows(16)
    assert heads.check_targets((x, y), trained) is None
    with pytest.raises(ValueError, match="sign"):
        heads.check_targets((x, {**y, "sign": y["sign"] + 5}), trained)


def test_tasks_that_could_not_be_deployed_are_refused():
    same = {"a": heads.RegressionHead(name="h"), "b": heads.ClassificationHead(2, name="h")}
    with pytest.raises(ValueError, match="a `name` of its own"):
        heads.MultiTaskHead(same)
    x = keras.Input((4,))
    several = {"a": heads.RegressionHead(name="a"), "b": heads.ClassificationHead(2, name="b")}
    beside = {"several": heads.MultiTaskHead(several), "x": heads.RegressionHead()}
    with pytest.raises(ValueError, match="stands alone"):
        heads.attach(keras.Model(x, x), beside)


def test_heads_of_levels_stand_beside_each_other():
    with pytest.raises(ValueError, match="heads.attach beside"):
        heads.MultiTaskHead({"a": heads.DetectionHead(2), "b": heads.RegressionHead()})
    with pytest.raises(ValueError, match="heads.losses"):
        three().get_layer("tasks").loss()
