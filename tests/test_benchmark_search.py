"""Searches replayed on a table that is made up: what is counted, and what is worth what."""

import json
import math

import numpy as np
import pytest

from benchmarks.search import figures, replay, searchers, space, table
from tests.slow import slow


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a table where width costs and teaches, and a rate of 0.003 is the best."""
    rng, rows, costs = np.random.default_rng(0), {}, {}
    for values in space.configurations():
        best = 0.5 + 0.02 * values["width"] - 0.2 * abs(math.log10(values["learning_rate"] / 3e-3))
        curve = [round(best * (1 - 0.5**epoch), 4) for epoch in range(1, table.EPOCHS + 1)]
        test = [round(x - 0.01, 4) for x in curve]
        key = table.key_of(values)
        rows[key] = {"valid": curve, "test": test, "seconds": [3.0] + [1.0] * 8}
        latency = 0.01 * values["width"] * values["depth"] * rng.uniform(0.9, 1.1)
        fact = {"latency_ms": round(latency, 4), "size_kb": 1.0, "memory_mb": 1.0}
        costs[key.rsplit(" ", 1)[0]] = {**fact, "gate_seconds": 2.0}
    (tmp_path / "search_made.json").write_text(json.dumps({"costs": costs, "rows": rows}))
    monkeypatch.setattr(replay, "MODELS", tmp_path)
    return replay.Table("made")


def traced(made, tmp_path, group, name, epochs=18):
    make, given = group[name]
    return replay.replayed(make, made, epochs, tmp_path / "tuner", 0, **given)[0]


def test_the_table_has_every_network_and_its_limit(made):
    assert len(made.rows) == len(space.configurations()) == 256 and len(made.costs) == 64
    keeps = [facts["latency_ms"] <= made.limit for facts in made.costs.values()]
    assert sum(keeps) == round(0.3 * 64)


@pytest.mark.parametrize(
    "name", [pytest.param("RandomSearch, gate", marks=slow), "ParetoSearch, halving"]
)
def test_gates_train_nothing_over_the_limit_and_their_seconds_count(made, tmp_path, name):
    trace = traced(made, tmp_path, searchers.UNDER_LIMIT, name)
    assert [number for number, *_ in trace] == [*range(1, 19)]
    assert all(made.facts(key)["latency_ms"] <= made.limit for _, key, *_ in trace)
    seconds = [each for *_, each in trace]
    assert seconds == sorted(seconds)
    trials = sum(epoch == 0 for _, _, epoch, _ in trace)
    # 18 epochs, a graph for each trial, and at least one measurement
    assert seconds[-1] >= 18 + 2 * trials + 2


def test_plain_rivals_do_train_what_is_over_the_limit(made, tmp_path):
    trace = traced(made, tmp_path, searchers.UNDER_LIMIT, "BayesianOptimization", epochs=27)
    assert any(made.facts(key)["latency_ms"] > made.limit for _, key, *_ in trace)


def test_halving_goes_on_with_a_trial_where_it_stood(made, tmp_path):
    trace = traced(made, tmp_path, searchers.UNDER_LIMIT, "ParetoSearch, halving", epochs=60)
    epochs = {}
    for _, key, epoch, _ in trace:
        epochs.setdefault(key, []).append(epoch)
    assert all(each == [*range(len(each))] for each in epochs.values())
    assert {len(each) for each in epochs.values()} >= {1}  # some were paused


def test_what_is_seen_is_chosen_by_validation_and_scored_by_the_test(made):
    slow, quick = "plain 16 2 3 0.003", "plain 4 1 3 0.003"
    trace = [(1, quick, 0, 1.0), (2, quick, 1, 2.0), (3, slow, 0, 3.0), (4, slow, 1, 4.0)]
    assert figures.seen(made, trace, 3) == {quick: 1, slow: 0}
    found = figures.seen(made, trace, 4)
    valid, test = figures.best_within(made, found)
    assert (valid, test) == (made.rows[quick]["valid"][1], made.rows[quick]["test"][1])
    assert figures.best_within(made, {slow: 1}) == (figures.CHANCE, figures.CHANCE)


def test_the_area_is_that_of_a_grid_of_points(made):
    epochs = dict.fromkeys([*made.rows][::7], 8)
    latencies = [facts["latency_ms"] for facts in made.costs.values()]
    low, high = math.log(min(latencies)), math.log(max(latencies))
    rows = [(math.log(made.facts(k)["latency_ms"]), made.rows[k]["test"][8]) for k in epochs]
    grid = np.linspace(low, high, 4001)[1:]  # the tests rank as validation does here
    best = [max([y for x, y in rows if x <= place], default=0.1) for place in grid]
    expected = np.mean(np.maximum(np.array(best) - 0.1, 0)) / 0.9
    assert figures.area(made, epochs) == pytest.approx(expected, abs=1e-3)
    assert figures.area(made, {}) == 0
