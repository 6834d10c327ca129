"""Recommendation: losses and scores against loops, towers, histories, catalogues and files."""

import keras
import numpy as np
import pytest

import backbones
import blocks
import heads
from tests.slow import some_slow

RNG = np.random.default_rng(0)
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="files are written from TensorFlow"
)


def array(x):
    return keras.ops.convert_to_numpy(x)


def softmax_loss(logits, own):
    return np.log(np.exp(logits).sum()) - logits[own]


@pytest.mark.parametrize("hard", [None, 2])
def test_in_batch_softmax_is_its_formula(hard):
    users, items = RNG.normal(size=(2, 5, 3))
    ids, log_q = np.array([4, 1, 4, 0, 7]), np.log([0.4, 0.2, 0.4, 0.1, 0.3])
    expected = []
    for i in range(5):
        logits = {j: users[i] @ items[j] / 0.5 - log_q[j] for j in range(5)}
        negatives = sorted((x for j, x in logits.items() if ids[j] != ids[i]), reverse=True)[:hard]
        expected.append(softmax_loss(np.array([logits[i], *negatives]), 0))
    raw = np.concatenate([users, items], -1)
    targets = np.stack([ids, log_q], -1)
    loss = heads.InBatchSoftmax(0.5, hard)
    assert float(loss(targets, raw)) == pytest.approx(np.mean(expected), rel=1e-5)
    plain = heads.InBatchSoftmax(0.5, hard)(np.stack([ids, 0 * log_q], -1), raw)
    assert float(heads.InBatchSoftmax(0.5, hard)(ids, raw)) == pytest.approx(float(plain))


def test_in_batch_recall_is_a_loop():
    users, items = RNG.normal(size=(2, 7, 3))
    ids = np.array([4, 1, 4, 0, 7, 2, 2])
    hits = []
    for i in range(7):
        better = [
            j for j in range(7) if ids[j] != ids[i] and users[i] @ items[j] >= users[i] @ items[i]
        ]
        hits.append(len(better) < 2)
    metric = heads.InBatchRecall(2)
    metric.update_state(ids, np.concatenate([users, items], -1))
    assert float(metric.result()) == pytest.approx(np.mean(hits))


def test_what_has_come_to_be_nan_finds_nothing():
    metric, lost = heads.InBatchRecall(1), np.full((4, 4), np.nan)
    metric.update_state(np.arange(4), lost)
    assert float(metric.result()) == 0
    for sampled in (True, False):
        metric = heads.NextItemRecall(1, sampled)
        metric.update_state(np.array([[1, 2, 3]]), lost[None, :2])
        assert float(metric.result()) == 0
    assert heads.ranks_of([np.nan], np.ones((1, 3))).tolist() == [3]
    for ranks in ([], [np.nan]):
        with pytest.raises(ValueError, match="Received: "):
            heads.rank_scores(ranks, protocol="x")


def test_equal_vectors_find_nothing():
    metric, same = heads.InBatchRecall(1), np.tile(RNG.normal(size=(1, 64)), (50, 2))
    metric.update_state(np.arange(50), same / np.linalg.norm(same[0, :64]))
    assert float(metric.result()) == 0


@pytest.mark.parametrize("kind", ["binary", "squared", "pairwise", "listwise"])
def test_ranking_losses_are_their_formulas(kind):
    x = RNG.normal(size=(3, 4))
    y = np.array([[1, 0, 2, -1], [0, 0, 1, 3], [1, -1, -1, -1]], "float64")
    if kind in ("binary", "squared"):
        x, y = x.reshape(-1, 1), (y.reshape(-1, 1) > 0) * 1.0
    expected = []
    for row, grades in zip(x, y):
        real = grades >= 0
        if kind == "binary":
            p = 1 / (1 + np.exp(-row[0]))
            expected.append(-np.log(p if grades[0] else 1 - p))
        elif kind == "squared":
            expected.append((row[0] - grades[0]) ** 2)
        elif kind == "pairwise":
            pairs = [(a, b) for a, g in zip(row, grades) for b, h in zip(row, grades) if g > h >= 0]
            expected.append(np.mean([np.log1p(np.exp(b - a)) for a, b in pairs]) if pairs else 0)
        else:
            shares = grades[real] / grades[real].sum()
            log_p = row[real] - np.log(np.exp(row[real]).sum())
            expected.append(-(shares * log_p).sum())
    found = heads.RankingLoss(kind)(y, x)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-5)


