"""Heads of segmentation in models: sizes, values, training, targets, answers, files."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import backbones
import blocks
import heads
from tests.values import numbers, shaken

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="files are written from the TensorFlow backend: run with KERAS_BACKEND=tensorflow",
)


def backbone(height=21, width=18, first=2):
    """Return three levels of strides that double, the finest of stride `first`."""
    image = keras.Input((height, width, 3), name="image")
    maps, x, strides = {}, image, first
    for i in range(3):
        x = layers.Conv2D(
            4 + 2 * i, 3, strides, padding="same", activation="relu", name=f"conv{i}"
        )(x)
        maps[f"P{i + 1}"], strides = x, 2
    return keras.Model(image, maps, name="tiny")


LEVELS = ["P1", "P2", "P3"]
HEADS = {
    "unet": lambda n, **k: heads.UNetHead(n, LEVELS, 4, **k),
    "unet_nested": lambda n, **k: heads.UNetHead(n, LEVELS, 4, nested=True, attention=True, **k),
    "deeplab": lambda n, **k: heads.DeepLabHead(n, "P3", "P1", 6, [2], **k),
    "lraspp": lambda n, **k: heads.LRASPPHead(n, "P3", "P1", 6, **k),
    "pyramid": lambda n, **k: heads.PyramidSegmentationHead(n, LEVELS, 4, pyramid_filters=4, **k),
    "segformer": lambda n, **k: heads.SegFormerHead(n, LEVELS, 6, **k),
}
every_head = pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)


def array(x):
    return ops.convert_to_numpy(x)


def squares(count, side=(21, 18), seed=0):
    """Return images with a bright square each, and the masks of the squares."""
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=0.1, size=(count, *side, 3)).astype("float32")
    y = np.zeros((count, *side), "int32")
    for i, (top, left) in enumerate(rng.integers(0, 10, (count, 2))):
        y[i, top : top + 8, left : left + 7] = 1
    return x + y[..., None], y


@every_head
def test_logits_have_the_size_of_the_image(make):
    known = heads.attach(backbone(), make(5, name="head"))
    assert known.output_shape == (None, 21, 18, 5)
    model = heads.attach(backbone(None, None), make(5, name="head"))
    assert model.output_shape == (None, None, None, 5)
    model.set_weights(known.get_weights())
    x = numbers(2, 21, 18, 3)
    np.testing.assert_allclose(array(model(x)), array(known(x)), rtol=1e-4, atol=1e-5)
    for side in ((33, 47), (16, 16)):
        assert model(numbers(1, *side, 3)).shape == (1, *side, 5)


def test_a_stem_of_stride_four_and_a_published_network():
    assert heads.attach(backbone(first=4), HEADS["unet"](2)).output_shape == (None, 21, 18, 2)
    network = backbones.mobilenet_v3((97, 64, 3), "small", alpha=0.35)
    head = heads.LRASPPHead(3, filters=8)
    assert heads.attach(network, head).output_shape == (None, 97, 64, 3)


def test_features_may_be_the_image_s_size():
    image = keras.Input((9, 8, 3))
    fine = layers.Conv2D(4, 3, padding="same")(image)
    maps = {"P0": fine, "P1": layers.MaxPooling2D(2, padding="same")(fine)}
    model = heads.attach(keras.Model(image, maps), heads.UNetHead(2, ["P0", "P1"], 4))
    assert model.output_shape == (None, 9, 8, 2)
    assert not [
        x for x in blocks.flatten(model).layers if "to_image" in x.name and "resi" in x.name
    ]


def test_attach_needs_one_image():
    a, b = keras.Input((8, 8, 3), name="a"), keras.Input((8, 8, 3), name="b")
    x = layers.Conv2D(4, 3, 2, padding="same")(a + b)
    maps = {"P1": x, "P2": layers.MaxPooling2D()(x)}
    with pytest.raises(ValueError, match="one input.*Received: 2 inputs, a, b"):
        heads.attach(keras.Model([a, b], maps), heads.UNetHead(2, ["P1", "P2"], 4))
    named = keras.Model([a, b], {**maps, "image": b})
    assert heads.attach(named, heads.UNetHead(2, ["P1", "P2"], 4)).output_shape == (None, 8, 8, 2)
    with pytest.raises(ValueError, match="there is no P5"):
        heads.attach(backbone(), heads.LRASPPHead(2, "P5"))


def test_several_heads_share_a_backbone():
    model = heads.attach(
        backbone(), {"mask": HEADS["unet"](1), "kind": heads.ClassificationHead(3)}
    )
    model.compile("adam", loss=heads.losses(model), metrics=heads.metrics(model))
    x, y = squares(4)
    targets = {"mask": y, "kind": np.arange(4) % 3}
    heads.check_targets((x, targets), model)
    logs = model.test_on_batch(x, targets, return_dict=True)
    assert np.isfinite(logs["loss"]) and "mask_iou" in logs
    assert set(heads.deploy(model).output) == {"mask", "kind"}


def test_a_model_learns_squares_and_answers_them_after_loading(tmp_path):
    keras.utils.set_random_seed(0)
    x, y = squares(32)
    y[:, 0] = 255
    # A batch norm has not learned its statistics after so few steps.
    head = HEADS["unet"](1, norm="layer", loss={"cross_entropy": 1.0, "dice": 0.5})
    model = heads.attach(backbone(), head)
    heads.check_targets((x, y), model)
    model.compile(keras.optimizers.Adam(0.02), loss=head.loss(), metrics=head.metrics())
    model.fit(x, y, batch_size=8, epochs=12, verbose=0)
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(scores) == {"loss", "iou", "dice", "accuracy", "boundary_f1"}
    assert scores["iou"] > 0.7 and scores["accuracy"] > 0.9
    answer = heads.deploy(model)
    assert answer.output_names == ["classes"]
    classes = array(answer(x))
    assert classes.dtype == "int32"
    assert np.mean((classes == y)[y != 255]) == pytest.approx(scores["accuracy"], abs=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(heads.deploy(loaded)(x)), classes)
    assert loaded.loss.get_config() == model.loss.get_config()


def test_the_loss_of_a_head_is_plain_data():
    """A layer tracks the dicts and lists it holds; a loss that is saved must not."""
    parts = {"cross_entropy": {"class_weights": [1.0, 2.0]}, "dice": 0.5}
    head = heads.UNetHead(2, LEVELS, 4, loss=parts)
    found = head.loss().get_config()["parts"]
    assert found == parts and type(found) is dict
    assert type(found["cross_entropy"]) is dict
    assert type(found["cross_entropy"]["class_weights"]) is list


def test_answers():
    z = numbers(2, 5, 4, 3)
    image = keras.Input((5, 4, 3))
    fake = keras.Model(image, {"P1": image, "P2": image})

    def answer(classes, **options):
        head = heads.UNetHead(classes, ["P1", "P2"], 2, name="head")
        model = heads.attach(fake, head)
        return heads.deploy(model, **options)(z), array(model(z))

    classes, logits = answer(3)
    np.testing.assert_array_equal(array(classes), logits.argmax(-1))
    both, logits = answer(3, probabilities=True)
    e = np.exp(logits)
    np.testing.assert_allclose(
        array(both["probabilities"]), e / e.sum(-1, keepdims=True), rtol=1e-5
    )
    np.testing.assert_array_equal(array(both["classes"]), logits.argmax(-1))
    classes, logits = answer(1)
    np.testing.assert_array_equal(array(classes), logits[..., 0] >= 0)
    _, logits = answer(1)
    both, logits = answer(1, threshold=0.6, probabilities=True)
    p = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(array(both["probabilities"]), p, rtol=1e-5)
    np.testing.assert_array_equal(array(both["classes"]), p[..., 0] >= 0.6)
    for wrong in ({"threshold": 0.5}, {"threshold": "high"}, {"confidence": True}):
        with pytest.raises(ValueError, match="Received: "):
            answer(3, **wrong)
    with pytest.raises(ValueError, match="Received: threshold=1.5"):
        answer(1, threshold=1.5)


@on_tensorflow
@pytest.mark.parametrize("classes", [1, 4])
def test_files_answer_as_keras_does(classes, tmp_path):
    from export import predict, to_tflite

    keras.utils.set_random_seed(1)
    x, y = squares(48)
    model = heads.attach(backbone(), HEADS["lraspp"](classes))
    model.compile(keras.optimizers.Adam(0.02), loss=heads.losses(model))
    model.fit(x, y, batch_size=8, epochs=4, verbose=0)
    answer, path = heads.deploy(model), tmp_path / "mask.tflite"
    for precision, least in (("float32", 1.0), ("int8", 0.99)):
        bundle = to_tflite(answer, path, precision, calibration=x, measure=False)
        assert bundle.outputs[0].dtype == "int32"
        assert ("ARG_MAX" in bundle.ops) == (classes > 1)
        assert np.mean(predict(path, x[:8])["classes"] == array(answer(x[:8]))) >= least


IDS = np.array([[[0, 1], [2, 255]], [[1, 1], [0, 2]]])
HEAD = heads.UNetHead(3, ["P1", "P2"])
BINARY = heads.UNetHead(1, ["P1", "P2"])
STRICT = heads.UNetHead(3, ["P1", "P2"], ignore_label=None)


def attached():
    return heads.attach(backbone(), HEADS["unet"](3))


def test_right_targets_pass_without_a_word():
    images = np.zeros((2, 2, 2, 3))
    for data in (IDS, IDS[..., None], IDS.astype("float32"), (images, IDS.astype("uint8"))):
        heads.check_targets(data, HEAD)
    heads.check_targets(np.array([[[0, 1]]], bool), BINARY)
    heads.check_targets(
        [(images[:1], IDS[:1]), (np.zeros((1, 2, 3, 3)), np.zeros((1, 2, 3)))], HEAD
    )
    heads.check_targets((squares(3)[0], np.resize([0, 1, 2], (3, 21, 18))), attached())


WRONG = [
    (HEAD, IDS + 1, "0 to 2, or 255 to be ignored. Received: 3 at .1, 0. of mask 0; in all 3, 256"),
    (HEAD, np.where(IDS == 2, 9, IDS), "Received: 9 .* num_classes=10"),
    (HEAD, np.where(IDS == 255, -1, IDS), "Received: -1"),
    (STRICT, IDS, "0 to 2. Received: 255 .* If they mean no class, give ignore_label=255"),
    (BINARY, np.array([[[0, 7]]]), "0 to 1, or 255"),
    (heads.UNetHead(1, ["P1", "P2"], ignore_label=None), IDS * 0 + [[0, 255]], "masks // 255"),
    (HEAD, IDS / 2, "whole numbers .* Received: 0.5 .* nearest"),
    (HEAD, IDS + [[0, np.nan]], "Received: nan"),
    (HEAD, np.eye(3)[np.minimum(IDS, 2)], "shape \\(batch, any, any\\). .*argmax"),
    (HEAD, IDS[0], "Received: shape \\(2, 2\\)"),
    (HEAD, IDS[:0], "at least one target"),
    (HEAD, IDS.astype(str), "must be numbers"),
    (
        HEAD,
        (np.zeros((2, 4, 2, 3)), IDS),
        "\\(batch, 4, 2\\). Received: shape \\(2, 2, 2\\).*batch 0",
    ),
    (HEAD, (np.zeros((3, 2, 2, 3)), IDS), "3 inputs and 2 targets"),
    (HEAD, [(np.zeros((2, 2, 2, 3)), IDS), (np.zeros((2, 2, 2, 3)), IDS * 5)], "In batch 1"),
]


@pytest.mark.parametrize(("head", "data", "said"), WRONG)
def test_wrong_targets_say_rule_place_and_repair(head, data, said):
    with pytest.raises(ValueError, match="(?s)" + said) as error:
        heads.check_targets(data, head)
    assert "Received: " in str(error.value)


def test_masks_of_another_size_than_the_model_s_are_refused():
    with pytest.raises(ValueError, match="\\(batch, 21, 18\\). Received: shape \\(2, 2, 2\\)"):
        heads.check_targets(IDS, attached())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.full((2, 2, 2), 255), "No position has a class: all are 255"),
        (np.concatenate([IDS, np.full((1, 2, 2), 255)]), "1 of 3 masks are ignored as a whole: 2"),
        (np.zeros((1, 2, 2)), "2 of 3 classes are in no mask: 1, 2"),
    ],
)
def test_odd_targets_are_a_warning(data, said):
    with pytest.warns(UserWarning, match=said):
        heads.check_targets(data, HEAD)


def conv(x, layer):
    """Return a 1x1 convolution by hand, with its normalization if it has one."""
    if isinstance(layer, blocks.ConvNormAct):
        y = x @ array(layer.conv.kernel)[0, 0]
        if layer.conv.use_bias:
            return y + array(layer.conv.bias)
        gamma, beta, mean, variance = map(array, layer.norm.weights)
        return gamma * (y - mean) / np.sqrt(variance + layer.norm.epsilon) + beta
    y = x @ array(layer.kernel)[0, 0]
    return y + array(layer.bias) if layer.use_bias else y


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def resized(x, sides):
    return array(ops.image.resize(x, sides, "bilinear"))


def test_attention_gate_is_its_formula():
    fine, coarse = numbers(2, 7, 6, 4), numbers(2, 4, 3, 5, seed=1)
    gate = shaken(blocks.AttentionGate(3), [fine, coarse])
    both = conv(fine, gate.fine) + resized(conv(coarse, gate.coarse), (7, 6))
    expected = fine * sigmoid(conv(np.maximum(both, 0), gate.gate))
    np.testing.assert_allclose(array(gate([fine, coarse])), expected, rtol=1e-4, atol=1e-5)


def test_lraspp_is_its_formula():
    x = {"image": numbers(2, 13, 9, 3), "P1": numbers(2, 7, 5, 4), "P3": numbers(2, 2, 2, 6)}
    head = shaken(heads.LRASPPHead(3, "P3", "P1", 5), x)
    y = np.maximum(conv(x["P3"], head.conv), 0)
    y = y * sigmoid(conv(x["P3"].mean(axis=(1, 2), keepdims=True), head.gate))
    y = conv(resized(y, (7, 5)), head.logits) + conv(x["P1"], head.fine)
    np.testing.assert_allclose(array(head(x)), resized(y, (13, 9)), rtol=1e-4, atol=1e-5)


def test_segformer_is_its_formula():
    x = {"image": numbers(2, 13, 9, 3), "P1": numbers(2, 7, 5, 4), "P2": numbers(2, 4, 3, 6)}
    head = shaken(heads.SegFormerHead(3, ["P1", "P2"], 5), x)
    parts = [x[k] @ array(p.kernel) for k, p in zip(LEVELS, head.project)]
    wide = np.concatenate([parts[0], resized(parts[1], (7, 5))], axis=-1)
    y = conv(np.maximum(conv(wide, head.mix), 0), head.logits)
    np.testing.assert_allclose(array(head(x)), resized(y, (13, 9)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("nested", "stages"), [(False, 3), (True, 6)])
def test_unet_plus_plus_has_a_stage_for_each_pair(nested, stages):
    """Every map reaches the logits: the paper's nodes and edges, three levels down."""
    maps = {"image": numbers(1, 16, 16, 1)}
    maps |= {f"P{i}": numbers(1, 16 // 2**i, 16 // 2**i, 2 + i, seed=i) for i in range(1, 5)}
    head = heads.UNetHead(2, [f"P{i}" for i in range(1, 5)], 4, nested=nested, norm="none")
    head(maps)
    found = [stage for row in head.stages for stage in row]
    assert len(found) == stages
    channels = {s.name: s.convs[0].conv.kernel.shape[2] for s in found}
    if nested:  # node (i, j) joins j + 1 maps of its level and one from below
        assert channels == {
            "stage0_0": 3 + 4,
            "stage0_1": 3 + 4 + 8,
            "stage0_2": 3 + 4 + 4 + 8,
            "stage1_0": 4 + 5,
            "stage1_1": 4 + 8 + 16,
            "stage2_0": 5 + 6,
        }
    else:
        assert channels == {"stage0_2": 3 + 8, "stage1_1": 4 + 16, "stage2_0": 5 + 6}


@pytest.mark.parametrize("nested", [False, True])
def test_unet_connects_as_its_papers_draw(nested):
    maps = {"image": numbers(1, 13, 16, 1)}
    maps |= {f"P{i}": numbers(1, 13 // 2**i, 16 // 2**i, 2 + i, seed=i) for i in range(4)}
    levels = [f"P{i}" for i in range(4)]
    head = shaken(heads.UNetHead(2, levels, 2, nested=nested), maps)
    stages = {stage.name: stage for row in head.stages for stage in row}

    def node(i, j):  # x(i, j) of UNet++, figure 1; of a U-Net the last of every row
        if j == 0:
            return maps[levels[i]]
        if not nested:
            return stages[f"stage{i}_{2 - i}"]([node(i, 0), node(i + 1, min(1, 2 - i))])
        return stages[f"stage{i}_{j - 1}"]([*[node(i, k) for k in range(j)], node(i + 1, j - 1)])

    expected = head.logits(node(0, 3))
    np.testing.assert_allclose(array(head(maps)), array(expected), rtol=1e-4, atol=1e-5)
    stage, fine, coarse = stages["stage2_0"], maps["P2"], maps["P3"]
    x = np.concatenate([fine, resized(coarse, fine.shape[1:3])], axis=-1)
    expected = stage.convs[1](stage.convs[0](x))
    np.testing.assert_allclose(array(stage([fine, coarse])), array(expected), rtol=1e-4, atol=1e-5)


def test_deeplab_connects_as_its_paper_draws():
    x = {"image": numbers(1, 13, 9, 3), "P1": numbers(1, 7, 5, 4), "P3": numbers(1, 2, 2, 6)}
    head = shaken(heads.DeepLabHead(3, "P3", "P1", 5, [2]), x)
    wide = resized(array(head.context(x["P3"])), (7, 5))
    fine = np.maximum(conv(x["P1"], head.fine), 0)
    assert fine.shape[-1] == 48
    y = array(head.conv(head.refine(np.concatenate([wide, fine], axis=-1))))
    expected = resized(conv(y, head.logits), (13, 9))
    np.testing.assert_allclose(array(head(x)), expected, rtol=1e-4, atol=1e-5)


def test_semantic_pyramid_adds_up_levels_doubled_step_by_step():
    sides = {"P1": (7, 5), "P2": (4, 3), "P3": (2, 2)}
    x = {k: numbers(1, *v, 4 + i, seed=i) for i, (k, v) in enumerate(sides.items())}
    x["image"] = numbers(1, 13, 9, 3)
    head = shaken(heads.PyramidSegmentationHead(3, LEVELS, 5, pyramid_filters=4, norm="batch"), x)
    fine, middle, coarse = map(array, head.pyramid([x[k] for k in LEVELS]))
    (a,), (b,), (c, d) = head.branches
    total = array(a(fine)) + resized(array(b(middle)), (7, 5))
    total = total + resized(array(d(resized(array(c(coarse)), (4, 3)))), (7, 5))
    expected = resized(conv(total, head.logits), (13, 9))
    np.testing.assert_allclose(array(head(x)), expected, rtol=1e-4, atol=1e-5)


def test_volumes():
    image = keras.Input((9, 8, 7, 1), name="scan")
    x = layers.Conv3D(3, 3, 2, padding="same")(image)
    maps = {"P1": x, "P2": layers.MaxPooling3D(2, padding="same")(x)}
    head = heads.UNetHead(3, ["P1", "P2"], 4, rank=3, attention=True, loss="dice")
    model = heads.attach(keras.Model(image, maps), head)
    assert model.output_shape == (None, 9, 8, 7, 3)
    model.compile("adam", loss=head.loss(), metrics=head.metrics())
    scans, ids = numbers(2, 9, 8, 7, 1), np.random.default_rng(0).integers(0, 3, (2, 9, 8, 7))
    heads.check_targets((scans, ids), model)
    scores = model.evaluate(scans, ids, verbose=0, return_dict=True)
    assert set(scores) == {"loss", "iou", "dice", "accuracy"}
    assert heads.deploy(model)(scans).shape == (2, 9, 8, 7)


def test_resizing_volumes_is_linear_on_every_side():
    resize = blocks.context.ResizeTo()
    x, like = numbers(1, 3, 4, 5, 2), np.zeros((1, 6, 4, 9, 1))
    y = array(resize([x, like]))
    assert y.shape == (1, 6, 4, 9, 2)
    for i in range(4):  # a side that stays leaves the others as in a map
        expected = resized(x[:, :, i], (6, 9))
        np.testing.assert_allclose(y[:, :, i], expected, rtol=1e-4, atol=1e-5)
