"""The benchmarks of recommenders and tables judge as they say, on made-up data."""

import json

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs pip install scipy")
pytest.importorskip("sklearn", reason="needs the extra: pip install keras-blocks[examples]")

from benchmarks import fusion, tabular  # noqa: E402  after the check that they can be
from benchmarks.recommendation import __main__ as recommendation  # noqa: E402
from benchmarks.recommendation import data, nearest, ranking, retrieval, sequential  # noqa: E402
from heads.recommendation.index import HIDDEN  # noqa: E402
from tests.slow import slow  # noqa: E402

RNG = np.random.default_rng(0)


@pytest.fixture
def games(monkeypatch):
    """Users who take each item after the one before, of 150."""
    rows = [(np.arange(length) + start) % 150 + 1 for start, length in ((0, 8), (40, 5), (90, 2))]
    offsets = np.cumsum([0, *map(len, rows)])
    found = {"items": np.concatenate(rows).astype("int32"), "offsets": offsets, "num_items": 150}
    monkeypatch.setattr(data, "load", lambda name: found)
    return rows


def test_the_last_items_are_never_trained_on(games):
    count, train, parts = data.games(6)
    assert count == 150 and train.shape == (3, 6)
    np.testing.assert_array_equal(train[0], games[0][:-2])
    np.testing.assert_array_equal(train[2], [0] * 4 + [91, 92])
    for name, cut in (("valid", -2), ("test", -1)):
        histories, target, others = parts[name]
        assert target.tolist() == [games[0][cut], games[1][cut]]
        np.testing.assert_array_equal(histories[0], games[0][:cut][-6:])
        for row, own in zip(games, others):
            assert len(set(own)) == 100 and not set(own) & set(row) and own.min() >= 1


def test_a_scorer_that_knows_is_right_by_both_protocols(games):
    _, _, parts = data.games(6)
    part = parts["test"]

    def knows(histories):
        found = np.full((len(histories), 151), -1.0)
        found[np.arange(len(histories)), histories[:, -1] % 150 + 1] = 1.0
        found[:, 0] = 9.0  # no item
        np.put_along_axis(found, histories, 5.0, 1)  # already taken
        return found

    scores = sequential.scores_of(knows, part)
    assert scores["sampled100_ndcg_10"] == scores["catalogue_ndcg_10"] == 1.0
    worst = sequential.scores_of(lambda x: -knows(x), part)
    assert worst["catalogue_hit_rate_10"] == 0.0 and HIDDEN < -1e4
    same = sequential.scores_of(lambda x: np.zeros((len(x), 151)), part)
    assert same["sampled100_mrr"] == pytest.approx(1 / 51)  # ties are half won


def test_a_rows_own_click_is_not_counted():
    keys, clicks = np.array(list("aabba")), np.array([1, 1, 1, 0, 1])
    train = np.array([0, 1, 2, 3])
    found = np.expm1(data.counted(keys, clicks, train))
    np.testing.assert_allclose(found, [1, 1, 0, 1, 2], atol=1e-9)


def test_item_knn_is_its_formula():
    rows = [np.array(x) for x in ([0, 1, 2], [0, 1], [1, 3], [4])]
    found = retrieval.nearest((5, rows, [np.array([0])], None, None), shrink=2.0)
    table = np.zeros((4, 5))
    for i, row in enumerate(rows):
        table[i, row] = 1
    pairs, sizes = table.T @ table, table.sum(0)
    similar = pairs / (np.sqrt(np.outer(sizes, sizes)) + 2.0)
    expected = np.argsort(-np.where(np.arange(5) == 0, -np.inf, similar[0]), kind="stable")
    assert found[0, :3].tolist() == expected[:3].tolist() == [1, 2, 3]
    popular = retrieval.popular((5, rows, [np.array([1])], None, None))
    assert popular[0, 0] == 0 and popular[0, -1] == 1