def test_next_item_is_its_formula():
    history = np.array([[0, 0, 3, 1, 2], [0, 5, 4, 0, 1]])
    logits = RNG.normal(size=(2, 4, 6))
    losses = [softmax_loss(logits[0, 2], 0), softmax_loss(logits[0, 3], 0)]
    losses += [softmax_loss(logits[1, 1], 0)]  # nothing follows where a step is missing
    assert float(heads.NextItem()(history, logits)) == pytest.approx(np.mean(losses), rel=1e-5)
    losses = [softmax_loss(logits[0, 2], 1), softmax_loss(logits[0, 3], 2)]
    losses += [softmax_loss(logits[1, 1], 4)]
    assert float(heads.NextItem(False)(history, logits)) == pytest.approx(np.mean(losses), rel=1e-5)
    longer = np.concatenate([[[9], [9]], history], 1)
    assert float(heads.NextItem()(longer, logits)) == float(heads.NextItem()(history, logits))
    assert float(heads.NextItem()(np.zeros((2, 5)), logits)) == 0
    unknown = np.array([[0, 0, 3, 1, 2], [0, 5, 4, -1, 99]])  # as where there is none
    expected = float(heads.NextItem(False)(history, logits))
    assert float(heads.NextItem(False)(unknown, logits)) == pytest.approx(expected)
    expected = float(heads.NextItem()(history, logits))
    assert float(heads.NextItem(True, 5)(unknown, logits)) == pytest.approx(expected)
    metric = heads.NextItemRecall(2)
    metric.update_state(history, logits)
    hits = [(logits[i, j] >= logits[i, j, 0]).sum() <= 2 for i, j in ((0, 2), (0, 3), (1, 1))]
    assert metric.name == "sampled_recall_2" and float(metric.result()) == pytest.approx(
        np.mean(hits)
    )


def test_scores_are_those_of_the_papers():
    found = np.array([[3, 7, 1, 0], [4, 9, 2, 5], [8, 1, 0, 2]])
    scores = heads.recommendation_scores(found, [[3, 1, 6], [5], []], k=3, num_items=10)
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert scores == {
        "catalogue_recall_3": pytest.approx((2 / 3 + 0) / 2),
        "catalogue_hit_rate_3": 0.5,
        "catalogue_ndcg_3": pytest.approx((1 + 1 / np.log2(4)) / ideal / 2),
        "catalogue_mrr_3": 0.5,
        "catalogue_coverage_3": pytest.approx(8 / 10),
    }
    scores = heads.rank_scores([0, 9, 10], k=10, protocol="sampled100")
    assert scores["sampled100_hit_rate_10"] == pytest.approx(2 / 3)
    assert scores["sampled100_ndcg_10"] == pytest.approx((1 + 1 / np.log2(11)) / 3)
    np.testing.assert_allclose(heads.ranks_of([2.0], np.array([[3.0, 2.0, 1.0, 2.0]])), [2.0])
    for wrong in ((found, [1, 2]), (found[:, :2], [1, 2, 3]), (found, [[], [], []])):
        with pytest.raises(ValueError, match="Received: "):
            heads.recommendation_scores(*wrong, k=3)


def towers(users=30, items=20):
    user = [keras.Input((), dtype="int32", name="user_id"), blocks.IdEmbedding(users, 8)]
    item = [keras.Input((), dtype="int32", name="item_id"), blocks.IdEmbedding(items, 8)]
    return backbones.two_towers(keras.Sequential(user), keras.Sequential(item))


def pairs(count=1500, users=30, items=20):
    u = RNG.integers(0, users, count)
    return u, (u * 7 + RNG.integers(0, 3, count)) % items


@pytest.fixture(scope="module")
def retrieval():
    keras.utils.set_random_seed(0)
    u, i = pairs()
    model = heads.attach(towers(), heads.RetrievalHead(8, temperature=0.1))
    model.compile(
        keras.optimizers.Adam(0.02), loss=heads.losses(model), metrics=heads.metrics(model)
    )
    x = {"user_id": u, "item_id": i}
    heads.check_targets((x, heads.item_targets(i)), model)
    score = heads.CatalogueScores({"user_id": u[:90]}, i[:90], np.arange(20), k=3, every=4)
    history = model.fit(x, heads.item_targets(i), 64, 12, verbose=0, callbacks=[score])
    return model, history.history


