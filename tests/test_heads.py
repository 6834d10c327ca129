"""Heads as parts of models: attach, train, save."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import heads
from blocks.base import register

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(16, 8, 8, 3)).astype("float32")


def backbone(**options):
    image = keras.Input((8, 8, 3), name="image")
    levels, x = {}, image
    for i in (1, 2):
        x = layers.Conv2D(4 * i, 3, 2, padding="same", name=f"conv{i}", **options)(x)
        levels[f"P{i}"] = x
    return keras.Model(image, levels, name="tiny")


def several():
    return {
        "tags": heads.ClassificationHead(4, multi_label=True),
        "kind": heads.ClassificationHead(2, name="kind"),
        "age": heads.RegressionHead(mean=40.0, std=10.0),
    }


def several_targets(n=16):
    return {
        "tags": RNG.integers(0, 2, (n, 4)),
        "kind": RNG.integers(0, 2, n),
        "age": RNG.normal(40, 10, n),
    }


def array(x):
    return ops.convert_to_numpy(x)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@register
class SumHead(heads.Head):
    """A head of several levels, for the tests."""

    levels = ["P1", "P2"]

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.pool = layers.GlobalAveragePooling2D(dtype="float32", name="pool")
        self.values = layers.Dense(1, dtype="float32", name="values")

    def call(self, features):
        return self.values(ops.concatenate([self.pool(features[x]) for x in self.levels], axis=-1))

    def loss(self):
        return "mse"


def test_attach_takes_the_coarsest_feature():
    model = heads.attach(backbone(), heads.ClassificationHead(3, name="head"))
    assert model.output_shape == (None, 3) and model.name == "tiny"
    head = model.get_layer("head")
    feature = array(keras.Model(model.input, model.get_layer("conv2").output)(IMAGES))
    kernel, bias = head.logits.get_weights()
    expected = feature.mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(array(model(IMAGES)), expected, rtol=1e-4, atol=1e-5)


def test_attach_gives_the_levels_a_head_asks_for():
    model = heads.attach(backbone(), SumHead(name="head"))
    assert set(model.get_layer("head")._inbound_nodes[0].arguments.args[0]) == {"P1", "P2"}
    assert model(IMAGES).shape == (16, 1)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"P3": (4, 4, 8), "P10": (2, 2, 6), "P5": (3, 3, 5)}, 6),
        ({"tokens": (7, 8)}, 8),
        ({"tokens": (7, 8), "features": (5,)}, 5),
    ],
)
def test_coarsest_feature(features, expected):
    inputs = {key: keras.Input(shape, name=key) for key, shape in features.items()}
    model = heads.attach(keras.Model(inputs, inputs), heads.RegressionHead(name="head"))
    assert model.get_layer("head").values.kernel.shape == (expected, 1)
    assert set(model.input) == set(features)


def test_attach_takes_one_tensor_and_a_sequential():
    x = keras.Input((6,))
    assert heads.attach(keras.Model(x, x), heads.RegressionHead(2)).output_shape == (None, 2)
    sequential = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)])
    assert heads.attach(sequential, heads.ClassificationHead(5)).output_shape == (None, 5)


def test_attach_shares_the_backbone():
    net = backbone()
    model = heads.attach(net, heads.ClassificationHead(3))
    assert net.get_layer("conv1") is model.get_layer("conv1")


def subclassed():
    class Own(keras.Model):
        def call(self, x):
            return x

    return Own()


def used():
    head = heads.ClassificationHead(3)
    heads.attach(backbone(), head)
    return head


def pair():
    return keras.Model(x := keras.Input((4,)), [x, 2 * x])


@pytest.mark.parametrize(
    ("make_backbone", "make_head", "said"),
    [
        (subclassed, lambda: heads.ClassificationHead(3), "functional"),
        (lambda: "resnet", lambda: heads.ClassificationHead(3), "functional"),
        (backbone, dict, "at least one"),
        (backbone, lambda: layers.Dense(3), "heads.Head"),
        (backbone, lambda: {"a": layers.Dense(3)}, "heads.Head"),
        (backbone, lambda: {3: heads.ClassificationHead(3)}, "strings"),
        (backbone, used, "in use"),
        (backbone, lambda: dict.fromkeys("ab", heads.ClassificationHead(3)), "in use"),
        (pair, lambda: heads.ClassificationHead(3), "dict of features"),
        (lambda: keras.Model(x := keras.Input((4,)), x), SumHead, "backbones.pyramid"),
        (lambda: keras.Model(x := keras.Input((4, 4, 3)), {"P1": x}), SumHead, "gives P1"),
        (
            lambda: keras.Model(x := keras.Input((4,)), {"user": x, "item": 2 * x}),
            lambda: heads.ClassificationHead(3),
            "user and item",
        ),
    ],
)
def test_attach_refuses(make_backbone, make_head, said):
    with pytest.raises(ValueError, match=r"(?s)Received: ") as error:
        heads.attach(make_backbone(), make_head())
    assert said in str(error.value)


@pytest.mark.parametrize("make_head", [heads.ClassificationHead, heads.RegressionHead])
def test_padding_of_sequences_does_not_count(make_head):
    tokens = keras.Input((5, 4))
    net = keras.Model(tokens, {"tokens": layers.Masking()(tokens)})
    model = heads.attach(net, make_head(2))
    x = RNG.normal(size=(3, 5, 4)).astype("float32")
    x[0, 3:] = 0
    x[2] = 0
    (head,) = heads.graph.heads_of(model).values()
    alone = array(head(x[:1, :3]))
    np.testing.assert_allclose(array(model(x))[:1], alone, rtol=1e-5, atol=1e-5)
    assert np.isfinite(array(model(x))).all()  # the last row is padding alone
    y = np.zeros((3, 2)) if make_head is heads.RegressionHead else np.zeros(3)
    model.compile("sgd", loss=heads.losses(model), metrics=heads.metrics(model))
    assert np.isfinite(model.train_on_batch(x, y)).all()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_raw_output_and_answer_are_float32_under_mixed_precision(policy):
    model = heads.attach(
        backbone(dtype=policy),
        {
            "kind": heads.ClassificationHead(3, dtype=policy),
            "age": heads.RegressionHead(dtype=policy),
        },
    )
    assert model.get_layer("conv2").compute_dtype != "float32"
    assert {x.dtype for x in model.outputs + heads.deploy(model).outputs} == {"float32"}


def test_mask_survives_mixed_precision():
    tokens = keras.Input((5, 4))
    net = keras.Model(tokens, layers.Masking(dtype="float32")(tokens))
    model = heads.attach(net, heads.RegressionHead(dtype="mixed_bfloat16"))
    x = np.ones((1, 5, 4), "float32")
    padded = x * np.array([1, 1, 0, 0, 0], "float32")[None, :, None]
    np.testing.assert_allclose(array(model(padded)), array(model(x)), rtol=1e-6)


def test_several_heads_train_at_once_with_loss_weights():
    model = heads.attach(backbone(), several())
    weights = {"tags": 1.0, "kind": 2.0, "age": 0.5}
    model.compile(
        "sgd", loss=heads.losses(model), metrics=heads.metrics(model), loss_weights=weights
    )
    y = several_targets()
    scores = model.evaluate(IMAGES, y, verbose=0, return_dict=True)
    total = sum(weights[name] * scores[f"{name}_loss"] for name in weights)
    np.testing.assert_allclose(scores["loss"], total, rtol=1e-5)
    assert {"kind_accuracy", "kind_auc", "tags_macro_f1", "age_mae", "age_r2"} <= set(scores)
    logs = model.fit(IMAGES, y, validation_data=(IMAGES, y), verbose=0).history
    assert "val_kind_accuracy" in logs


def test_a_loss_weight_of_zero_leaves_the_head_as_it_is():
    model = heads.attach(backbone(), several())
    weights = {"tags": 0.0, "kind": 1.0, "age": 1.0}
    model.compile("sgd", loss=heads.losses(model), loss_weights=weights)
    found = heads.graph.heads_of(model)
    before = {name: array(head.weights[0]).copy() for name, head in found.items()}
    model.fit(IMAGES, several_targets(), verbose=0)
    moved = {name for name in found if not np.array_equal(before[name], found[name].weights[0])}
    assert moved == {"kind", "age"}


def test_one_named_head_keeps_its_name():
    model = heads.attach(backbone(), {"kind": heads.ClassificationHead(3)})
    model.compile("sgd", loss=heads.losses(model), metrics=heads.metrics(model))
    logs = model.fit(IMAGES, {"kind": np.arange(16) % 3}, verbose=0).history
    assert "accuracy" in logs or "kind_accuracy" in logs
    assert set(heads.deploy(model).output) == {"kind"}


def test_saved_model_stays_compiled_and_trains_on(tmp_path):
    model = heads.attach(backbone(), several())
    model.compile("adam", loss=heads.losses(model), metrics=heads.metrics(model))
    y = several_targets()
    model.fit(IMAGES, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    before = model.evaluate(IMAGES, y, verbose=0, return_dict=True)
    after = loaded.evaluate(IMAGES, y, verbose=0, return_dict=True)
    assert set(before) == set(after)
    for name in before:
        np.testing.assert_allclose(before[name], after[name], rtol=1e-5, err_msg=name)
    loaded.fit(IMAGES, y, verbose=0)
