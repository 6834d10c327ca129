import inspect

import keras
import numpy as np
import pytest

import heads
from heads.detection.base import BoxHead
from heads.multi_task.part import Part
from tests.golden.write import FOLDER, HEADS, OPTIONS, as_dict, of
from tests.slow import FULL

NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))


def load(name):
    """Return the files of a golden model: the model, the one that answers, arrays by kind."""
    with np.load(FOLDER / f"{name}.npz") as data:
        arrays = {key: data[key] for key in data.files}
    kinds = {
        kind: {key.split("/")[1]: x for key, x in arrays.items() if key.startswith(kind + "/")}
        for kind in ("raw", "answer")
    }
    model = keras.saving.load_model(FOLDER / f"{name}.keras")
    answer = keras.saving.load_model(FOLDER / f"{name}.deployed.keras", compile=False)
    inputs = {key.split("/")[1]: x for key, x in arrays.items() if key.startswith("inputs/")}
    return model, answer, inputs or arrays["inputs"], kinds


def assert_equal_outputs(outputs, expected):
    outputs = as_dict(outputs)
    assert set(outputs) == set(expected)
    for key, value in expected.items():
        assert outputs[key].dtype == value.dtype
        np.testing.assert_allclose(outputs[key], value, rtol=1e-5, atol=1e-5)


def test_there_are_golden_files():
    assert set(NAMES) >= set(HEADS)


def test_every_head_has_a_golden_file():
    written = set()
    for name in NAMES:
        model = keras.saving.load_model(FOLDER / f"{name}.keras", compile=False)
        written |= {type(layer) for layer in model.layers if isinstance(layer, heads.Head)}
    public = (getattr(heads, name) for name in heads.__all__)
    assert written == {x for x in public if inspect.isclass(x) and issubclass(x, heads.Head)} - {
        heads.Head
    }


@pytest.mark.parametrize("name", NAMES)
def test_golden_model_loads_and_answers_as_ever(name):
    model, answer, x, expected = load(name)
    assert_equal_outputs(model(x), expected["raw"])
    assert_equal_outputs(answer(of(answer, x)), expected["answer"])
    deployed = heads.deploy(model, **OPTIONS.get(name, {}))
    assert_equal_outputs(deployed(of(deployed, x)), expected["answer"])


@pytest.mark.parametrize("name", NAMES)
def test_golden_model_is_still_compiled_and_trains(name):
    model, _, x, expected = load(name)
    targets = {key: np.zeros_like(value) for key, value in expected["raw"].items()}
    for key, head in heads.graph.heads_of(model).items():
        if isinstance(head, BoxHead):
            some = [[1, 1, 6, 7, 1], [0, 0, 3, 3, 0], [4, 4, 8, 8, 1], [0, 0, 8, 8, 0]]
            targets["output"] = np.float32([[*some, [0, 0, 0, 0, -1]]] * len(x))
        if isinstance(head, heads.RetrievalHead):
            targets["output"] = heads.item_targets([0, 3, 1, 0])
        elif isinstance(head, heads.SequentialHead):
            targets["output"] = x
        elif isinstance(head, heads.RankingHead):
            targets["output"][0] = 1
        elif isinstance(head, heads.LateFusionHead):
            targets["output"] = np.array([0, 2, 1, 1])
        elif isinstance(head, Part):
            targets[key] = targets[key][:, :-1]  # the last column weighs the loss
        if not hasattr(head, "targets"):
            continue
        key = key if key in targets else "output"
        if head.by_batch:  # a map of ids
            places = np.arange(targets[key][..., 0].size)
            targets[key] = (places % head.targets.classes).reshape(targets[key].shape[:-1])
            continue
        targets[key][:, 0] = 1
        if not (head.targets.one_hot or head.targets.multi_label):
            targets[key] = np.arange(len(x)) % 2
    y = targets if isinstance(model.output, dict) else targets["output"]
    model.run_eagerly = not FULL  # tracing takes long
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    assert (
        len(scores) >= (2 if heads.metrics(model) else 1)
        and np.isfinite(list(scores.values())).all()
    )
    before = [np.array(w) for w in model.get_weights()]
    model.fit(x, y, verbose=0)
    after = model.get_weights()
    moved = [not np.array_equal(a, b) for a, b in zip(before, after)]
    # The boxes of a level learn nothing where none of its positions has one.
    boxes = any(isinstance(x, BoxHead) for x in heads.graph.heads_of(model).values())
    assert np.mean(moved) >= (0.8 if boxes or "list" in name else 1)  # a list's order has no bias
