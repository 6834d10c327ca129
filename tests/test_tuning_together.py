"""Finalists that several devices, or several processes, train together."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slow import slow

SCRIPT = """
import json, sys
what, folder, rank, port = sys.argv[1:]
import keras
if what == "together":
    keras.distribution.initialize(f"localhost:{port}", 2, int(rank))
    keras.distribution.set_distribution(keras.distribution.DataParallel())
import tensorflow as tf
if what == "mirrored":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import numpy as np
import tuning

def build(hp):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(hp.Choice("units", [4, 8]))(inputs)
    x = keras.layers.BatchNormalization(synchronized=keras.backend.backend() == "tensorflow")(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile(keras.optimizers.SGD(0.05), loss="mse", metrics=["mae"])
    if keras.backend.backend() == "jax":
        placed.append(len(model.weights[0].value.sharding.device_set))
    return model

placed = []

x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
data = tf.data.Dataset.from_tensor_slices((x, x.sum(axis=1, keepdims=True))).batch(16)

def make(**options):
    return tuning.ParetoSearch(
        build, "val_loss", max_trials=2, seed=0, directory=folder, project_name="p", **options
    )

tuner, found, strategy = make(), {}, tf.distribute.get_strategy()
if what == "together":
    try:
        tuner.search(data, validation_data=data)
    except RuntimeError as error:
        found["refused"] = str(error)
else:
    tuner.search(data, validation_data=data, epochs=1, verbose=0)
if what == "mirrored":
    strategy = tf.distribute.MirroredStrategy()
    try:
        with strategy.scope():
            tuner.retrain(data, test=data)
    except RuntimeError as error:
        found["refused"] = str(error)
    tuner = make(distribution_strategy=strategy)
(best,) = tuner.retrain(data, test=data, trials=tuner.pareto_front()[:1], seeds=2, epochs=3)
if keras.backend.backend() == "jax":
    found["placed"] = placed
found |= {
    "scores": best.scores,
    "devices": strategy.num_replicas_in_sync,
    "reads": tuner.oracle.study.user_attrs["test_reads"],
    "files": [sys.argv[2] in file for file in best.files],
}
print("found " + json.dumps(found), flush=True)
"""


def start(backend, *words):
    here = str(Path(__file__).parent.parent)
    path = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": backend}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process):
    said, wrong = process.communicate(timeout=300)
    lines = [line for line in said.splitlines() if line.startswith("found ")]
    assert process.returncode == 0 and lines, wrong[-2000:]
    return json.loads(lines[-1].removeprefix("found "))


def scores(found):
    return [pytest.approx(x, rel=1e-3) for x in (found["scores"]["loss"], found["scores"]["mae"])]


@slow
def test_devices_of_a_machine_train_together(tmp_path):
    alone = result(start("tensorflow", "alone", tmp_path, 0, 0))
    shutil.rmtree(next(tmp_path.rglob("final")))
    found = result(start("tensorflow", "mirrored", tmp_path, 0, 0))
    assert (alone["devices"], found["devices"]) == (1, 2)
    assert [found["scores"]["loss"], found["scores"]["mae"]] == scores(alone)
    assert found["reads"] == alone["reads"] + 1 and found["files"] == [True, True]
    assert "distribution_strategy=…" in found["refused"]


@slow
def test_processes_on_jax_train_together(tmp_path):
    """Both go on alike, the first alone writes, and a search by both is refused."""
    pytest.importorskip("jax")
    alone = result(start("jax", "alone", tmp_path, 0, 0))
    shutil.rmtree(next(tmp_path.rglob("final")))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    processes = [start("jax", "together", tmp_path, rank, port) for rank in (1, 0)]
    others = [result(process) for process in processes]
    for found in others:
        assert [found["scores"]["loss"], found["scores"]["mae"]] == scores(alone)
        assert "one of 2 processes that train together" in found["refused"]
        assert set(found["placed"]) == {2}  # and not each process the whole model alone
        assert found["reads"] == alone["reads"] + 1 and found["files"] == [True, True]
    assert len([*tmp_path.rglob("seed_*.keras")]) == 2
