"""Tables: what is learned of columns, what networks are given, and networks of them."""

import keras
import numpy as np
import pytest

import backbones
import blocks
import heads
from tests.slow import some_slow

ROWS = {
    "age": [20.0, 30.0, None, 50.0] * 20,
    "job": ["cook", "cook", "smith", None] * 20,
    "size": [*range(80)],
    "own": [True, False] * 40,
}


def array(x):
    return keras.ops.convert_to_numpy(x)


def test_columns_are_told_apart_by_what_they_hold():
    table = heads.Table.of(ROWS)
    assert table.numeric == ["age", "size"] and [*table.vocabularies] == ["job", "own"]
    assert table.names == ["age", "size", "age is missing", "job", "own"]
    assert table.columns["gaps"] == [0] and table.columns["categories"] == [4, 3]
    table = heads.Table.of(ROWS, categorical=["size", "job", "own"])
    assert table.numeric == ["age"] and table.columns["categories"] == [81, 4, 3]
    table = heads.Table.of(ROWS, numeric=["own"])
    assert table.numeric == ["own"] and [*table.vocabularies] == ["age", "job", "size"]


def test_rows_become_inputs():
    table = heads.Table.of(ROWS)
    x = table({"age": [1, None], "job": ["smith", "poet"], "other": [1, 2], "own": [True, None]})
    assert {key: value.dtype.name for key, value in x.items()} == {
        "numeric": "float32",
        "categorical": "int32",
    }
    np.testing.assert_array_equal(x["numeric"], [[1, np.nan], [np.nan, np.nan]])
    smith, true = table.vocabularies["job"].ids["smith"], table.vocabularies["own"].ids[True]
    np.testing.assert_array_equal(x["categorical"], [[smith, true], [0, 0]])


def test_a_frame_is_a_table(tmp_path):
    pandas = pytest.importorskip("pandas", reason="needs pip install pandas")
    frame = pandas.DataFrame(ROWS).astype({"job": "category"})
    table, plain = heads.Table.of(frame), heads.Table.of(ROWS)
    assert table.columns == plain.columns
    for key, value in plain(ROWS).items():
        np.testing.assert_array_equal(table(frame)[key], value)


def test_frames_of_pandas_own_kinds_are_tables():
    pandas = pytest.importorskip("pandas", reason="needs pip install pandas")
    kinds = {
        "whole": pandas.array([1, None, 3], "Int64"),
        "number": pandas.array([1.5, None, 3], "Float64"),
        "own": pandas.array([True, None, False], "boolean"),
        "word": pandas.array(["a", None, "b"], "string"),
        "zip": pandas.Categorical([90210, 10001, 90210]),
        "mixed": np.array([1, pandas.NA, 3], dtype=object),
    }
    table = heads.Table.of(pandas.DataFrame(kinds))
    assert table.numeric == ["whole", "number", "mixed"]
    assert [*table.vocabularies] == ["own", "word", "zip"]
    x = table(pandas.DataFrame(kinds))
    np.testing.assert_array_equal(np.isnan(x["numeric"][:, 0]), [False, True, False])
    assert x["categorical"][0, 2] == x["categorical"][2, 2] != x["categorical"][1, 2]
    assert heads.Vocabulary(["a"])([pandas.NA, "a"]).tolist() == [0, 1]
    frame = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    times = {"day": np.array(["2020-01-01"], "datetime64[ns]")}
    for wrong, said in ((frame, "name of its own"), (times, "Times are made numbers")):
        with pytest.raises(ValueError, match=said):
            heads.Table.of(wrong)


def test_numbers_beyond_float32_are_its_largest():
    table = heads.Table.of({"x": [1.0, 2.0, 1e39, -1e300]})
    ((first, *_, last),) = table.columns["points"]
    assert np.isfinite([first[0], last[0]]).all()
    assert table({"x": [1e300, -1e300]})["numeric"].tolist() == [[np.inf], [-np.inf]]


def test_a_table_is_kept_beside_the_model(tmp_path):
    table = heads.Table.of(ROWS)
    table.save(tmp_path / "table.json")
    loaded = heads.Table.load(tmp_path / "table.json")
    assert loaded.columns == table.columns and loaded.names == table.names
    for key, value in table(ROWS).items():
        np.testing.assert_array_equal(loaded(ROWS)[key], value)


