"""Logs of trainings outlive an interruption; kept models have no optimizer."""

import keras

from benchmarks.clock import bare, facts_of, note


def test_a_half_written_line_costs_its_epoch_alone(tmp_path):
    log = tmp_path / "log.jsonl"
    assert facts_of(log) == []
    for epoch in range(2):
        note(log, {"epoch": epoch, "loss": 1.0})
    with log.open("a") as file:
        file.write('\n{"epoch": 2, "lo')
    assert [x["epoch"] for x in facts_of(log)] == [0, 1]
    note(log, {"epoch": 2, "loss": 0.5})
    note(log, {"epoch": 2, "loss": 0.25})  # trained twice
    assert [x["loss"] for x in facts_of(log)] == [1.0, 1.0, 0.25]


def test_a_kept_model_is_not_its_optimizer(tmp_path):
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    sizes = []
    for x in (model, bare(model)):
        x.save(tmp_path / "a.keras")
        sizes.append((tmp_path / "a.keras").stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]
    assert all((a == b).all() for a, b in zip(model.get_weights(), bare(model).get_weights()))
