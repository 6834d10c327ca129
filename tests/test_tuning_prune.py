"""Structured pruning: dead channels change nothing, groups hold together, shares are reached."""

import keras
import numpy as np
import pytest
from keras import layers

import backbones
import blocks
import export
import heads
import tuning
from benchmarks.timing import settle
from blocks.base import ChannelPReLU
from tests.slow import slow
from tuning.channels import read
from tuning.freezing import trace_layers

SHAPE = (16, 16, 3)
NORM = layers.BatchNormalization
SCALED = (NORM, ChannelPReLU, blocks.LayerScale)


def classifier(body, shape=SHAPE, head=None):
    keras.utils.set_random_seed(0)
    image = keras.Input(shape, name="image")
    head = head or heads.ClassificationHead(3, name="head")
    model = heads.attach(keras.Model(image, body(image), name="net"), head)
    return shaken(model)


def shaken(model, seed=0):
    """Return a model whose weights are all unlike those of a new one."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, SCALED):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.weights])
    for w in model.weights:
        if w.name == "bias":
            w.assign(rng.normal(0, 0.1, w.shape))
    return model


def kill(model, share=0.4, seed=0):
    """Make groups of channels of a flat model exactly zero, and return how many channels died."""
    rng = np.random.default_rng(seed)
    flat, originals = trace_layers(model)
    within = {
        id(x)
        for head in model._flatten_layers()
        if isinstance(head, heads.Head)
        for x in head._flatten_layers()
    }
    channels = read(flat, originals, within, set())
    roots, kept = channels.roots()
    free = sorted(set(roots.tolist()) - set(kept))
    dead = set(rng.permutation(free)[: round(share * len(free))].tolist())
    weights = [(kernel, axis) for _, kernel, axis in channels.makers]
    # What follows a filter must not bring a dead channel back.
    weights += [
        (w, -1)
        for w in model.weights
        if w.name in ("bias", "gamma", "beta") and id(w) in channels.slices
    ]
    for w, axis in weights:
        labels = roots[channels.slices[id(w)][axis]]
        value = np.moveaxis(np.array(w), axis, -1)
        value[..., np.isin(labels, list(dead))] = 0
        w.assign(np.moveaxis(value, -1, axis))
    return len(dead), len(free)


def bottlenecks(x):
    x = blocks.BottleneckBlock(16, 2, name="a")(x)
    return blocks.BottleneckBlock(16, groups=2, reduction=2, name="b")(x)


def basic(x):
    x = blocks.ConvNormAct(8, name="stem")(x)
    return blocks.ResidualBlock(12, strides=2, name="b")(blocks.ResidualBlock(8, name="a")(x))


def inverted(x):
    x = blocks.ConvNormAct(8, strides=2, activation="hard_silu", name="stem")(x)
    se = {"ratio": 0.25, "gate": "hard_sigmoid", "divisor": 4}
    for name in "ab":
        x = blocks.InvertedResidual(8, se_ratio=se, activation="hard_silu", name=name)(x)
    return x


def dense(x):
    x = blocks.DenseBlock(2, 4, name="a")(layers.Conv2D(8, 3, name="stem")(x))
    return blocks.TransitionBlock(0.5, name="t")(x)


def flattened(x):
    x = layers.Conv2D(8, 3, 4, activation="relu", name="conv")(x)
    x = layers.Conv2DTranspose(6, 2, 2, name="up")(x)
    x = layers.SeparableConv2D(8, 3, depth_multiplier=2, name="sep")(layers.PReLU()(x))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="deep")(x)
    return layers.Dense(8, activation="relu", name="dense")(layers.Flatten()(x))


def gated(x):
    x = layers.Conv2D(8, 3, name="conv")(x)
    gate = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="gate")(gate)
    spatial = layers.Conv2D(1, 1, activation="sigmoid", name="spatial")(x)
    y = layers.UpSampling2D(2)(layers.MaxPooling2D(2)(x * gate * spatial))
    return layers.Concatenate()([y, layers.Cropping2D(0)(x)])


def mixed(x):
    x = blocks.InceptionBlock([[(4, 1)], [(3, 1), (6, 3)], ["avg", (4, 1)]], name="a")(x)
    return blocks.ConvNeXtBlock(3, expansion=2, layer_scale=0.5, name="b")(x)


BODIES = [basic, bottlenecks, inverted, dense, flattened, gated, mixed]
IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, *SHAPE)).astype("float32")


def lose_nothing(model, images=IMAGES, macs=0.8):
    """Prune channels of which more are dead, and hold the answers beside each other."""
    dead, free = kill(model)
    assert 0 < dead < free
    plan = tuning.pruning_plan(model, macs, multiple=1)
    expected, got = (np.array(m(images, training=False)) for m in (model, plan.model))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert np.abs(expected - expected[:1]).max() > 1e-3  # the answers say something
    return plan


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_what_is_zero_is_cut_and_the_answers_stay(body):
    plan = lose_nothing(classifier(body))
    assert plan.macs[1] <= 0.8 * plan.macs[0] and plan.params[1] < plan.params[0]
    assert plan.macs[1] == export.measure(plan.model).macs
    assert plan.params[1] == plan.model.count_params()


def test_channels_that_meet_in_a_sum_have_one_width():
    model = tuning.prune(classifier(basic), 0.5, multiple=4)
    width = {x.name: x.filters for x in model.layers if isinstance(x, layers.Conv2D)}
    assert width["stem.conv"] == width["a.conv2.conv"] < 8 or width["b.conv2.conv"] < 12
    assert width["b.conv2.conv"] == width["b.shortcut.conv"]
    assert all(x % 4 == 0 for x in width.values())
    assert model.compiled is False and model.name == "net"


def test_ranks_are_norms_over_the_mean_of_their_layer():
    model = classifier(lambda x: layers.Conv2D(6, 1, name="b")(layers.Conv2D(6, 3, name="a")(x)))
    kernels = {name: np.array(model.get_layer(name).kernel) for name in "ab"}
    norms = {name: np.abs(k).sum((0, 1, 2)) for name, k in kernels.items()}
    score = {name: x / x.mean() for name, x in norms.items()}
    pruned = tuning.prune(model, 0.7, multiple=1)
    kept = {}
    for name in "ab":
        made, whole = np.array(pruned.get_layer(name).bias), np.array(model.get_layer(name).bias)
        kept[name] = [i for i in range(6) if np.isclose(whole[i], made).any()]
        assert len(kept[name]) == len(made)
        least = np.sort(score[name])[::-1][: len(made)]
        np.testing.assert_allclose(np.sort(score[name][kept[name]])[::-1], least)
    assert len(kept["a"]) < 6
    left = np.array(pruned.get_layer("b").kernel)
    np.testing.assert_array_equal(left, kernels["b"][:, :, kept["a"]][..., kept["b"]])


def test_batch_norm_ranks_by_its_scale():
    model = classifier(lambda x: blocks.ConvNormAct(8, name="a")(x))
    gamma = np.array([0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6], "float32")
    norm = next(x for x in model._flatten_layers() if isinstance(x, NORM))
    norm.gamma.assign(gamma)
    pruned = tuning.prune(model, 0.5, by="batch_norm", multiple=4)
    np.testing.assert_array_equal(pruned.get_layer("a.norm").gamma, gamma[1::2])
    plain = classifier(lambda x: layers.Conv2D(8, 3, name="a")(x))
    with pytest.raises(ValueError, match=r"`macs` must be at least 1.0"):
        tuning.prune(plain, 0.5, by="batch_norm")


def test_what_mixes_channels_keeps_them_and_is_named():
    plan = tuning.pruning_plan(classifier(mixed), 0.9, multiple=1)
    found = {x.name: x for x in plan.layers}
    widen, logits = found["b.widen"], found["head.logits"]
    assert widen.channels[1] < widen.channels[0] and not widen.reason
    assert found["b.narrow"].channels == (14, 14)
    assert found["b.narrow"].reason == "b.norm (LayerNormalization)"
    assert logits.reason == "part of a head" and logits.macs[1] == logits.macs[0]
    assert "b.norm (LayerNormalization)" in str(plan)


def test_a_foreign_layer_that_mixes_channels_is_found_out():
    @keras.saving.register_keras_serializable("test")
    class Centred(layers.Layer):
        def call(self, x):
            return x - keras.ops.mean(x, axis=-1, keepdims=True)

    @keras.saving.register_keras_serializable("test")
    class Halved(layers.Layer):
        def call(self, x):
            return x / 2

    def body(x):
        x = Halved()(layers.Conv2D(8, 3, name="a")(x))
        return Centred(name="centred")(layers.Conv2D(8, 3, name="b")(x))

    plan = tuning.pruning_plan(classifier(body), 0.7, multiple=1)
    a, b, _ = plan.layers
    assert a.channels[1] < 8 and b.channels == (8, 8) and b.reason == "centred (Centred)"


def test_heads_go_on(tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE, name="image")
    x = blocks.ConvNormAct(8, strides=2, name="s1")(image)
    y = blocks.ConvNormAct(8, strides=2, name="s2")(x)
    levels = {"P1": x, "P2": y}
    backbone = keras.Model(image, levels, name="net")
    model = heads.attach(
        backbone,
        {
            "mask": heads.UNetHead(3, ["P1", "P2"], filters=4),
            "kind": heads.ClassificationHead(2),
        },
    )
    shaken(model)
    pruned = tuning.prune(model, 0.9, multiple=4)
    assert set(heads.losses(pruned)) == set(heads.metrics(pruned)) == {"mask", "kind"}
    images = np.random.default_rng(0).uniform(size=(2, *SHAPE)).astype("float32")
    pruned.save(tmp_path / "pruned.keras")
    loaded = keras.saving.load_model(tmp_path / "pruned.keras")
    for a, b in zip(*(keras.tree.flatten(m(images)) for m in (pruned, loaded))):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert set(heads.deploy(loaded).output) == set(heads.deploy(model).output)
    kind = {"kind": np.array([0, 1])}
    part = keras.Model(pruned.input, {"kind": pruned.output["kind"]})
    part.compile("sgd", loss=heads.losses(part), metrics=heads.metrics(part))
    part.fit(images, kind, verbose=0)


def test_a_head_that_counts_its_channels_keeps_what_it_reads():
    @keras.saving.register_keras_serializable("test")
    class Scaled(heads.ClassificationHead):
        def call(self, x):
            return self.logits(self.pool(x) / x.shape[-1])

    def body(x):
        return layers.Conv2D(8, 3, name="b")(layers.Conv2D(8, 3, name="a")(x))

    model = classifier(body, head=Scaled(3, name="head"))
    a, b = tuning.pruning_plan(model, 0.6, multiple=1).layers
    assert a.channels[1] < 8 and b.channels == (8, 8)


def test_sequences_sequentials_and_shared_layers():
    model = keras.Sequential(
        [
            keras.Input((12, 4)),
            layers.Conv1D(8, 3, name="a"),
            layers.ReLU(),
            layers.Dense(8, activation="softmax", name="b"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2, name="c"),
        ]
    )
    plan = tuning.pruning_plan(model, 0.8, multiple=1)
    assert plan.layers[0].channels[1] < 8
    assert plan.layers[1].channels == (8, 8) and plan.layers[1].reason.startswith("b (Dense)")
    image = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    wide = layers.Conv2D(8, 1, name="wide")
    y = wide(shared(image)) + wide(shared(shared(image)))
    plan = tuning.pruning_plan(keras.Model(image, layers.Conv2D(2, 1)(y)), 0.9, multiple=1)
    found = {x.name: x.channels for x in plan.layers}
    assert found["shared"] == (3, 3) and found["wide"][1] < 8  # the image has three channels


def test_mistakes():
    def body(x):
        return layers.Conv2D(8, 3, name="b")(layers.Conv2D(8, 3, name="a")(x))

    model = classifier(body)
    for given, said in (
        ({"macs": 1.5}, "`macs` must be a share"),
        ({"macs": True}, "`macs` must be a share"),
        ({"macs": 0.0001}, "`macs` must be at least"),
        ({"by": "size"}, "`by` must be one of"),
        ({"multiple": 0}, "`multiple` must be a whole number"),
    ):
        with pytest.raises(ValueError, match=said) as error:
            tuning.prune(model, **given)
        assert "Received:" in str(error.value)
    open_sides = classifier(body, (None, None, 3))
    assert tuning.prune(open_sides, 0.9, multiple=1, input_shape=SHAPE).input_shape == (
        None,
        None,
        None,
        3,
    )


@slow
@pytest.mark.parametrize("head", [heads.DetectionHead, heads.SSDHead])
def test_detectors_go_on(head):
    backbone = backbones.mobilenet_v2((64, 64, 3), alpha=0.35)
    pruned = tuning.prune(shaken(heads.attach(backbone, head(3, filters=16))), 0.8)
    boxes = heads.deploy(pruned)(np.ones((1, 64, 64, 3)))
    assert {"boxes", "scores"} <= set(boxes) and heads.losses(pruned)


@slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: backbones.resnet((32, 32, 3), depth=18),
        lambda: backbones.mobilenet_v2((32, 32, 3), alpha=0.35),
        lambda: backbones.mobilenet_v3((32, 32, 3), size="small"),
        lambda: backbones.densenet((32, 32, 3)),
        lambda: backbones.convnext((32, 32, 3)),
    ],
)
def test_networks_keep_their_answers(make):
    model = shaken(heads.attach(make(), heads.ClassificationHead(3)))
    images = np.random.default_rng(0).uniform(size=(8, 32, 32, 3)).astype("float32")
    settle(model, images)  # or deep ones answer alike to all
    assert lose_nothing(model, images, 0.9).macs[1] <= 0.9 * export.measure(model).macs


def test_outputs_may_be_yes_or_no():
    image = keras.Input(SHAPE)
    x = layers.Conv2D(8, 3)(layers.Conv2D(16, 3, name="conv")(image))
    scores = layers.Dense(3)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, {"scores": scores, "sure": scores > 0})
    assert tuning.prune(model, 0.6).get_layer("conv").filters == 8