def test_quantiles_become_normal():
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(size=20_000))
    table = heads.Table.of({"x": values})
    scaled = array(blocks.PiecewiseLinear(table.columns["points"])(values[:, None]))[:, 0]
    assert abs(scaled.mean()) < 0.02 and abs(scaled.std() - 1) < 0.05
    order = np.argsort(values)
    assert (np.diff(scaled[order]) >= -1e-6).all()
    far = np.array([[np.inf], [-np.inf], [1e30]])
    far = array(blocks.PiecewiseLinear(table.columns["points"])(far))
    np.testing.assert_allclose(far[:, 0], [scaled.max(), scaled.min(), scaled.max()], rtol=1e-6)


def test_values_that_are_there_often_have_one_score():
    table = heads.Table.of({"x": [0.0] * 90 + [1.0] * 10})
    ((zero, one),) = table.columns["points"]
    assert (
        (zero[0], one[0]) == (0.0, 1.0)
        and zero[1] < one[1]
        and one[1] == pytest.approx(1.7, abs=0.3)
    )


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ({"a": [1, 2], "b": [1]}, {}, "all of one length. Received: {'a': 2, 'b': 1}"),
        ([1, 2], {}, "Received: list"),
        ({"a": [None, np.nan]}, {"numeric": ["a"]}, "Received: none in 'a'"),
        ({"a": [1, "two"]}, {"numeric": ["a"]}, "Received: 'two' in 'a' at row 1"),
        ({"a": [1]}, {"numeric": ["b"]}, "Received: b"),
        ({"a": [1]}, {"numeric": ["a"], "categorical": ["a"]}, "each of one kind"),
        ({"a": [[1], [2]]}, {"categorical": ["a"]}, "Received: {'a': None}"),
        ({"a": [{}]}, {"categorical": ["a"]}, "strings, numbers or None"),
        ({"a": 1}, {}, "Received: {'a': None}"),
        ({"a": "word"}, {}, "Received: {'a': None}"),
    ],
)
def test_what_is_no_table_is_refused(rows, options, said):
    with pytest.raises(ValueError, match=said):
        heads.Table.of(rows, **options)


def test_words_have_ids_by_how_often_they_are_there():
    words = heads.Vocabulary.of(["b", "a", "a", "c", "c", "c", None, None], min_count=2)
    assert words.values == ["c", None, "a"] and len(words) == 4
    np.testing.assert_array_equal(words([["a", "b"], ["c", None]]), [[3, 0], [1, 2]])
    assert [words.value(i) for i in range(5)] == [None, "c", None, "a", None]
    assert heads.Vocabulary.of(["b", "a", "a"], max_size=1).values == ["a"]
    assert heads.Vocabulary([3])([3.0, "3", np.int64(3)]).tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="'a' twice"):
        heads.Vocabulary(["a", "a"])


def test_bags_are_filled_up(tmp_path):
    words = heads.Vocabulary(["a", "b", 10**15])
    found = words.bags([["a", "x"], [], ["b", "b", 10**15, "a"]], 3)
    np.testing.assert_array_equal(found, [[1, 0, -1], [-1, -1, -1], [2, 3, 1]])
    assert words.bags([[]]).shape == (1, 1)
    with pytest.raises(ValueError, match="Received: a list that is 'ab', a text"):
        words.bags([["a"], "ab"])
    with pytest.raises(ValueError, match="Received: None as a list"):
        words.bags([["a"], None])
    with pytest.raises(ValueError, match="Received: length=-1"):
        words.bags([["a"]], -1)
    words.save(tmp_path / "words.json")
    assert heads.Vocabulary.load(tmp_path / "words.json").values == words.values


KINDS = ("plain", "residual", "gated")
NETWORKS = [backbones.mlp, backbones.ft_transformer, backbones.tabnet]


@pytest.mark.parametrize("make", some_slow(NETWORKS, *NETWORKS[1:], name=lambda x: x.__name__))
def test_networks_learn_from_tables(make):
    rng = np.random.default_rng(0)
    rows = {"x": rng.normal(size=600), "kind": rng.choice(["a", "b"], 600)}
    rows["x"][::10] = np.nan
    y = ((np.nan_to_num(rows["x"]) > 0) ^ (rows["kind"] == "a")).astype(int)
    table = heads.Table.of(rows)
    keras.utils.set_random_seed(0)
    model = heads.attach(make(table.columns, 32), heads.ClassificationHead(2))
    model.compile(keras.optimizers.Adam(5e-3), loss=heads.losses(model), metrics=["accuracy"])
    history = model.fit(table(rows), y, batch_size=64, epochs=25, verbose=0)
    assert history.history["accuracy"][-1] > 0.85
    odd = table({"x": [np.inf, -np.inf, np.nan], "kind": ["c", None, "a"]})
    assert np.isfinite(model.predict(odd, verbose=0)).all()