def test_retrieval_finds_what_users_take(retrieval):
    model, history = retrieval
    assert history["val_catalogue_recall_3"][-1] > 0.9
    assert history["val_catalogue_recall_3"][3] == history["val_catalogue_recall_3"][6]
    answer = heads.deploy(model, items=np.arange(20), k=3)
    assert [*answer.input] == ["user_id"]
    found = answer.predict({"user_id": np.arange(30)}, verbose=0)
    vectors = heads.deploy(model).predict(
        {"user_id": np.arange(30), "item_id": np.arange(30) % 20}, verbose=0
    )
    scores = vectors["user"] @ vectors["item"][:20].T
    np.testing.assert_array_equal(found["items"], np.argsort(-scores, -1)[:, :3])
    np.testing.assert_allclose(found["scores"], -np.sort(-scores, -1)[:, :3], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors["user"], axis=-1), 1, rtol=1e-5)


def test_items_already_seen_are_left_out(retrieval):
    model, _ = retrieval
    users = np.arange(5)
    whole = heads.deploy(model, items=np.arange(20), k=20).predict({"user_id": users}, verbose=0)
    answer = heads.deploy(model, items=np.arange(20), k=4, seen=3)
    seen = np.array([[-1] * 3, *whole["items"][1:3, :3], [whole["items"][3, 1], -1, 99], [-1] * 3])
    found = answer.predict({"user_id": users, "seen": seen}, verbose=0)["items"]
    for row, gone in enumerate(seen):
        rest = [item for item in whole["items"][row] if item not in gone]
        assert found[row].tolist() == rest[:4]
    everything = heads.deploy(model, items=np.arange(20), k=2, seen=20)
    x = {"user_id": users[:1], "seen": np.arange(20)[None]}
    assert everything.predict(x, verbose=0)["items"].tolist() == [[-1, -1]]


@on_tensorflow
@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8"])
def test_tower_and_catalogue_are_one_file(retrieval, precision, tmp_path):
    import export

    model, _ = retrieval
    answer = heads.deploy(model, items=np.arange(20), k=5, seen=2)
    x = {"user_id": np.arange(32), "seen": np.tile([[3, -1]], (32, 1))}
    answer.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    path = tmp_path / "items.tflite"
    bundle = export.to_tflite(loaded, path, precision, inputs=x, calibration=x, measure=False)
    assert sorted(tensor.name for tensor in bundle.inputs) == ["seen", "user_id"]
    odd = {"user_id": np.array([-1, 10**6]), "seen": np.array([[0, 0], [10**6, -5]])}
    found = export.predict(path, odd)["items"]
    assert found.shape == (2, 5) and (found >= 0).all() and 0 not in found[0]


def test_a_catalogue_may_name_an_item_twice(retrieval):
    """Answers are rows of the catalogue; equal ones have equal scores."""
    model, _ = retrieval
    answer = heads.deploy(model, items=[4, 4, 9], k=3)
    found = answer.predict({"user_id": np.arange(6)}, verbose=0)
    for items, scores in zip(found["items"], found["scores"]):
        of = dict(zip(items.tolist(), scores))
        assert set(of) == {0, 1, 2} and of[0] == pytest.approx(of[1], rel=1e-5)


