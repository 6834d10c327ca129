"""Losses of class maps against formulas in NumPy, loops included."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

import heads

RNG = np.random.default_rng(0)
CLASSES, IGNORED = 4, 255
LOGITS = RNG.normal(scale=2, size=(3, 7, 6, CLASSES)).astype("float32")
IDS = RNG.integers(0, CLASSES - 1, (3, 7, 6))  # the last class is nowhere
IDS[0, :2] = IGNORED
IDS[1, 3:, 3:] = 3
IDS[2, 1, 1] = IGNORED
MASKS = RNG.integers(0, 2, (3, 7, 6))
MASKS[0, :2] = IGNORED
MASK_LOGITS = RNG.normal(scale=2, size=(3, 7, 6, 1)).astype("float32")


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def pixels(image, binary=False):
    """Return of an image the flat ids and probabilities of the positions that count."""
    ids, z = (MASKS, MASK_LOGITS) if binary else (IDS, LOGITS)
    counts = ids[image] != IGNORED
    z = z[image][counts].astype("float64")
    return ids[image][counts], 1 / (1 + np.exp(-z)) if binary else softmax(z)


def columns(image, binary=False):
    """Return a pair of truth and probability for every class that is in an image."""
    ids, p = pixels(image, binary)
    if binary:
        return [(ids.astype(float), p[:, 0])] if ids.any() else []
    return [((ids == c).astype(float), p[:, c]) for c in range(CLASSES) if (ids == c).any()]


def mean(values):
    return sum(values) / max(len(values), 1)


def of_images(function, binary):
    return mean([mean([function(*pair) for pair in columns(i, binary)]) for i in range(3)])


def cross_entropy(binary, gamma=0.0, weights=None):
    losses = []
    for image in range(3):
        ids, p = pixels(image, binary)
        p = np.where(ids == 1, p[:, 0], 1 - p[:, 0]) if binary else p[np.arange(len(ids)), ids]
        w = np.ones(len(ids)) if weights is None else np.array(weights)[ids]
        losses += list(-w * (1 - p) ** gamma * np.log(p))
    return np.mean(losses)


def tversky(alpha, beta):
    def loss(y, p):
        hits = (y * p).sum()
        return 1 - hits / (hits + alpha * ((1 - y) * p).sum() + beta * (y * (1 - p)).sum())

    return loss


def dice(y, p):
    return 1 - 2 * (y * p).sum() / (y.sum() + p.sum())


def jaccard_loss(y, wrong):
    """Return one minus the IoU of the answer that is wrong at the given places."""
    answer = np.where(wrong, 1 - y, y)
    return 1 - (y * answer).sum() / max(np.maximum(y, answer).sum(), 1e-12)


def extension(y, errors):
    """Return the Lovász extension by its definition: sets that grow in the order of errors."""
    order, wrong, total, before = np.argsort(-errors), np.zeros(len(y), bool), 0.0, 0.0
    for i in order:
        wrong[i] = True
        now = jaccard_loss(y, wrong)
        total += errors[i] * (now - before)
        before = now
    return total


def lovasz(y, p):
    return extension(y, np.abs(y - p))


def lovasz_hinge():
    values = []
    for image in range(3):
        counts = MASKS[image] != IGNORED
        y, z = MASKS[image][counts].astype(float), MASK_LOGITS[image][counts][:, 0]
        values.append(extension(y, np.maximum(1 - z.astype("float64") * (2 * y - 1), 0)))
    return mean(values)


def window(x, radius, i, j):
    return x[max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1]


def edge(y, counts):
    out = np.zeros_like(y)
    for i, j in itertools.product(*map(range, y.shape)):
        background = np.where(counts, 1 - y, 0)
        if counts[i, j]:
            out[i, j] = window(background, 1, i, j).max() - (1 - y[i, j])
    return out


def near(y, radius):
    places = itertools.product(*map(range, y.shape))
    return np.array([window(y, radius, i, j).max() for i, j in places]).reshape(y.shape)


def edge_f1(true, guess, tolerance):
    precision = (guess * near(true, tolerance)).sum() / max(guess.sum(), 1e-12)
    recall = (true * near(guess, tolerance)).sum() / max(true.sum(), 1e-12)
    return 2 * precision * recall / max(precision + recall, 1e-12)


def boundary(binary, tolerance=2):
    ids, z = (MASKS, MASK_LOGITS) if binary else (IDS, LOGITS)
    p = (1 / (1 + np.exp(-z.astype("float64")))) if binary else softmax(z.astype("float64"))
    images = []
    for image in range(3):
        counts = ids[image] != IGNORED
        losses = []
        for c in [1] if binary else range(CLASSES):
            true = edge(((ids[image] == c) & counts).astype(float), counts)
            guess = edge(p[image, ..., 0 if binary else c] * counts, counts)
            if true.any():
                losses.append(1 - edge_f1(true, guess, tolerance))
        images.append(mean(losses))
    return mean(images)


EXPECTED = {
    "cross_entropy": lambda binary: cross_entropy(binary),
    "focal": lambda binary: cross_entropy(binary, 2.0),
    "dice": lambda binary: of_images(dice, binary),
    "tversky": lambda binary: of_images(tversky(0.3, 0.7), binary),
    "lovasz": lambda binary: lovasz_hinge() if binary else of_images(lovasz, binary),
    "boundary": boundary,
}


def loss_of(parts, binary=False, ignore_label=IGNORED):
    return heads.SegmentationLoss(
        parts, num_classes=1 if binary else CLASSES, ignore_label=ignore_label
    )


def value(loss, ids, logits, **kwargs):
    return float(loss(ids, ops.convert_to_tensor(logits), **kwargs))


@pytest.mark.parametrize("binary", [False, True], ids=["classes", "binary"])
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_loss_is_its_formula(name, binary):
    ids, logits = (MASKS, MASK_LOGITS) if binary else (IDS, LOGITS)
    expected = EXPECTED[name](binary)
    assert 0.05 < expected
    np.testing.assert_allclose(value(loss_of(name, binary), ids, logits), expected, rtol=1e-5)
    # An axis of one channel, and another type of ids, are the same targets.
    again = value(loss_of(name, binary), ids[..., None].astype("float32"), logits)
    np.testing.assert_allclose(again, expected, rtol=1e-5)


def test_options_and_sums():
    parts = {
        "cross_entropy": {"weight": 0.5, "class_weights": [1.0, 2.0, 0.5, 3.0]},
        "tversky": {"alpha": 0.9, "beta": 0.2},
        "focal": {"gamma": 3.0, "weight": 2.0},
        "boundary": {"tolerance": 1, "weight": 0.25},
    }
    expected = (
        0.5 * cross_entropy(False, weights=[1.0, 2.0, 0.5, 3.0])
        + of_images(tversky(0.9, 0.2), False)
        + 2 * cross_entropy(False, 3.0)
        + 0.25 * boundary(False, tolerance=1)
    )
    loss = loss_of(parts)
    np.testing.assert_allclose(value(loss, IDS, LOGITS), expected, rtol=1e-5)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    np.testing.assert_allclose(value(again, IDS, LOGITS), expected, rtol=1e-5)


def test_dice_is_kerass_where_all_classes_are_there():
    ids = np.arange(48).reshape(2, 6, 4) % CLASSES
    z = RNG.normal(size=(2, 6, 4, CLASSES)).astype("float32")
    of_keras = keras.losses.dice(np.eye(CLASSES)[ids], softmax(z), axis=(1, 2))
    np.testing.assert_allclose(
        value(loss_of("dice"), ids, z), np.mean(ops.convert_to_numpy(of_keras)), rtol=1e-5
    )


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_what_is_ignored_changes_nothing(name):
    changed = np.where((IDS == IGNORED)[..., None], 50 * RNG.normal(size=LOGITS.shape), LOGITS)
    loss = loss_of(name)
    np.testing.assert_allclose(
        value(loss, IDS, changed.astype("float32")), value(loss, IDS, LOGITS), rtol=1e-5
    )


@pytest.mark.parametrize("name", sorted(EXPECTED))
@pytest.mark.parametrize("binary", [False, True], ids=["classes", "binary"])
def test_steps_stay_finite(name, binary):
    """Also of nothing but ignored positions, of empty masks, and where the model is sure."""
    keras.utils.set_random_seed(0)
    channels = 1 if binary else CLASSES
    image = keras.Input((6, 5, 2))
    model = keras.Model(image, keras.layers.Conv2D(channels, 1)(image))
    model.compile(keras.optimizers.SGD(1e-3), loss=loss_of(name, binary))
    x = RNG.normal(size=(2, 6, 5, 2)).astype("float32")
    before = model.get_weights()
    assert model.train_on_batch(x, np.full((2, 6, 5), IGNORED)) == 0
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    half = np.full((2, 6, 5), IGNORED)
    half[1] = 1
    for ids, scale in ((half, 1.0), (np.zeros((2, 6, 5)), 1.0), (np.ones((2, 6, 5)), 1e4)):
        assert np.isfinite(model.train_on_batch(x * scale, ids))
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_loss_teaches(name):
    """Free logits go to the mask; what a loss cannot see is not asked for."""
    keras.utils.set_random_seed(1)
    ids = np.zeros((1, 8, 8), "int32")
    ids[:, 2:6, 3:7] = 1
    ids[:, :1] = IGNORED
    image = keras.Input((8, 8, 64))
    model = keras.Model(image, keras.layers.Dense(2, use_bias=False)(image))
    x = np.eye(64, dtype="float32").reshape(1, 8, 8, 64)  # a weight for every position
    loss = heads.SegmentationLoss(name, num_classes=2, ignore_label=IGNORED)
    model.compile(keras.optimizers.Adam(0.3), loss=loss)
    first = model.train_on_batch(x, ids)
    for _ in range(40):
        last = model.train_on_batch(x, ids)
    assert last < 0.3 * first
    if name != "boundary":
        predicted = model.predict(x, verbose=0).argmax(-1)
        assert (predicted == ids)[ids != IGNORED].all()


def test_weights_of_samples_are_one_an_image():
    loss, w = loss_of("dice"), np.array([1.0, 0.0, 3.0])
    each = [value(loss, IDS[i : i + 1], LOGITS[i : i + 1]) for i in range(3)]
    expected = np.mean(w * each)
    for weights in (w, w[:, None]):
        np.testing.assert_allclose(
            value(loss, IDS, LOGITS, sample_weight=weights), expected, rtol=1e-5
        )
    with pytest.raises(ValueError, match="one an image.*Received: shape \\(3, 7, 6\\)"):
        loss(IDS, LOGITS, sample_weight=np.ones((3, 7, 6)))


def test_wrong_targets_stop_the_step():
    with pytest.raises(ValueError, match="0 to 3, or 255 to be ignored. Received: .*7.* at row 1"):
        loss_of("dice")(np.where(np.arange(3)[:, None, None] == 1, 7, IDS), LOGITS)
    with pytest.raises(ValueError, match="0 to 3. Received: .*255.* at row 0"):
        loss_of("dice", ignore_label=None)(IDS, LOGITS)
    for ids in (IDS[:, :6], IDS[0], np.eye(CLASSES)[np.minimum(IDS, 3)]):
        with pytest.raises(ValueError, match="Masks must have the shape .*Received: "):
            loss_of("dice")(ids, LOGITS)
    with pytest.raises(ValueError, match="Logits must have the shape .*Received: "):
        loss_of("dice")(IDS, LOGITS[..., :2])


@pytest.mark.parametrize(
    "parts",
    [
        "nonsense",
        {},
        {"dice": "much"},
        {"dice": -1.0},
        {"dice": {"alpha": 0.1}},
        {"focal": {"gamma": -1.0}},
        {"cross_entropy": {"class_weights": [1.0]}},
    ],
)
def test_wrong_parts_say_what_was_received(parts):
    with pytest.raises(ValueError, match="Received: "):
        loss_of(parts)


def test_volumes():
    ids = RNG.integers(0, 2, (2, 4, 5, 3))
    z = RNG.normal(size=(2, 4, 5, 3, 1)).astype("float32")
    p = 1 / (1 + np.exp(-z[..., 0].astype("float64")))
    got = value(heads.SegmentationLoss("dice", num_classes=1), ids, z)
    np.testing.assert_allclose(got, np.mean([dice(ids[i], p[i]) for i in range(2)]), rtol=1e-5)
    for name in EXPECTED:
        assert np.isfinite(value(heads.SegmentationLoss(name, num_classes=1), ids, z))