@pytest.mark.parametrize("make", some_slow(NETWORKS, NETWORKS[1], name=lambda x: x.__name__))
def test_networks_of_tables_become_files(make, tmp_path):
    import export

    table = heads.Table.of(ROWS)
    model = heads.attach(make(table.columns, 32), heads.ClassificationHead(2))
    x = table(ROWS)  # some ages are missing
    answer = heads.deploy(model)
    for precision in ("float32", "dynamic"):
        path = tmp_path / f"{precision}.tflite"
        bundle = export.to_tflite(answer, path, precision, inputs=x, measure=False)
        assert [tensor.name for tensor in bundle.inputs] == ["categorical", "numeric"]
        with pytest.raises(ValueError, match="finite"):
            export.predict(path, x)
        found = export.predict(path, x, missing=True)["probabilities"]
        np.testing.assert_allclose(found, answer.predict(x, verbose=0), atol=0.05)


@pytest.mark.parametrize("make", NETWORKS)
def test_numbers_alone_need_no_table(make):
    assert make(5, 16).output["features"].shape == (None, 16)
    for wrong in (0, {"points": []}, {"points": [], "gaps": [], "categories": []}, "table"):
        with pytest.raises(ValueError, match="Received: "):
            make(wrong)


def test_mlp_has_three_kinds():
    counts = [backbones.mlp(5, 16, 2, kind=kind).count_params() for kind in KINDS]
    assert len(set(counts)) == 3
    with pytest.raises(ValueError, match="Received: kind='deep'"):
        backbones.mlp(5, kind="deep")


def test_sparsemax_is_the_papers_algorithm():
    z = np.random.default_rng(0).normal(size=(50, 7)).astype("float32") * 2
    for row, found in zip(z, array(blocks.Sparsemax()(z))):
        ordered = np.sort(row)[::-1]
        ranks, total = np.arange(1, 8), np.cumsum(ordered)
        support = ranks[1 + ranks * ordered > total].max()
        threshold = (total[support - 1] - 1) / support
        np.testing.assert_allclose(found, np.maximum(row - threshold, 0), atol=1e-6)


def test_tabnet_masks_say_what_is_read():
    """Of five columns one decides: the masks say which."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 5)).astype("float32")
    y = (x[:, 3] > 0).astype(int)
    keras.utils.set_random_seed(3)
    backbone = backbones.tabnet(5, 8, 2, sparsity=1e-2, embedding=1)
    model = heads.attach(backbone, heads.ClassificationHead(2))
    model.compile(keras.optimizers.Adam(2e-2), loss=heads.losses(model), metrics=["accuracy"])
    model.fit({"numeric": x}, y, batch_size=256, epochs=10, verbose=0)
    masks = array(backbone({"numeric": x})["masks"])
    np.testing.assert_allclose(masks.sum(-1), 1, atol=1e-5)
    assert masks.mean((0, 1)).argmax() == 3


def test_the_choices_entropy_is_a_loss():
    layer = blocks.TabNet(4, 2, sparsity=0.5)
    masks = array(layer(np.random.default_rng(0).normal(size=(6, 5, 2)), training=True)["masks"])
    entropy = -(masks * np.log(masks + 1e-15)).sum(-1).mean()
    np.testing.assert_allclose(array(layer.losses[0]), 0.5 * entropy, rtol=1e-4)
    layer = blocks.TabNet(4, 2, dtype="mixed_float16")
    layer(np.random.default_rng(0).normal(size=(6, 5, 2)), training=True)
    assert np.isfinite(array(layer.losses[0]))  # of columns that are not read, too


def test_what_a_network_of_numbers_multiplies_is_counted():
    import export

    table = heads.Table.of({"age": np.arange(50.0), "job": np.array(["a", "b"] * 25)})
    facts = export.measure(backbones.mlp(table.columns, 8, 1))
    assert not facts.uncounted and facts.macs > 0


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="makes a file")
def test_columns_of_all_ranges_survive_8_bits(tmp_path):
    """One scale for counts of millions and for shares would leave nothing of the shares."""
    import export

    rng = np.random.default_rng(0)
    rows = {"count": np.exp(rng.normal(5, 3, 300)), "share": rng.random(300)}
    table = heads.Table.of({**rows, "job": rng.choice(["a", "b"], 300)})
    x = table({**rows, "job": rng.choice(["a", "b"], 300)})
    model = heads.attach(backbones.mlp(table.columns, 16, 2, periodic=None), heads.RegressionHead())
    bundle = export.to_tflite(
        model, tmp_path / "rows.tflite", "int8", calibration=x, measure=False, tolerance=30.0
    )
    assert bundle.parity.outputs[0].sqnr_db > 30
