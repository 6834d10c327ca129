"""The benchmark keeps its protocol: drawn labels, held-out images, resumed seeds."""

import json

import numpy as np
import pytest

from benchmarks import small_data


def test_labels_are_drawn_evenly_and_anew_by_seed():
    labels = np.repeat(np.arange(10), 50)
    first, second = (small_data.drawn(labels, 100, np.random.default_rng(s)) for s in (0, 1))
    assert np.bincount(labels[first]).tolist() == [10] * 10 and len(set(first)) == 100
    assert set(first) != set(second)


@pytest.mark.parametrize("validate", [False, True])
def test_test_images_are_read_only_where_they_are_asked_for(validate, monkeypatch):
    seen = {}

    class Model:
        def predict(self, images, **_):
            seen["tested"] = set(images[:, 0, 0, 0].astype(int))
            return np.eye(10)[images[:, 0, 0, 0].astype(int) % 10]

        def count_params(self):
            return 1

    def train(images, labels, settings, seed):
        seen["trained"] = set(images[:, 0, 0, 0].astype(int))
        return Model()

    monkeypatch.setattr(small_data, "train", train)
    x = np.broadcast_to(np.arange(100)[:, None, None, None], (100, 2, 2, 3))
    test = np.broadcast_to(np.arange(100, 120)[:, None, None, None], (20, 2, 2, 3))
    data = x, np.arange(100) % 10, test, np.arange(20) % 10
    found = small_data.run("x", data, {"labels": 50}, 0, validate)
    assert found["accuracy"] == 1.0 and not seen["trained"] & seen["tested"]
    if validate:
        assert len(seen["trained"]) == 40 and seen["tested"] < set(range(100))
        assert found["tested_on"] == "10 validation images"
    else:
        assert len(seen["trained"]) == 50 and seen["tested"] == set(range(100, 120))


def test_a_second_call_goes_on_where_the_first_stopped(tmp_path, monkeypatch, capsys):
    runs = []

    def run(name, data, settings, seed, validate):
        runs.append(seed)
        if seed == 2 and len(runs) == 3:
            raise KeyboardInterrupt
        return {"accuracy": 0.5 + seed / 10, "wall_seconds": 60, "processor_seconds": 30}

    monkeypatch.setattr(small_data, "run", run)
    monkeypatch.setattr(small_data, "read", lambda name: ())
    arguments = ["--sets", "sign_digits", "--out", str(tmp_path / "a" / "kept.json")]
    with pytest.raises(KeyboardInterrupt):
        small_data.main(small_data.arguments(arguments))
    small_data.main(small_data.arguments(arguments))
    assert runs == [0, 1, 2, 2]
    found = json.loads(capsys.readouterr().out)["sign_digits"]
    assert found["accuracy_mean"] == 0.6 and found["accuracy_range"] == [0.5, 0.7]
    assert found["accuracy_deviation"] == 0.1 and found["wall_minutes"] == 3
    assert "same people" in found["settings"]["split"]
    small_data.main(small_data.arguments([*arguments, "--epochs", "1"]))  # other settings: anew
    assert runs == [0, 1, 2, 2, 0, 1, 2]


def test_without_data_it_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BLOCKS_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="set KERAS_BLOCKS_DATA"):
        small_data.read("cifar10")


def test_the_network_takes_images_of_any_side():
    for settings in small_data.SETS.values():
        model, head = small_data.network((None, None, 3), settings)
        for side in (32, 48):
            assert model(np.zeros((1, side, side, 3), "float32")).shape == (1, 10)
        assert head.loss().targets.one_hot
