"""Values of what relates features, and of what makes vectors of columns."""

import keras
import numpy as np
import pytest

import blocks

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape).astype("float32")


def array(x):
    return keras.ops.convert_to_numpy(x)


def built(layer, x):
    layer(x)
    for w in layer.weights:
        w.assign(normal(*w.shape))
    return layer, {w.path.split("/", 1)[1]: array(w) for w in layer.weights}


def test_crosses_are_the_papers():
    x = normal(3, 5)
    layer, w = built(blocks.CrossNetwork(2, name="x"), x)
    found = x
    for i in range(2):
        kernel, bias = w[f"cross{i}/widen0/kernel"], w[f"cross{i}/widen0/bias"]
        found = x * (found @ kernel + bias) + found
    np.testing.assert_allclose(array(layer(x)), found, rtol=1e-4, atol=1e-4)


def test_low_rank_experts_are_mixed_by_a_softmax():
    x = normal(3, 5)
    options = {"rank": 2, "experts": 3, "activation": "tanh"}
    layer, w = built(blocks.CrossNetwork(1, **options, name="x"), x)
    w = {key.split("/", 1)[1]: value for key, value in w.items()}
    gates = np.exp(x @ w["gate/kernel"] + w["gate/bias"])
    gates /= gates.sum(-1, keepdims=True)
    found = x.copy()
    for i in range(3):
        inner = np.tanh(np.tanh(x @ w[f"narrow{i}/kernel"]) @ w[f"mix{i}/kernel"])
        expert = x * (inner @ w[f"widen{i}/kernel"] + w[f"widen{i}/bias"])
        found += gates[:, i : i + 1] * expert
    np.testing.assert_allclose(array(layer(x)), found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("own", [False, True])
def test_dot_interaction_is_a_loop_over_pairs(own):
    vectors = [normal(2, 6) for _ in range(4)]
    found = array(blocks.DotInteraction(own)(vectors))
    pairs = [(i, j) for i in range(4) for j in range(i + own)]
    expected = np.stack([(vectors[i] * vectors[j]).sum(-1) for i, j in pairs], -1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_factorization_machine_is_the_sum_over_pairs():
    x = normal(2, 5, 6)
    pairs = [x[:, i] * x[:, j] for i in range(5) for j in range(i)]
    apart = array(blocks.FactorizationMachine(reduce=False)(x))
    np.testing.assert_allclose(apart, sum(pairs), rtol=1e-4, atol=1e-4)
    together = array(blocks.FactorizationMachine()(x))
    np.testing.assert_allclose(together[:, 0], sum(pairs).sum(-1), rtol=1e-4, atol=1e-4)


def test_tokens_of_numbers_and_categories():
    columns = {"numeric": normal(2, 2), "categorical": np.array([[1, 4], [0, 2]], "int32")}
    layer, w = built(blocks.FeatureTokenizer(3, [2, 5], class_token=True, name="x"), columns)
    found = array(layer(columns))
    for row in range(2):
        np.testing.assert_allclose(found[row, 0], w["token"][0, 0])
        for j in range(2):
            number = columns["numeric"][row, j] * w["directions"][j] + w["offsets"][j]
            np.testing.assert_allclose(found[row, 1 + j], number, rtol=1e-5)
            place = [0, 2][j] + columns["categorical"][row, j]
            category = w["vectors"][place] + w["offsets"][2 + j]
            np.testing.assert_allclose(found[row, 3 + j], category, rtol=1e-5)


def test_ids_that_are_unknown_are_the_first_category():
    layer = blocks.FeatureTokenizer(3, [2, 5])
    first = array(layer({"categorical": np.array([[0, 0]])}))
    for ids in ([-1, 5], [2, 2**31 - 1], [-(2**31), -7]):
        np.testing.assert_array_equal(array(layer({"categorical": np.array([ids])})), first)


def test_periodic_embedding_is_the_papers():
    x = normal(3, 2)
    layer, w = built(blocks.PeriodicEmbedding(4, 5, 0.5, name="x"), x)
    turns = 2 * np.pi * w["waves/coefficients"] * x[:, :, None]
    waves = np.concatenate([np.cos(turns), np.sin(turns)], -1)
    columns = [
        waves[:, j] @ w["project/kernel"][j] + w["project/bias"][j] for j in range(x.shape[1])
    ]
    expected = np.maximum(np.stack(columns, 1), 0)
    np.testing.assert_allclose(array(layer(x)), expected, rtol=1e-3, atol=1e-3)


def test_film_scales_and_shifts_every_channel():
    x, condition = normal(2, 3, 4, 5), normal(2, 6)
    layer, w = built(blocks.FiLM(name="x"), [x, condition])
    scale, shift = (condition @ w[f"{k}/kernel"] + w[f"{k}/bias"] for k in ("scale", "shift"))
    expected = x * (1 + scale[:, None, None]) + shift[:, None, None]
    np.testing.assert_allclose(array(layer([x, condition])), expected, rtol=1e-4, atol=1e-4)


def test_bilinear_fusion_is_a_product_of_factors():
    x, y = normal(2, 3), normal(2, 5)
    layer, w = built(blocks.BilinearFusion(4, 6, name="x"), [x, y])
    factors = [
        np.tanh(v @ w[f"project{i}/kernel"] + w[f"project{i}/bias"]) for i, v in enumerate((x, y))
    ]
    expected = factors[0] * factors[1] @ w["dense/kernel"] + w["dense/bias"]
    np.testing.assert_allclose(array(layer([x, y])), expected, rtol=1e-4, atol=1e-4)


def test_missing_inputs_are_their_learned_vectors():
    image, table = normal(3, 4, 4, 2), normal(3, 5)
    layer, w = built(blocks.ModalityDropout(0.5, name="x"), [image, table, np.ones((3, 2))])
    there = np.array([[1, 1], [0, 1], [1, 0]], "float32")
    seen, read = map(array, layer([image, table, there]))
    np.testing.assert_array_equal(seen[[0, 2]], image[[0, 2]])
    np.testing.assert_allclose(seen[1], np.broadcast_to(w["missing0"], (4, 4, 2)))
    np.testing.assert_array_equal(read[:2], table[:2])
    np.testing.assert_allclose(read[2], w["missing1"])
    wild = [1e6 * (1 - there[:, 0, None, None, None]) + image, table, there]
    np.testing.assert_array_equal(array(layer(wild)[0]), seen)  # what stands there does not matter


def test_inputs_are_taken_away_in_training_but_never_all():
    ones = np.ones((4000, 1), "float32")
    there = np.ones((4000, 2), "float32")
    there[:1000, 0] = 0
    layer = blocks.ModalityDropout(0.3, seed=1)
    first, second = (array(x)[:, 0] for x in layer([ones, ones, there], training=True))
    assert ((first == 0) | (first == 1)).all()
    assert not first[:1000].any() and second[:1000].all()  # the last one left stays
    both, neither = first[1000:] * second[1000:], (1 - first[1000:]) * (1 - second[1000:])
    assert not neither.any()
    # both stay with 0.7 * 0.7, and where both were taken away
    assert both.mean() == pytest.approx(0.49 + 0.09, abs=0.03)
