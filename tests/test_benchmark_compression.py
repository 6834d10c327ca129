"""The benchmark of compression on made-up images: the ways to narrow networks, and its table."""

import json

import keras
import numpy as np
import pytest

import export
from benchmarks.cifar10 import data
from benchmarks.cifar10.networks import classifier, pooled
from benchmarks.compression import __main__ as command
from benchmarks.compression import networks
from tests.slow import slow
from tests.test_benchmark_cifar10 import made_up


def tiny(width=8):
    image = keras.Input((32, 32, 3))
    return classifier(keras.Model(image, pooled(keras.layers.AveragePooling2D(4)(image), width)))


@pytest.fixture
def small(monkeypatch):
    arrays = made_up()
    monkeypatch.setattr(data.split, "__defaults__", (16,))
    monkeypatch.setattr(data, "read", lambda: arrays)
    monkeypatch.setattr(networks, "resnet9", tiny)
    return arrays


def test_each_way_is_narrow_enough_and_begins_as_it_says(small):
    teacher = tiny()
    most = export.measure(teacher).macs
    made = {name: make(teacher, 0.5) for name, (make, *_) in networks.WAYS.items()}
    assert all(export.measure(model).macs <= 0.5 * most for model in made.values())
    pruned, fresh = made["pruned"], made["same, from scratch"]
    assert [w.shape for w in pruned.weights] == [w.shape for w in fresh.weights]
    whole, kept, new = (
        np.array(next(w for w in m.weights if w.path.endswith("conv/kernel")))
        for m in (teacher, pruned, fresh)
    )
    assert kept.shape == new.shape and np.isin(kept, whole).all()
    assert not np.isin(new, whole).any()


@slow
def test_it_trains_writes_and_prints_and_a_second_call_trains_nothing(
    small, tmp_path, capsys, monkeypatch
):
    ways = {name: networks.WAYS[name] for name in ("pruned, taught", "same, from scratch")}
    monkeypatch.setattr(networks, "WAYS", ways)
    path = tmp_path / "teacher.keras"
    tiny().save(path)
    words = f"--epochs 1 --shares 0.5 --batch 16 --runs 2 --rounds 2 --model {path}"
    args = command.parse([*words.split(), "--folder", str(tmp_path / "runs")])
    command.main(args)
    table, _, protocol = capsys.readouterr().out.partition("\n{")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    header, _, *rows = rows
    assert [row[0] for row in rows] == ["whole", *(f"0.5 {way}" for way in ways)]
    assert all(len(row) == len(header) for row in rows)
    macs = [float(row[1].removesuffix("M")) for row in rows]
    assert all(x <= 0.5 * macs[0] + 0.1 for x in macs[1:])
    assert json.loads("{" + protocol)["epochs"] == 1
    small.asked.clear()
    command.main(args)
    assert capsys.readouterr().out.splitlines()[0] == table.splitlines()[0]
    with pytest.raises(SystemExit, match="holds a training of"):
        command.main(command.parse(["--epochs", "2", "--folder", str(tmp_path / "runs")]))
