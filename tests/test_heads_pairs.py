"""Verification of pairs against scikit-learn and formulas written anew."""

import keras
import numpy as np
import pytest
from sklearn import metrics as sk

import heads
from heads.pairs import _tar_at, roc
from tests.test_heads import IMAGES, backbone


def faces(identities=12, each=6, size=8, noise=0.8, seed=0):
    """Return noisy embeddings of any length, and their identities."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(identities), each)
    x = rng.normal(size=(identities, size))[ids] + noise * rng.normal(size=(len(ids), size))
    return x * rng.uniform(0.1, 10, (len(ids), 1)), ids


def every_pair(x, ids):
    """Return cosines and sameness of all pairs, one after the other."""
    cosines, same = [], []
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            cosines.append(x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j]))
            same.append(ids[i] == ids[j])
    return np.array(cosines), np.array(same)


@pytest.mark.parametrize("decimals", [1, 7])
def test_roc_is_that_of_scikit_learn(decimals):
    cosines, same = every_pair(*faces())
    cosines = cosines.round(decimals)  # with one decimal there are many ties
    far, tar, thresholds = sk.roc_curve(same, cosines, drop_intermediate=False)
    ours = roc(cosines, same)
    np.testing.assert_allclose(ours["far"], far)
    np.testing.assert_allclose(ours["tar"], tar)
    np.testing.assert_allclose(ours["threshold"], thresholds)


def test_scores_of_all_pairs():
    x, ids = faces()
    found = heads.verification(x, ids, far=(0.0001, 0.01, 0.1))
    cosines, same = every_pair(x, ids)
    np.testing.assert_allclose(found["auc"], sk.roc_auc_score(same, cosines), rtol=1e-6)
    for share in (0.01, 0.1):
        accepted = max(
            np.mean(cosines[same] >= t) for t in cosines if np.mean(cosines[~same] >= t) <= share
        )
        np.testing.assert_allclose(found["tar"][share], accepted)
    assert np.isnan(found["tar"][0.0001])  # one in 10,000 of 2,376 pairs
    # Between two neighbouring thresholds the errors change sides.
    errors = [(np.mean(cosines[~same] >= t), np.mean(cosines[same] < t)) for t in np.sort(cosines)]
    i = max(i for i, (false, missed) in enumerate(errors) if false >= missed)
    rates = [*errors[i], *errors[i + 1]]
    assert min(rates) <= found["eer"] <= max(rates)
    assert abs(found["eer"] - np.mean(errors[i])) < 0.01
    best = max((np.mean(cosines[same] >= t) + np.mean(cosines[~same] < t)) / 2 for t in cosines)
    t = found["threshold"]
    reached = (np.mean(cosines[same] >= t) + np.mean(cosines[~same] < t)) / 2
    np.testing.assert_allclose(reached, best)
    assert abs(found["accuracy"] - best) < 0.03 and 0 < found["accuracy_std"] < 0.1


def test_equal_error_rate_by_hand():
    angles = np.radians([0, 10, 60, 20, 25, 30, 70, 80, 90])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    pairs = [[0, i] for i in range(1, 9)]
    same = np.array([1, 0, 1, 1, 1, 1, 0, 0])
    found = heads.verification(x, pairs=pairs, same=same, folds=2)
    assert found["roc"]["tar"].tolist() == [0, 0.2, 0.4, 0.6, 0.8, 0.8, 1, 1, 1]
    # From no wrong pair accepted to a third of them, a fifth of the right ones is refused.
    np.testing.assert_allclose(found["eer"], 0.2)


def test_folds_of_given_pairs_are_their_runs():
    """The threshold for a run is that of the others: two runs that disagree fail each other."""
    angles = np.radians([0, 10, 20, 50, 60])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    near, middle, far = [[0, 1], [0, 2]], [[0, 3]], [[0, 4]]
    pairs = [near[0], near[1], middle[0], far[0]]
    same = [True, False, True, False]  # run 0 parts at 15 degrees, run 1 at 55
    found = heads.verification(x, pairs=pairs, same=same, folds=2)
    # 55 degrees accepts both pairs of run 0; 15 degrees refuses both of run 1.
    assert found["accuracy"] == 0.5 and found["accuracy_std"] == 0


def test_identities_of_any_kind_and_the_seed():
    x, ids = faces(6, 8)
    names = np.array([f"person {i}" for i in ids])
    a, b = heads.verification(x, names), heads.verification(x, ids[:, None])
    assert a["accuracy"] == b["accuracy"] and a["auc"] == b["auc"]
    pairs = np.stack(np.triu_indices(len(x), 1), axis=1)
    shuffled = np.random.default_rng(0).permutation(pairs)
    c = heads.verification(x, ids, pairs=shuffled)
    d = heads.verification(x, pairs=shuffled, same=ids[shuffled[:, 0]] == ids[shuffled[:, 1]])
    np.testing.assert_allclose(a["auc"], c["auc"], rtol=1e-6)
    assert c["accuracy"] == d["accuracy"]


def test_chance_is_a_half_however_many_pairs_differ():
    rng = np.random.default_rng(3)
    found = heads.verification(rng.normal(size=(300, 16)), np.arange(300) % 60)
    assert 0.4 < found["accuracy"] < 0.6 and 0.4 < found["eer"] < 0.6


X, IDS = faces(4, 3)
PAIRS = [[0, 1], [0, 3], [0, 2], [0, 4]]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"ids": IDS[:5]}, "one for each of 12 embeddings. Received: shape \\(5,\\)"),
        ({}, "Identities are needed.*ids=None"),
        ({"ids": IDS, "same": np.ones(3)}, "pairs with `same`.*same=given"),
        ({"ids": IDS, "pairs": [[0, 12]]}, "below 12.*from 0 to 12"),
        ({"ids": IDS, "pairs": [[-1, 2]]}, "from -1 to 2"),
        ({"ids": IDS, "pairs": [[0.5, 2]]}, "whole numbers.*float64"),
        ({"ids": IDS, "pairs": [0, 1]}, "`pairs`.*shape \\(2,\\)"),
        ({"ids": IDS, "pairs": np.zeros((0, 2), int)}, "fold 0 of 10 with 0 and 0"),
        ({"pairs": PAIRS}, "`ids` or `same`. Received: neither"),
        ({"pairs": PAIRS, "same": [1, 0]}, "each of 4 pairs. Received: shape \\(2,\\)"),
        ({"pairs": PAIRS, "same": [1, 0, 2, 0]}, "true or false"),
        ({"ids": IDS, "pairs": PAIRS[:2], "folds": 2}, "fold 0 of 2 with 1 and 0"),
        ({"ids": IDS, "folds": 20}, "fold 12 of 20 with 0 and 3"),
        ({"ids": IDS, "folds": 1}, "at least two folds"),
        ({"ids": IDS, "folds": 0}, "`folds`"),
        ({"ids": np.zeros(12)}, "with 7 and 0"),
    ],
)
def test_what_does_not_fit_is_said(args, said):
    with pytest.raises(ValueError, match=f"(?s){said}") as error:
        heads.verification(X, **args)
    assert "Received: " in str(error.value)


def test_wrong_embeddings_are_said():
    broken = X.copy()
    broken[3, 0] = np.nan
    for wrong in (broken, X[0], np.array([["a", "b"]])):
        with pytest.raises(ValueError, match="Embeddings must be .*Received: "):
            heads.verification(wrong, IDS)
    with pytest.raises(ValueError, match="7,000 embeddings, which are 24,496,500 pairs"):
        heads.verification(np.zeros((7000, 2)), np.zeros(7000))
    x, ids = X.copy(), IDS
    x[0] = 0.0  # has no direction: its cosines are 0
    assert np.isfinite(heads.verification(x, ids, folds=2)["auc"])


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("batched", [False, True])
def test_callbacks_after_it_see_the_scores(several, batched):
    keras.utils.set_random_seed(0)
    head = heads.MarginHead(4, 8, name="who")
    head = {"who": head, "age": heads.RegressionHead()} if several else head
    model = heads.attach(backbone(), head)
    model.compile("adam", loss=heads.losses(model), metrics=heads.metrics(model))
    ids = np.arange(16) % 4
    y = {"who": ids, "age": ids * 1.0} if several else ids
    data = [(IMAGES[:10], ids[:10]), (IMAGES[10:], ids[10:])] if batched else (IMAGES, ids)
    seen = []

    class See(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(logs["val_verification"])

    callbacks = [
        heads.VerifyPairs(data, folds=3, far=0.1),
        See(),
        keras.callbacks.EarlyStopping("val_verification", mode="max", min_delta=1.0),
    ]
    logs = model.fit(IMAGES, y, epochs=3, verbose=0, callbacks=callbacks).history
    assert logs["val_verification"] == seen and len(seen) == 2  # not better by 1: stopped
    outputs = heads.deploy(model).predict(IMAGES, verbose=0)
    found = heads.verification(outputs["who"] if several else outputs, ids, folds=3, far=[0.1])
    np.testing.assert_allclose(seen[1], found["accuracy"], atol=1e-3)
    np.testing.assert_allclose(logs["val_verification_auc"][1], found["auc"], atol=1e-4)
    np.testing.assert_allclose(logs["val_verification_eer"][1], found["eer"], atol=1e-2)
    np.testing.assert_allclose(logs["val_verification_tar"][1], found["tar"][0.1], atol=0.05)


def test_the_callback_needs_an_embedding():
    model = heads.attach(backbone(), heads.ClassificationHead(4))
    model.compile("sgd", loss=heads.losses(model))
    with pytest.raises(ValueError, match="a MarginHead. Received: a model with classification"):
        model.fit(IMAGES, np.arange(16) % 4, verbose=0, callbacks=heads.VerifyPairs((IMAGES, [])))


def test_a_share_that_is_met_exactly_may_be_used_up():
    angles = np.radians([10, 20, 40, 30, *range(50, 59)])
    rates = roc(np.cos(angles), np.arange(13) < 3)
    assert _tar_at(0.1, rates, 10) == 1.0


def test_the_seed_draws_the_folds():
    x, ids = faces(6, 8)
    found = [heads.verification(x, ids, seed=i)["accuracy_std"] for i in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_the_name_of_the_callback_is_that_of_its_scores():
    ids = np.arange(16) % 4
    model = heads.attach(backbone(), heads.MarginHead(4, 8))
    model.compile("sgd", loss=heads.losses(model), run_eagerly=True)
    callback = heads.VerifyPairs((IMAGES, ids), folds=2, name="faces")
    logs = model.fit(IMAGES, ids, verbose=0, callbacks=[callback]).history
    assert {*logs} == {"loss", "faces", "faces_auc", "faces_eer", "faces_tar"}