def test_what_does_not_fit_a_catalogue_is_told(retrieval):
    model, _ = retrieval
    with pytest.raises(ValueError, match="number of items, 20. Received: k=21"):
        heads.deploy(model, items=np.arange(20), k=21)
    with pytest.raises(ValueError, match="item's inputs, item_id. Received: item"):
        heads.deploy(model, items={"item": np.arange(20)})
    with pytest.raises(ValueError, match="names of their own. Received: id in both"):
        tower = [keras.Input((4,), name="id"), keras.layers.Dense(2)]
        backbones.two_towers(*(keras.Sequential(tower) for _ in "ab"))
    for items in (np.array([]), np.int64(3)):
        with pytest.raises(ValueError, match="A catalogue has items"):
            heads.deploy(model, items=items, k=1)
    odd = heads.attach(towers(), heads.RetrievalHead(8, normalize=False))
    weight = odd.layers[-1].item.project.kernel
    weight.assign(weight + np.inf)
    with pytest.raises(ValueError, match="must be finite. Received: other numbers of item 0"):
        heads.deploy(odd, items=np.arange(20), k=1)
    inner = heads.attach(towers(), heads.RetrievalHead(8))
    outer = keras.Model(inner.input, inner({k: x * 1 for k, x in inner.input.items()}))
    with pytest.raises(ValueError, match="cannot be inside of another model"):
        heads.deploy(outer, items=np.arange(20), k=1)
    for seen in (-1, True, [3, 4]):
        with pytest.raises(ValueError, match="`seen` must be a number"):
            heads.deploy(model, items=np.arange(20), k=1, seen=seen)
    x = keras.Input((3,), name="seen")
    items = keras.Model((y := keras.Input((2,), name="item")), keras.layers.Dense(4)(y))
    taken = backbones.two_towers(keras.Model(x, keras.layers.Dense(4)(x)), items)
    with pytest.raises(ValueError, match="no other may have it. Received: inputs seen"):
        model = heads.attach(taken, heads.RetrievalHead(8))
        heads.deploy(model, items=np.ones((5, 2)), k=1, seen=3)
    for wrong in ([0.5, 1], [-1, 2], [2**25, 1], np.ones((2, 3))):
        with pytest.raises(ValueError, match="Received: "):
            heads.check_targets(np.array(wrong), heads.RetrievalHead())
    with pytest.raises(ValueError, match="`counts` must be above 0"):
        heads.item_targets([0, 3], counts=[1, 1])
    for wrong in ([1, np.nan], [1, 1, -5], [[1, 1], [2, 2]]):
        with pytest.raises(ValueError, match="from 0 on for each item. Received: "):
            heads.item_targets([0, 1], counts=wrong)


