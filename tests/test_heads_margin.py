"""Margins against formulas written anew, and embeddings from training to a file."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import blocks
import heads
from tests.test_heads import IMAGES, array, backbone

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs KERAS_BACKEND=tensorflow"
)
RNG = np.random.default_rng(8)


def row_by_row(kind, margin, scale, cosines, ids):
    """Return the papers' loss in float64, angle by angle."""
    losses = []
    for row, k in zip(cosines.astype("float64"), ids):
        logits = [scale * c for c in row]
        angle = np.arccos(row[k])
        if kind == "cosface":
            logits[k] = scale * (row[k] - margin)
        elif angle + margin <= np.pi:
            logits[k] = scale * np.cos(angle + margin)
        else:
            logits[k] = scale * (row[k] - margin * np.sin(margin))
        losses.append(np.log(np.sum(np.exp(np.array(logits) - logits[k]))))
    return np.mean(losses)


@pytest.mark.parametrize("scale", [64.0, 8.0])
@pytest.mark.parametrize(
    ("kind", "margin"), [("arcface", 0.5), ("arcface", 1.2), ("cosface", 0.35), ("arcface", 0.0)]
)
def test_losses_are_those_of_the_papers(kind, margin, scale):
    cosines = RNG.uniform(-1, 1, (200, 5)).astype("float32")
    ids = np.arange(200) % 5
    expected = row_by_row(kind, margin, scale, cosines, ids)
    loss = heads.MarginHead(5, loss=kind, margin=margin, scale=scale).loss()
    np.testing.assert_allclose(float(loss(ids, scale * cosines)), expected, rtol=1e-5)
    np.testing.assert_allclose(float(loss(ids[:, None], scale * cosines)), expected, rtol=1e-5)


def test_margins_of_the_papers_are_the_default():
    for kind, margin in [("arcface", 0.5), ("cosface", 0.35)]:
        loss = heads.MarginHead(3, loss=kind).loss()
        assert (loss.margin, loss.scale) == (margin, 64.0)


def test_without_margin_it_is_the_softmax_of_cosines():
    cosines, ids = RNG.uniform(-1, 1, (20, 4)).astype("float32"), np.arange(20) % 4
    plain = heads.CrossEntropy(4)(ids, 16 * cosines)
    for kind in ("arcface", "cosface"):
        loss = heads.MarginLoss(4, kind, margin=0.0, scale=16.0)
        np.testing.assert_allclose(float(loss(ids, 16 * cosines)), float(plain), rtol=1e-5)


@pytest.mark.parametrize("margin", [0.1, 0.5, 1.0, np.pi / 2])
def test_arcface_falls_with_the_angle_from_end_to_end(margin):
    from heads.margin_loss import arcface

    cosines = np.cos(np.linspace(0, np.pi, 1001)).astype("float32")
    values = array(arcface(ops.convert_to_tensor(cosines), margin))
    assert (np.diff(values) <= 1e-6).all() and np.isfinite(values).all()
    assert (values <= cosines + 1e-6).all()  # a margin never helps


@pytest.mark.parametrize("kind", ["arcface", "cosface"])
def test_slopes_are_finite_at_the_ends(kind):
    """At cosines of 1 and -1, and beyond by rounding, the root of the squared sine is steep."""
    ends = np.array([1.0, -1.0, 1.0 + 2e-7, -1.0 - 2e-7, 1 - 6e-8, 0.0], "float32")
    start = np.stack([ends, np.zeros(6)], axis=1).astype("float32")
    x = keras.Input((6,))
    model = keras.Model(x, layers.Dense(2, use_bias=False)(x))  # an embedding would hide them
    model.set_weights([64 * start])
    model.compile(keras.optimizers.SGD(1.0), loss=heads.MarginLoss(2, kind))
    model.train_on_batch(np.eye(6, dtype="float32"), np.zeros(6))
    moved = model.get_weights()[0] - 64 * start
    assert np.isfinite(moved).all() and np.abs(moved).max() < 1e3
    assert (moved[:, 0] >= 0).all()  # towards the class


def test_cosines_of_the_nearest_centre():
    keras.utils.set_random_seed(0)
    head = heads.MarginHead(3, 8, subcenters=2, scale=10.0, norm="none")
    x = RNG.normal(size=(6, 4, 5)).astype("float32")
    actual = array(head(x))
    kernel, bias = head.embed.project.get_weights()
    e = x.astype("float64").mean(axis=1) @ kernel + bias
    centers = array(head.cosines.centers).T  # the two of a class follow each other
    for i in range(6):
        for k in range(3):
            near = max(
                e[i] @ c / np.linalg.norm(e[i]) / np.linalg.norm(c)
                for c in centers[2 * k : 2 * k + 2]
            )
            np.testing.assert_allclose(actual[i, k], 10 * near, rtol=1e-4, atol=1e-5)


