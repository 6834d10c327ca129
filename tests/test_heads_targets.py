"""What check_targets says, and the thresholds that validation data choose."""

import warnings

import keras
import numpy as np
import pytest
from sklearn import metrics as sk

import heads
from tests.test_heads import backbone, several, several_targets

IDS = heads.ClassificationHead(3)
ONE_HOT = heads.ClassificationHead(3, one_hot=True)
TAGS = heads.ClassificationHead(3, multi_label=True)
NUMBERS = heads.RegressionHead(2)
RIGHT = [
    (IDS, np.array([0, 1, 2])),
    (IDS, [2, 1, 0, 0]),
    (IDS, np.array([[0.0], [1.0], [2.0]])),
    (IDS, (np.zeros((3, 4)), np.arange(3))),
    (IDS, (np.zeros((3, 4)), np.arange(3), np.ones(3))),
    (IDS, [(np.zeros((2, 4)), np.arange(2)), (np.zeros((1, 4)), np.array([2]))]),
    (ONE_HOT, np.eye(3)),
    (ONE_HOT, np.eye(3, dtype=bool)),
    (ONE_HOT, np.eye(3) * 0.8 + np.roll(np.eye(3), 1, 0) * 0.2),
    (TAGS, np.array([[0, 0, 0], [1, 1, 1]])),
    (NUMBERS, np.array([[0.0, -1.0], [1.0, 1.0]])),
    (heads.RegressionHead(), [1.5, -1.5]),
]


@pytest.mark.parametrize(("head", "data"), RIGHT)
def test_right_targets_pass_without_a_word(head, data):
    assert heads.check_targets(data, head) is None


NAN = float("nan")
WRONG = [
    (IDS, np.array([0, 1, 3, 5]), "0 to 2. Received: 3 at row 2, and 1 more of 4. .*num_classes=6"),
    (IDS, np.array([1, 2, 3]), "count from 1"),
    (IDS, np.array([0, -1, 2]), "Received: -1 at row 1 of 3"),
    (IDS, np.array([0, 0.5, 2]), "whole numbers .* Received: 0.5 at row 1"),
    (IDS, np.array([0, NAN, 2]), "Received: nan at row 1"),
    (IDS, np.array([]), "at least one target. Received: .*shape \\(0,\\)"),
    (IDS, np.array(["cat", "dog"]), "numbers. Received: .*cat.* at row 0"),
    (IDS, [[0, 1], [2]], "array of numbers. Received: "),
    (IDS, np.eye(3), "shape \\(batch,\\).*Received: shape \\(3, 3\\).*one_hot=True"),
    (IDS, np.zeros((2, 2, 2)), "Received: shape \\(2, 2, 2\\)"),
    (IDS, {"a": np.arange(3)}, "One head takes one array. *.*Received: a dict of \\['a'\\]|dict"),
    (IDS, (np.zeros((4, 2)), np.arange(3)), "Received: 4 inputs and 3 targets in batch 0"),
    (IDS, [(np.zeros((3, 2)), np.arange(3)), (np.zeros((2, 2)), np.arange(1))], "in batch 1"),
    (IDS, [(np.zeros((1, 2)), np.zeros(1)), (np.zeros((1, 2)), np.zeros((1, 3)))], "one shape"),
    (IDS, iter([]), "at least one batch. Received: none"),
    (IDS, iter([np.zeros((3, 2))]), "Received: ndarray as batch 0"),
    (IDS, iter([(np.zeros(3),)]), "Received: tuple of 1 as batch 0"),
    (IDS, 7, "Received: int"),
    (ONE_HOT, np.arange(3), "Received: shape \\(3,\\).*one_hot=False"),
    (ONE_HOT, np.eye(3)[:, :2], "shape \\(batch, 3\\). Received: shape \\(3, 2\\)"),
    (ONE_HOT, np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0]]), "sum to 1. Received: .0 0 0. at row 1,"),
    (ONE_HOT, np.array([[2, -1, 0]]), "from 0 to 1 .* Received: . 2 -1  0. at row 0"),
    (TAGS, np.array([[0, 0, 0], [0, 2, 0]]), "0 to 1, a column .* at row 1 of 2"),
    (TAGS, np.array([0, 1, 1]), "Received: shape \\(3,\\)"),
    (
        NUMBERS,
        np.array([[0.0, 1.0], [NAN, 1.0]]),
        "finite numbers. Received: .nan  1.. at row 1 of",
    ),
    (NUMBERS, np.zeros((2, 3)), "shape \\(batch, 2\\). Received: shape \\(2, 3\\)"),
    (NUMBERS, np.zeros(2), "Received: shape \\(2,\\)"),
]


@pytest.mark.parametrize(("head", "data", "said"), WRONG)
def test_wrong_targets_say_rule_place_and_repair(head, data, said):
    with pytest.raises(ValueError, match="(?s)" + said) as error:
        heads.check_targets(data, head)
    assert "Received: " in str(error.value)


@pytest.mark.parametrize(
    ("head", "data", "said"),
    [
        (IDS, [0, 2, 2], "1 of 3 classes have no row: 1"),
        (ONE_HOT, np.eye(3)[:1], "2 of 3 classes have no row: 1, 2"),
        (TAGS, np.array([[0, 1, 1]]), "1 of 3 classes have no row: 0"),
        (heads.ClassificationHead(40), [0], "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …"),
        (NUMBERS, np.array([[7.0, 1.0], [7.0, 2.0]]), "Column 0 has one value, 7"),
        (heads.RegressionHead(), [100_000.0, 300_000.0], "mean=.200000.0., std=.100000.0."),
    ],
)
def test_odd_targets_are_a_warning(head, data, said):
    with pytest.warns(UserWarning, match=said):
        heads.check_targets(data, head)