def cycles(count=300, length=10, items=12):
    """Histories in which each item is followed by the next one."""
    start = RNG.integers(0, items, count)
    found = (np.arange(length) + start[:, None]) % items + 1
    found[: count // 3, : length // 2] = 0
    return found


@pytest.mark.parametrize("kind", ["attention", "gru"])
@pytest.mark.parametrize("negatives", some_slow([6, None], None))
def test_what_comes_next_is_learned(kind, negatives):
    keras.utils.set_random_seed(0)
    x = cycles()
    head = heads.SequentialHead(12, 16, 1, kind=kind, length=10, negatives=negatives, dropout=0.0)
    ids = keras.Input((10,), dtype="int32", name="items")
    model = heads.attach(keras.Model(ids, ids), head)
    heads.check_targets(x, head)
    model.compile(
        keras.optimizers.Adam(0.01), loss=heads.losses(model), metrics=heads.metrics(model)
    )
    model.fit(x, x, epochs=10, verbose=0)
    answer = heads.deploy(model, k=2)
    found = answer.predict(x, verbose=0)["items"]
    fresh = [row[-1] % 12 + 1 not in row for row in x]
    assert (found[fresh, 0] == x[fresh, -1] % 12 + 1).mean() > 0.95
    assert not any(set(a) & set(b) for a, b in zip(found, x))  # nothing of the history
    again = heads.deploy(model, k=1, again=True).predict(x, verbose=0)["items"]
    assert (again[:, 0] == x[:, -1] % 12 + 1).mean() > 0.95
    odd = np.array([[0] * 10, [99] * 9 + [3], [-4] * 10])
    found = answer.predict(odd, verbose=0)
    assert np.isfinite(found["scores"]).all() and (found["items"] >= 1).all()
    np.testing.assert_array_equal(found["items"][0], found["items"][2])
    with pytest.raises(ValueError, match="number of items, 12. Received: k=13"):
        heads.deploy(model, k=13)


def test_a_histories_weight_is_that_of_all_its_steps():
    x, logits = np.array([[0, 3, 1], [2, 3, 4]]), RNG.normal(size=(2, 2, 5)).astype("float32")
    loss = heads.NextItem()
    once = [float(loss(x, logits, sample_weight=np.array(w))) for w in ([2.0, 0], [0, 2.0])]
    assert np.mean(once) == pytest.approx(float(loss(x, logits)), rel=1e-5)
    log_p = logits[0, 1] - np.log(np.exp(logits[0, 1]).sum())
    assert once[0] == pytest.approx(-2 * log_p[0] / 3, rel=1e-4)  # of three steps in all


def test_the_area_of_rare_clicks_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics", reason="needs pip install scikit-learn")
    y = (RNG.random(4000) < 0.05).astype(int)
    logits = (RNG.normal(-9, 1, 4000) + 2 * y).astype("float32")
    weights = RNG.uniform(0.5, 2, (4000, 1))
    metric = heads.RankingAUC()
    metric.update_state(y, logits[:, None], weights)
    expected = metrics.roc_auc_score(y, logits, sample_weight=weights[:, 0])
    assert float(metric.result()) == pytest.approx(expected, abs=0.003)


def test_longer_histories_are_cut():
    head = heads.SequentialHead(12, 8, 1, length=5, negatives=3)
    x = cycles(4)
    np.testing.assert_allclose(array(head(x)), array(head(x[:, -5:])), rtol=1e-5)


@on_tensorflow
@pytest.mark.parametrize("kind", ["attention", "gru"])
def test_histories_are_read_by_a_file(kind, tmp_path):
    import export

    head = heads.SequentialHead(12, 16, 1, kind=kind, length=10, negatives=3)
    ids = keras.Input((10,), dtype="int32", name="items")
    answer = heads.deploy(heads.attach(keras.Model(ids, ids), head), k=3)
    answer.save(tmp_path / "answer.keras")
    loaded = keras.saving.load_model(tmp_path / "answer.keras")
    x = cycles(9)
    for key, value in answer.predict(x, verbose=0).items():
        np.testing.assert_allclose(loaded.predict(x, verbose=0)[key], value, rtol=1e-5)
    for precision in ("float32", "dynamic"):
        path = tmp_path / f"{precision}.tflite"
        export.to_tflite(answer, path, precision, inputs=cycles(40), measure=False)
        empty = export.predict(path, np.zeros((1, 10), "int32"))
        assert (empty["items"] >= 1).all()


def test_histories_that_are_none_are_told():
    head = heads.SequentialHead(5, 4, 1, negatives=2)
    for wrong in ([[0, 1, 6]], [[1, 0, 2], [1, 2, 0]], [[0.5, 1, 2]], [1, 2], [[1]]):
        with pytest.raises(ValueError, match="Received: "):
            heads.check_targets(np.array(wrong), head)
    with pytest.warns(UserWarning, match="1 of 2 histories have no step"):
        heads.check_targets(np.array([[0, 0, 3], [1, 2, 3]]), head)


def test_events_become_histories():
    found, users = heads.histories([5, 9, 5, 5, 9], [1, 2, 3, 4, 5], [3.0, 1, 1, 2, 1], length=2)
    assert users.tolist() == [5, 9] and found.tolist() == [[4, 1], [2, 5]]
    assert heads.histories([], np.array([], int), length=3)[0].shape == (0, 3)
    dates = np.array(["2024-01-02", "2024-01-01", "2023-12-31"], "datetime64[D]")  # in no order
    assert heads.histories([1, 1, 1], [7, 8, 9], dates, length=3)[0].tolist() == [[9, 8, 7]]
    several = (
        ([1], [0]),
        ([1], [0.5]),
        ([1, 2], [3]),
        ([1], [2**40]),
        ([1, 1], [2, 3], [1.0, np.nan]),
        ([1, 1], [2, 3], ["10", "9"]),
        ([1, 1], [2, 3], np.array(["NaT", "2020"], "datetime64[D]")),
        ([1, None], [2, 3]),
        ([1.0, np.nan], [2, 3]),
        (np.array(["NaT", "2020"], "datetime64[ns]"), [2, 3]),
        (np.array([1, "a"], object), [2, 3]),
        ([[1], [2]], [3, 4]),
        ([1, 2], [[3], [4]]),
    )
    for wrong in several:
        with pytest.raises(ValueError, match="Received: "):
            heads.histories(*wrong)


def test_ranking_learns_which_pairs_belong_together():
    """User and item belong together where their numbers are odd or even alike."""
    u, i = RNG.integers(0, 10, (2, 3000))
    y = (u + i) % 2
    table = heads.Table.of({"user": u.astype(str), "item": i.astype(str)})
    x = table({"user": u.astype(str), "item": i.astype(str)})
    for kind in ("cross", "fm", "dot", "ncf", "deep"):
        keras.utils.set_random_seed(0)
        head = heads.RankingHead(kind, [16], depth=1)
        model = heads.attach(backbones.column_tokens(table.columns, 8), head)
        heads.check_targets(y, head)
        model.compile(
            keras.optimizers.Adam(0.01), loss=heads.losses(model), metrics=heads.metrics(model)
        )
        history = model.fit(x, y, epochs=8, verbose=0)
        assert history.history["auc"][-1] > 0.95, kind
        p = heads.deploy(model).predict(x, verbose=0)
        assert (p >= 0).all() and (p <= 1).all() and ((p[:, 0] > 0.5) == y).mean() > 0.9


def test_targets_of_ranking_are_checked():
    head = heads.RankingHead("deep", [4])
    with pytest.raises(ValueError, match="ratings are learned by loss='squared'"):
        heads.check_targets(np.array([4, 10]), head)
    for wrong in ([0.5, 1], [2, 0], [[0, 1]], [np.nan, 1]):
        with pytest.raises(ValueError, match="Received: "):
            heads.check_targets(np.array(wrong), head)
    with pytest.warns(UserWarning, match="All targets are 1"):
        heads.check_targets(np.ones(4), head)


def test_bags_are_weighted_means():
    layer = blocks.BagEmbedding(5, 3)
    ids, weights = np.array([[1, 4, -1], [-1, -1, -1], [7, 2, 2]]), RNG.uniform(0.1, 1, (3, 3))
    found = array(layer([ids, weights.astype("float32")]))
    table = array(layer.vectors)
    np.testing.assert_allclose(
        found[0], (weights[0, :2, None] * table[[1, 4]]).sum(0) / weights[0, :2].sum(), rtol=1e-4
    )
    assert not found[1].any()
    np.testing.assert_allclose(
        found[2], (weights[2, :, None] * table[[0, 2, 2]]).sum(0) / weights[2].sum(), rtol=1e-4
    )
    np.testing.assert_allclose(array(layer(ids))[0], table[[1, 4]].mean(0), rtol=1e-4)
    root = blocks.BagEmbedding(5, 3, combiner="sqrtn")
    found = array(root(ids))
    np.testing.assert_allclose(found[0], array(root.vectors)[[1, 4]].sum(0) / 2**0.5, rtol=1e-4)


def test_a_share_of_ids_is_unknown_in_training():
    ids = np.arange(1, 5001).reshape(50, 100)
    layer = blocks.IdDropout(0.3, seed=1)
    np.testing.assert_array_equal(array(layer(ids)), ids)
    assert (array(layer(-ids, training=True)) == -ids).all()  # none stays none
    found = array(layer(ids, training=True))
    assert abs((found == 0).mean() - 0.3) < 0.03 and (found[found > 0] == ids[found > 0]).all()
    table = heads.Table.of({"a": list("abcd")})
    model = backbones.column_tokens(table.columns, 3, unknown=0.5)
    x = table({"a": list("abcd") * 20})
    found = array(model(x, training=True)["tokens"])
    unknown = array(model({"categorical": np.zeros((1, 1))})["tokens"])[0]
    assert 10 < (found == unknown).all((1, 2)).sum() < 70
    np.testing.assert_array_equal(array(model(x)["tokens"])[0], array(model(x)["tokens"])[4])


def test_ids_that_are_unknown_have_the_first_vector():
    layer = blocks.IdEmbedding(4, 2)
    x = array(layer(np.array([0, 3, 4, -1, 2**31 - 1])))
    np.testing.assert_array_equal(x[[2, 3, 4]], x[[0, 0, 0]])
    hashed = blocks.IdEmbedding(4, 2, hashed=True)
    x = array(hashed(np.array([1, 5, -3, 2**31 - 3])))
    np.testing.assert_array_equal(x[1:], x[[0, 0, 0]])
