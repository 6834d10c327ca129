"""One answer of several heads, and inputs that are missing."""

import keras
import numpy as np
import pytest

import heads

RNG = np.random.default_rng(0)


def array(x):
    return keras.ops.convert_to_numpy(x)


def data(count=600):
    """Return two features, of which each tells half of the class, and who is there."""
    y = RNG.integers(0, 4, count)
    first = np.eye(2)[y // 2] + RNG.normal(0, 0.2, (count, 2))
    second = np.eye(2)[y % 2] + RNG.normal(0, 0.2, (count, 2))
    return first.astype("float32"), second.astype("float32"), y


def made(**options):
    parts = {name: heads.ClassificationHead(4, name=f"{name}_kind") for name in ("first", "second")}
    inputs = {name: keras.Input((2,), name=name) for name in parts}
    if options.get("may_miss"):
        inputs["there"] = keras.Input((2,), name="there")
    return heads.attach(keras.Model(inputs, inputs), heads.LateFusionHead(parts, **options))


def test_the_raw_output_is_a_weighted_mean():
    parts = {"a": heads.RegressionHead(name="x"), "b": heads.RegressionHead(name="y")}
    head = heads.LateFusionHead(parts, may_miss=True)
    a, b = RNG.normal(size=(2, 5, 3)).astype("float32")
    there = np.array([[1, 1], [1, 0], [0, 1], [0, 0], [1, 1]], "float32")
    head({"a": a, "b": b, "there": there})
    head.mean.trust.assign([0.0, np.log(3.0)])
    ours, theirs = array(parts["a"](a)), array(parts["b"](b))
    expected = [
        0.25 * ours[0] + 0.75 * theirs[0],
        ours[1],
        theirs[2],
        0 * ours[3],
        0.25 * ours[4] + 0.75 * theirs[4],
    ]
    np.testing.assert_allclose(
        array(head({"a": a, "b": b, "there": there})), np.stack(expected), atol=1e-5
    )


def test_two_heads_know_more_than_one():
    first, second, y = data()
    keras.utils.set_random_seed(0)
    model = made(may_miss=True, rate=0.3)
    x = {"first": first, "second": second, "there": np.ones((len(y), 2), "float32")}
    heads.check_targets(y, model)
    model.compile(
        keras.optimizers.Adam(0.02), loss=heads.losses(model), metrics=heads.metrics(model)
    )
    model.fit(x, y, epochs=25, verbose=0)
    answer = heads.deploy(model)

    def best(**changes):
        return answer.predict({**x, **changes}, verbose=0).argmax(1)

    assert (best() == y).mean() > 0.95
    alone = best(there=np.tile([[1.0, 0.0]], (len(y), 1)))
    assert (alone // 2 == y // 2).mean() > 0.95
    np.testing.assert_array_equal(
        best(second=second + 99, there=np.tile([[1.0, 0.0]], (len(y), 1))), alone
    )


def test_it_saves_and_loads(tmp_path):
    first, second, _ = data(8)
    model = made()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = {"first": first, "second": second}
    np.testing.assert_array_equal(*(m.predict(x, verbose=0) for m in (model, loaded)))
    x = {name: keras.Input((2,), name=name) for name in "ab"}
    parts = {name: heads.ClassificationHead(2, name=f"{name}_kind") for name in x}
    two = heads.attach(keras.Model(x, x), heads.LateFusionHead(parts))
    assert sorted(heads.deploy(two, threshold=0.5).output) == ["labels", "probabilities"]


def test_heads_of_other_tasks_are_refused():
    own = {"a": heads.MarginHead(3, 4, name="x"), "b": heads.MarginHead(3, 4, name="y")}
    with pytest.raises(ValueError, match="answer by their raw output alone"):
        heads.LateFusionHead(own)
    parts = {"a": heads.RegressionHead(name="x"), "b": heads.ClassificationHead(3, name="y")}
    with pytest.raises(ValueError, match="the same shape. Received: {'a': "):
        heads.LateFusionHead(parts)({"a": np.ones((1, 2)), "b": np.ones((1, 2))})


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="files are written on TensorFlow here"
)
def test_a_file_answers_without_an_input(tmp_path):
    import export

    first, second, y = data(40)
    answer = heads.deploy(made(may_miss=True))
    there = RNG.permutation([[1, 0], [0, 1], [1, 1], [1, 1]] * 10).astype("float32")
    x = {"first": first, "second": second, "there": there}
    bundle = export.to_tflite(answer, tmp_path / "fused.tflite", inputs=x, measure=False)
    assert {t.name for t in bundle.inputs} == {"first", "second", "there"}
    odd = {**x, "first": np.where(there[:, :1] > 0, first, 0)}
    np.testing.assert_allclose(
        export.predict(bundle.path, odd)["probabilities"],
        answer.predict(odd, verbose=0),
        atol=1e-5,
    )