def test_peers_find_the_same_items():
    vectors = RNG.normal(size=(500, nearest.UNITS)).astype("float32")
    users = RNG.normal(size=(3, nearest.UNITS)).astype("float32")
    ours = nearest.index(vectors).predict_on_batch(users)["items"]
    np.testing.assert_array_equal(ours, nearest.by_numpy(vectors)(users))
    pytest.importorskip("faiss", reason='needs pip install "keras-blocks[retrieval]"')
    np.testing.assert_array_equal(ours, nearest.by_faiss(vectors)(users))


def test_ranking_prints_its_rows(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    names = ("user", "item", "cost")
    rows = {name: RNG.integers(0, 6, 400).astype(str) for name in names}
    clicks = ((rows["user"] == rows["item"]) | (RNG.random(400) < 0.1)).astype("int32")
    is_test = np.arange(400) >= 300
    monkeypatch.setattr(ranking, "apps", lambda: ({**rows}, clicks, is_test))
    monkeypatch.setattr(ranking, "KINDS", ("deep", "ncf"))
    words = ["ranking", "--ranking-epochs", "2"]
    recommendation.main(recommendation.parse(words))
    said = capsys.readouterr().out
    assert "| deep |" in said and "| ncf |" in said
    lines = (tmp_path / "runs" / "recommendation.jsonl").read_text().splitlines()
    assert [json.loads(line)["title"] for line in lines] == ["deep", "ncf"]
    recommendation.main(recommendation.parse(words))  # goes on from what is there
    assert capsys.readouterr().out.splitlines()[:4] == said.splitlines()[:4]
    assert len((tmp_path / "runs" / "recommendation.jsonl").read_text().splitlines()) == 2
    with pytest.raises(SystemExit):
        recommendation.parse(["rank"])


@slow
def test_tabular_prints_means_and_spreads(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    x = RNG.normal(size=300)
    rows = {"x": x, "kind": RNG.choice(["a", "b"], 300)}
    y = x + (rows["kind"] == "a") + RNG.normal(0, 0.1, 300)
    monkeypatch.setattr(tabular, "read", lambda name: (rows, y, np.arange(300) >= 200, False))
    words = ["--sets", "california_housing", "--models", "boosting", "mlp", "--seeds", "2"]
    tabular.main(tabular.parse([*words, "--epochs", "2"]))
    said = capsys.readouterr().out
    assert "| boosting |" in said and "| mlp |" in said and "test RMSE, 2 seeds" in said
    train, valid, test = tabular.split(np.arange(300) >= 200, 0)
    assert len({*train, *valid, *test}) == 300 and test.min() == 200 and len(valid) == 20


@slow
def test_fusion_judges_by_folds_or_by_the_test_rows(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    rows = {"area": RNG.uniform(1, 5, 60), "zipcode": RNG.choice(["a", "b"], 60)}
    features, y = RNG.normal(size=(60, 4, 6)), np.log(rows["area"] * 100)
    monkeypatch.setattr(fusion, "read", lambda: (features, rows, y, np.arange(60) >= 50))
    seen, fit = [], fusion.fit

    def watched(kind, given, train, judged, *rest):
        seen.append((sorted(train), sorted(judged)))
        return fit(kind, given, train, judged, *rest)

    monkeypatch.setattr(fusion, "fit", watched)
    monkeypatch.setattr(fusion, "FOLDS", 2)
    words = ["--seeds", "1", "--epochs", "1"]
    fusion.main(fusion.parse([*words, "--kinds", "table", "film", "attention"]))
    said = capsys.readouterr().out
    assert "| table |" in said and "| film |" in said and "+0.0 %" in said
    assert all(judged == list(range(50, 60)) and train == list(range(50)) for train, judged in seen)
    seen.clear()
    fusion.main(fusion.parse([*words, "--kinds", "late", "--split", "valid"]))
    assert sorted(x for _, judged in seen for x in judged) == list(range(50))
    assert all(not set(train) & set(judged) and max(train) < 50 for train, judged in seen)
