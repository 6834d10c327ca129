"""What a U-Net may have besides: weights that bring maps up, and earlier maps that are taught."""

import keras
import numpy as np
import pytest
from keras import ops

import export
import heads
from tests.values import numbers

LEVELS = ["P1", "P2", "P3"]


def maps():
    sides = {"image": 13, "P1": 13, "P2": 7, "P3": 4}
    found = {k: numbers(2, side, side, 3 + i, seed=i) for i, (k, side) in enumerate(sides.items())}
    return {k: x.astype("float32") for k, x in found.items()}


def array(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize("nested", [False, True])
def test_earlier_maps_are_taught_and_do_not_change_the_answer(nested):
    x = maps()
    plain = heads.UNetHead(3, LEVELS, 4, nested=nested, upsample="transposed")
    deep = heads.UNetHead(3, LEVELS, 4, nested=nested, upsample="transposed", deep_supervision=True)
    plain(x), deep(x)
    own = {id(w) for w in deep.beside.weights}
    shared = [w for w in deep.weights if id(w) not in own]
    assert len(own) == 2  # of three levels one map is neither the backbone's nor the answer's
    for ours, theirs in zip(shared, plain.weights, strict=True):
        assert ours.path.split("/", 1)[1] == theirs.path.split("/", 1)[1]
        ours.assign(theirs)
    np.testing.assert_array_equal(array(deep(x)), array(plain(x)))
    taught = array(deep(x, training=True))
    assert taught.shape == (2, 13, 13, 6)
    kernel, bias = (array(w) for w in deep.beside.weights)
    assert kernel.shape[2] == (4 if nested else 8)  # of the finest level, or of the next
    assert np.ptp(taught[..., 3:] - bias) > 0


def test_each_further_map_counts_half():
    y = numbers(2, 5, 4, seed=3) > 0
    logits = numbers(2, 5, 4, 9, seed=4).astype("float32")
    loss = heads.SegmentationLoss({"cross_entropy": 1.0, "dice": 0.5}, num_classes=3, maps=3)
    one = heads.SegmentationLoss({"cross_entropy": 1.0, "dice": 0.5}, num_classes=3)
    each = [float(one(y, part)) for part in np.split(logits, 3, axis=-1)]
    assert float(loss(y, logits)) == pytest.approx((4 * each[0] + 2 * each[1] + each[2]) / 7)
    assert float(loss(y, logits[..., :3])) == pytest.approx(each[0])
    with pytest.raises(ValueError, match="batch, .sides, 3"):
        one(y, logits)
    with pytest.raises(ValueError, match="batch, .sides, 3"):
        loss(y, logits[..., :6])
    restored = heads.SegmentationLoss.from_config(loss.get_config())
    assert float(restored(y, logits)) == float(loss(y, logits))
    for metric in (heads.MaskIoU, heads.MaskDice, heads.PixelAccuracy, heads.BoundaryF1):
        several, single = metric(3, maps=3), metric(3)
        several.update_state(y, logits)
        single.update_state(y, logits[..., :3])
        assert float(several.result()) == float(single.result())


def test_a_transposed_convolution_is_its_formula():
    x = maps()
    head = heads.UNetHead(3, ["P2", "P3"], 4, upsample="transposed")
    head(x)
    grow = head.stages[0][0].grow
    kernel, coarse = array(grow.kernel), x["P3"]
    found = np.zeros((2, 8, 8, 4), "float32")
    for i in range(2):
        for j in range(2):
            found[:, i::2, j::2] = coarse @ kernel[i, j].T
    np.testing.assert_allclose(array(grow(coarse)), found + array(grow.bias), rtol=1e-4, atol=1e-5)


def test_a_fit_teaches_them_and_a_file_has_none_of_it(tmp_path):
    image = keras.Input((16, 16, 1), name="image")
    fine = keras.layers.Conv2D(4, 3, padding="same", name="fine")(image)
    middle = keras.layers.Conv2D(6, 3, 2, "same", name="middle")(fine)
    coarse = keras.layers.Conv2D(8, 3, 2, "same", name="coarse")(middle)
    backbone = keras.Model(image, {"P1": fine, "P2": middle, "P3": coarse}, name="tiny")
    x, y = numbers(8, 16, 16, 1).astype("float32"), np.zeros((8, 16, 16), "int32")
    y[:, 4:9, 4:9] = 1
    sizes = {}
    for deep in (False, True):
        head = heads.UNetHead(
            2, LEVELS, 4, upsample="transposed", deep_supervision=deep, name="head"
        )
        model = heads.attach(backbone, head)
        model.compile("adam", loss=head.loss(), metrics=head.metrics(), jit_compile=False)
        before = [array(w) for w in head.beside.weights] if deep else []
        logs = model.fit(x, y, validation_data=(x, y), epochs=4, verbose=0).history
        if deep:
            assert all(np.ptp(b - array(w)) > 0 for b, w in zip(before, head.beside.weights))
            assert logs["loss"][-1] < logs["loss"][0]
            model.save(path := tmp_path / "model.keras")
            again = keras.saving.load_model(path)
            score = again.evaluate(x, y, verbose=0)[0]
            assert score == pytest.approx(logs["val_loss"][-1], rel=1e-4)
            np.testing.assert_array_equal(array(again(x)), array(model(x)))
        answer = heads.deploy(model)
        sizes[deep] = export.to_tflite(answer, tmp_path / f"{deep}.tflite", inputs=x[:2]).size
    assert sizes[True] == pytest.approx(sizes[False], rel=0.01)