def test_only_so_many_batches_are_read():
    read = []

    def endless():
        while True:
            read.append(1)
            yield np.zeros((2, 1)), np.zeros(2)  # classes 1 and 2 may come later: no warning

    heads.check_targets(endless(), IDS, batches=3)
    assert len(read) == 4


def test_python_and_tensorflow_data_sets():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return np.zeros((2, 4)), np.array([1, 2]) + i

    with pytest.raises(ValueError, match="Received: 3 at row 3 of 4"):
        heads.check_targets(Batches(), IDS)
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow for tf.data")
    data = tf.data.Dataset.from_tensor_slices((np.zeros((6, 2)), np.arange(6))).batch(4)
    with pytest.raises(ValueError, match="Received: 3 at row 3, and 2 more of 6"):
        heads.check_targets(data, IDS)


def test_targets_of_several_heads():
    model = heads.attach(backbone(), several())
    right = several_targets()
    heads.check_targets((np.zeros((16, 8, 8, 3)), right), model)
    wrong = {**right, "kind": right["kind"] + 1, "tags": right["tags"][:, :3]}
    with pytest.raises(ValueError, match="(?s)tags: .*shape .*\nkind: Class ids"):
        heads.check_targets(wrong, model)
    for missing in ({"kind": right["kind"]}, right["kind"]):
        with pytest.raises(ValueError, match="'age', 'kind', 'tags'.*Received: "):
            heads.check_targets(missing, model)
    with pytest.raises(ValueError, match="in batch 0"):
        heads.check_targets((np.zeros((15, 8, 8, 3)), right), model)


SCORES = {
    "f1": sk.f1_score,
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
}


@pytest.mark.parametrize("metric", SCORES)
def test_threshold_is_the_best_there_is(metric):
    rng = np.random.default_rng(4)
    y = (rng.uniform(size=200) < 0.15).astype(int)
    p = np.round(1 / (1 + np.exp(-rng.normal(size=200) - 1.5 * y + 2)), 2).astype("float32")
    chosen = heads.choose_threshold(p, y, metric=metric)
    tried = [0, *np.unique(p), 1.01]
    best = max(SCORES[metric](y, p >= t) for t in tried)
    np.testing.assert_allclose(SCORES[metric](y, p >= np.float32(chosen)), best)
    assert chosen not in p  # halfway between two
    both = np.stack([1 - p, p], axis=1)
    assert heads.choose_threshold(both, np.eye(2)[y], metric=metric) == chosen


def test_threshold_parts_neighbours_of_float32():
    low = np.float32(0.3)
    p = np.array([low, np.nextafter(low, np.float32(1))])
    assert (p >= np.float32(heads.choose_threshold(p, [0, 1]))).tolist() == [False, True]


def test_threshold_of_each_label():
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, (100, 3))
    p = (rng.uniform(size=(100, 3)) + y * [0.2, 0.5, 0.8]) / 2
    chosen = heads.choose_threshold(p, y)
    assert chosen == [heads.choose_threshold(p[:, i], y[:, i]) for i in range(3)]
    y[:, 1] = 0
    with pytest.warns(UserWarning, match="Received: 100 rows, 0 of them of class 1"):
        assert heads.choose_threshold(p, y) == [chosen[0], 0.5, chosen[2]]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("batched", [False, True])
def test_threshold_of_a_model_goes_into_its_deployed_form(multi_label, batched):
    rng = np.random.default_rng(6)
    inputs = keras.Input((2,))
    head = heads.ClassificationHead(2, multi_label=multi_label)
    model = heads.attach(keras.Model(inputs, inputs), head)
    head.logits.set_weights([np.eye(2) * 2, np.full(2, -2.0)])
    y = rng.integers(0, 2, (60, 2))
    x = (rng.normal(size=(60, 2)) * 0.6 + y).astype("float32")
    y = y if multi_label else y[:, 1]
    data = [(x[:40], y[:40]), (x[40:], y[40:])] if batched else (x, y)
    threshold = heads.choose_threshold(model, data)
    answer = heads.deploy(model, threshold=threshold).predict(x, verbose=0)
    p = answer["probabilities"]
    columns = [(p[:, i], y[:, i]) for i in range(2)] if multi_label else [(p[:, 1], y)]
    best = [max(sk.f1_score(t, q >= c) for c in q) for q, t in columns]
    labels = answer["labels"].reshape(60, -1)
    got = [sk.f1_score(t, labels[:, i]) for i, (_, t) in enumerate(columns)]
    np.testing.assert_allclose(got, best)


@pytest.mark.parametrize(
    ("p", "y", "said"),
    [
        (np.full((4, 3), 1 / 3), np.arange(4) % 3, "two classes"),
        (np.full((3, 3), 1 / 3), np.eye(3), "two classes"),
        (np.full(4, 0.5), np.zeros(4), "both classes"),
        (np.full(4, 0.5), np.zeros(3), "a row for each"),
        (np.full(2, 0.5), np.array([0, 2]), "zeros and ones"),
        (np.zeros(0), np.zeros(0), "a row for each"),
    ],
)
def test_threshold_refuses(p, y, said):
    with pytest.raises(ValueError, match=f"{said}.*Received: "):
        heads.choose_threshold(p, y)
    with pytest.raises(ValueError, match="`metric`.*Received: "):
        heads.choose_threshold(p, y, metric="mcc")


def test_threshold_needs_one_classification_head():
    for head in (several(), heads.RegressionHead()):
        model = heads.attach(backbone(), head)
        with pytest.raises(ValueError, match="one ClassificationHead.*Received: "):
            heads.choose_threshold(model, (np.zeros((2, 8, 8, 3)), np.arange(2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        heads.choose_threshold([0.2, 0.7], [0, 1])
