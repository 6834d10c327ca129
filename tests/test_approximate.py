"""Towers alone, and searches that do not look at every item."""

import sys

import keras
import numpy as np
import pytest

import backbones
import blocks
import heads

RNG = np.random.default_rng(0)


@pytest.fixture
def faiss():
    return pytest.importorskip("faiss", reason='needs pip install "keras-blocks[retrieval]"')


def unit(count, units=16):
    x = RNG.normal(size=(count, units)).astype("float32")
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_towers_give_the_vectors_of_the_index():
    history = keras.Input((4,), dtype="int32", name="history")
    item = keras.Input((), dtype="int32", name="item")
    price = keras.Input((1,), name="price")
    y = keras.layers.Concatenate()([blocks.IdEmbedding(30, 5)(item), price])
    pair = backbones.two_towers(
        keras.Model(history, blocks.BagEmbedding(30, 6)(history)), keras.Model([item, price], y)
    )
    model = heads.attach(pair, heads.RetrievalHead(8))
    user, item = heads.towers(model)
    rows = {"item": np.arange(30), "price": RNG.normal(size=(30, 1)).astype("float32")}
    users = RNG.integers(0, 30, (5, 4))
    scores = user.predict(users, verbose=0) @ item.predict(rows, verbose=0).T
    found = heads.deploy(model, items=rows, k=3).predict({"history": users}, verbose=0)
    np.testing.assert_array_equal(found["items"], np.argsort(-scores, axis=1)[:, :3])
    x = keras.Input((3,))
    with pytest.raises(ValueError, match="one RetrievalHead has two towers"):
        heads.towers(heads.attach(keras.Model(x, x), heads.RegressionHead()))


def test_most_of_the_nearest_are_found(faiss, tmp_path):
    vectors, users = unit(3000), unit(50)
    index = heads.ApproximateIndex(vectors)
    exact = np.argsort(-users @ vectors.T, axis=1)[:, :10]
    found = index.search(users)
    share = np.mean([np.isin(a, b).mean() for a, b in zip(exact, found["items"])])
    assert share > 0.95 and index.recall(users) == pytest.approx(share)
    own = np.take_along_axis(users @ vectors.T, found["items"].astype(int), axis=1)
    np.testing.assert_allclose(found["scores"], own, atol=1e-5)
    index.effort = 10
    assert index.recall(users) < share  # less effort finds less
    index.save(tmp_path / "index.faiss")
    loaded = heads.ApproximateIndex.load(tmp_path / "index.faiss")
    np.testing.assert_array_equal(loaded.search(users)["items"], found["items"])


def test_seen_items_are_left_out(faiss):
    vectors, users = unit(40), unit(6)
    index = heads.ApproximateIndex(vectors)
    exact = np.argsort(-users @ vectors.T, axis=1)
    seen = np.where(RNG.random((6, 5)) < 0.7, exact[:, :5], -1)
    found = index.search(users, 10, seen)["items"]
    for row, own, left in zip(exact, found, seen):
        np.testing.assert_array_equal(own, [x for x in row if x not in left][:10])
    found = index.search(users[:1], 40, exact[:1, :38])
    assert set(found["items"][0, :2]) == set(exact[0, 38:]) and (found["items"][0, 2:] == -1).all()
    assert (found["scores"][0, 2:] == 0).all()


def test_wrong_arguments_are_told(faiss, tmp_path):
    index = heads.ApproximateIndex(unit(20))
    for call in (
        lambda: heads.ApproximateIndex(np.zeros((0, 4))),
        lambda: heads.ApproximateIndex([[np.nan, 1.0]]),
        lambda: heads.ApproximateIndex(unit(5), neighbors=0),
        lambda: index.search(unit(1, 15)),
        lambda: index.search(unit(1), k=21),
        lambda: index.search(unit(2), seen=[[1]]),
        lambda: index.search([[np.inf] * 16]),
    ):
        with pytest.raises(ValueError, match="Received: "):
            call()
    with pytest.raises(FileNotFoundError):
        heads.ApproximateIndex.load(tmp_path / "none")


def test_without_faiss_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"keras-blocks\[retrieval\]"):
        heads.ApproximateIndex(unit(5))