def test_the_order_is_that_of_the_paper():
    """BN, dropout, projection without a bias, BN."""
    keras.utils.set_random_seed(0)
    head = heads.MarginHead(3, 8)
    head(x := RNG.normal(size=(6, 5)).astype("float32"))
    for w in head.embed.weights:
        w.assign(w + RNG.uniform(0.1, 0.5, w.shape))
    before, after = head.embed.before, head.embed.after
    assert head.embed.project.bias is None and before.gamma.shape == (5,)

    def norm(x, bn):
        gamma, beta, mean, variance = bn.get_weights()
        return (x - mean) / np.sqrt(variance + bn.epsilon) * gamma + beta

    expected = norm(norm(x, before) @ head.embed.project.get_weights()[0], after)
    np.testing.assert_allclose(array(head.embed(x)), expected, rtol=1e-4, atol=1e-5)


def test_depthwise_pooling_weighs_every_position():
    head = heads.MarginHead(3, 8, pool="depthwise", norm="none")
    x = RNG.normal(size=(2, 3, 4, 5)).astype("float32")
    head(x)
    pool = head.embed.pool
    assert [w.shape for w in pool.weights] == [(3, 4, 5, 1)]
    kernel = array(pool.weights[0])[..., 0]
    np.testing.assert_allclose(array(pool(x)), (x * kernel).sum(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    wide = RNG.normal(size=(2, 3, 5, 5)).astype("float32")
    halves = [(wide[:, :, i : i + 4] * kernel).sum(axis=(1, 2)) for i in range(2)]
    np.testing.assert_allclose(array(pool(wide)), np.mean(halves, axis=0), rtol=1e-4, atol=1e-5)


def test_a_batch_of_one_row_trains_to_finite_weights():
    """Behind a batch normalization its embedding is zero, which has no direction."""
    model = heads.attach(backbone(), heads.MarginHead(3, 8))
    model.compile("sgd", loss=heads.losses(model), metrics=heads.metrics(model))
    scores = model.train_on_batch(IMAGES[:1], np.array([1]), return_dict=True)
    assert set(scores) == {"loss", "accuracy", "angle"} and np.isfinite(list(scores.values())).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_fit_learns_and_stays_finite(policy):
    keras.utils.set_random_seed(0)
    ids = np.arange(16) % 2
    x = (IMAGES + 1.5 * ids[:, None, None, None]).astype("float32")
    head = heads.MarginHead(2, 8, scale=16.0, subcenters=2, dtype=policy)
    model = heads.attach(backbone(dtype=policy), head)
    assert model.output.dtype == heads.deploy(model).output.dtype == "float32"
    model.compile(keras.optimizers.Adam(0.01), loss=head.loss(), metrics=head.metrics())
    logs = model.fit(x, ids, epochs=25, verbose=0).history
    assert np.isfinite(logs["loss"]).all() and logs["loss"][-1] < 0.3 * logs["loss"][0]
    assert logs["accuracy"][-1] == 1 and logs["angle"][-1] < logs["angle"][0] - 20


def test_scores_are_without_margin():
    y, cosines = np.array([0, 1, 1]), np.array([[0.5, 0.4], [0.6, 0.5], [-1.0, 1.0]])
    accuracy, angle = heads.MarginHead(2, scale=10.0).metrics()
    for metric in (accuracy, angle):
        metric.update_state(y, 10 * cosines)
    np.testing.assert_allclose(float(accuracy.result()), 2 / 3, rtol=1e-6)
    np.testing.assert_allclose(float(angle.result()), 40, rtol=1e-5)  # of 60, 60 and 0 degrees
    angle.reset_state()
    angle.update_state(y, 10 * cosines, sample_weight=np.array([1.0, 0.0, 1.0]))
    np.testing.assert_allclose(float(angle.result()), 30, rtol=1e-5)


def test_deploy_answers_with_embeddings_of_length_1(tmp_path):
    model = heads.attach(backbone(), heads.MarginHead(3, 8, name="who"))
    answer, raw = heads.deploy(model), heads.deploy(model, normalize=False)
    assert answer.output_names == ["embedding"] and answer.output_shape == (None, 8)
    e, long = array(answer(IMAGES)), array(raw(IMAGES))
    np.testing.assert_allclose(np.linalg.norm(e, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(e, long / np.linalg.norm(long, axis=1, keepdims=True), rtol=1e-4)
    assert np.abs(np.linalg.norm(long, axis=1) - 1).min() > 1e-3
    centers = array(model.get_layer("who").cosines.centers)
    cosines = e @ (centers / np.linalg.norm(centers, axis=0))
    np.testing.assert_allclose(array(model(IMAGES)), 64 * cosines, rtol=1e-4, atol=1e-4)
    assert not any("centers" in w.path for w in answer.weights)
    for each, name in [(model, "model"), (answer, "answer")]:
        each.save(tmp_path / f"{name}.keras")
    again = keras.saving.load_model(tmp_path / "answer.keras")
    np.testing.assert_array_equal(array(again(IMAGES)), e)
    loaded = heads.deploy(keras.saving.load_model(tmp_path / "model.keras"))
    np.testing.assert_array_equal(array(loaded(IMAGES)), e)
    np.testing.assert_allclose(array(blocks.flatten(answer)(IMAGES)), e, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="True or False. Received: 2"):
        heads.deploy(model, normalize=2)


def test_two_of_them_in_one_model():
    both = {"who": heads.MarginHead(3, 8), "where": heads.MarginHead(2, 4, norm="none")}
    model = heads.attach(backbone(), both)
    answer = heads.deploy(model, where={"normalize": False})
    assert {key: x.shape[1] for key, x in answer.output.items()} == {"who": 8, "where": 4}
    lengths = {k: np.linalg.norm(array(x), axis=1) for k, x in answer(IMAGES).items()}
    np.testing.assert_allclose(lengths["who"], 1, rtol=1e-5)
    assert np.abs(lengths["where"] - 1).max() > 1e-3


def test_wrong_targets_are_said():
    head = heads.MarginHead(3)
    with pytest.raises(ValueError, match="Class ids must be .* 0 to 2. Received: 3 at row 1"):
        heads.check_targets(np.array([0, 3]), head)
    with pytest.raises(ValueError, match=r"Received: shape \(3, 3\). Ids of .*argmax\(axis=1\)"):
        heads.check_targets(np.eye(3), head)
    with pytest.warns(UserWarning, match="1 of 3 classes have no row: 1"):
        heads.check_targets(np.array([0, 2]), head)
    with pytest.raises(ValueError, match="Class ids must be .*Received: "):
        head.loss()(np.array([0.0, 3.0]), np.zeros((2, 3), "float32"))
    with pytest.raises(ValueError, match="one ClassificationHead.*Received: "):
        model = heads.attach(backbone(), head)
        heads.choose_threshold(model, (IMAGES, np.arange(16) % 3))


def test_losses_and_scores_are_saved_whole():
    for made in (
        heads.MarginLoss(3, "cosface", margin=0.2, scale=8.0, name="faces"),
        heads.OwnAngle(3, scale=8.0, name="degrees"),
    ):
        saved = keras.saving.serialize_keras_object(made)
        assert saved["registered_name"] == f"keras_blocks>{type(made).__name__}"
        again = keras.saving.deserialize_keras_object(saved)
        assert again.get_config() == made.get_config()


def test_padding_of_sequences_does_not_count():
    tokens = keras.Input((5, 4))
    net = keras.Model(tokens, {"tokens": layers.Masking()(tokens)})
    model = heads.attach(net, heads.MarginHead(3, 8, name="who"))
    x = RNG.normal(size=(2, 5, 4)).astype("float32")
    x[0, 3:] = 0
    alone = array(model.get_layer("who")(x[:1, :3]))
    np.testing.assert_allclose(array(model(x))[:1], alone, rtol=1e-4, atol=1e-4)
    e = array(heads.deploy(model)(x))
    embed = model.get_layer("who").embed
    direction = array(embed(x[:1, :3]))
    np.testing.assert_allclose(e[:1], direction / np.linalg.norm(direction), rtol=1e-4, atol=1e-5)


@on_tensorflow
def test_lengths_survive_int8(tmp_path):
    """As one operation: what `keras.layers.UnitNormalization` becomes is off by a third."""
    import export

    answer = heads.deploy(heads.attach(backbone(), heads.MarginHead(3, 64, norm="none")))
    x = RNG.normal(size=(64, 8, 8, 3)).astype("float32")
    bundle = export.to_tflite(answer, tmp_path / "e.tflite", "int8", calibration=x, measure=False)
    assert export.measure(bundle.path).ops["L2_NORMALIZATION"] == 1
    e, expected = export.predict(bundle.path, x)["embedding"], array(answer(x))
    np.testing.assert_allclose(np.linalg.norm(e, axis=1), 1, atol=0.02)
    assert np.abs(e @ e.T - expected @ expected.T).max() < 0.1


@pytest.mark.parametrize(("kind", "most"), [("arcface", np.pi / 2), ("cosface", 2)])
def test_the_largest_margins_are_taken(kind, most):
    assert heads.MarginLoss(3, kind, margin=most).margin == most
