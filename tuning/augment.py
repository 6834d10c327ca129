"""Augmentation of images, built from Keras's own layers, as a table of plain values."""

import random
from collections.abc import Callable

from keras import layers

from blocks.base import check_positive
from tuning.checks import is_number

# What is done, in this order; 0 or None leaves it out.
NOTHING = {
    "flip": None,  # "horizontal", or "vertical", or "horizontal_and_vertical"
    "shift": 0.0,  # of each side at most, by whole pixels; what it uncovers is mirrored
    "rotate": 0.0,  # of a full turn at most, to both sides
    "zoom": 0.0,  # of a side at most, in and out
    "contrast": 0.0,  # share by which contrast changes at most
    "brightness": 0.0,  # share of the value range that is added or taken off at most
    "rand_augment": 0.0,  # factor of keras.layers.RandAugment: two of eleven changes a batch
    "erase": 0.0,  # probability that a rectangle becomes grey, the middle of the value range
    "mix_up": 0.0,  # alpha of MixUp
    "cut_mix": 0.0,  # alpha of CutMix; of both, a batch gets one, by chance
}
LIGHT = {"flip": "horizontal", "shift": 0.125}
STRENGTHS = {
    "none": NOTHING,
    "light": {**NOTHING, **LIGHT},
    "medium": {
        **NOTHING,
        **LIGHT,
        "rotate": 0.03,
        "zoom": 0.1,
        "contrast": 0.2,
        "brightness": 0.1,
        "erase": 0.25,
    },
    # RandAugment turns by up to 0.1 of a turn, shifts by up to 0.1 of a side.
    "strong": {
        **NOTHING,
        **LIGHT,
        "rand_augment": 0.1,
        "erase": 0.25,
        "mix_up": 0.2,
        "cut_mix": 1.0,
    },
}
IN_RANGE = ("contrast", "brightness", "rand_augment", "erase")  # what asks for the value range
FLIPS = (None, "horizontal", "vertical", "horizontal_and_vertical")


def augmentation(
    strength: str = "medium",
    *,
    value_range: tuple[float, float] = (0, 255),
    num_classes: int | None = None,
    seed: int | None = None,
    **changes,
) -> Callable:
    """Return a function for `tf.data.Dataset.map` that augments batches of images.

    `dataset.batch(32).map(tuning.augmentation("light"))`: it takes and gives
    `(images, targets)`, with sample weights as a third if nothing is mixed. Images become float32
    and keep their shape and range. Targets stay as they are, unless images are mixed: class ids
    then become one-hot rows, mixed as the images are, for
    `heads.ClassificationHead(one_hot=True)`. Validation data need the rows, too:
    `keras.utils.to_categorical`.

    It works on every backend. Equal seeds give equal batches, unless `map` runs in parallel.
    RandAugment computes all its changes to keep two, which costs several times all the rest.

    Args:
        strength: `"none"`, `"light"`, `"medium"` or `"strong"`: a row of
            `tuning.augment.STRENGTHS`, where each number is explained.
        value_range: Least and largest value of a pixel.
        num_classes: Number of classes; needed where images are mixed and targets are class ids.
        seed: Seed of all that is random; by default it follows `keras.utils.set_random_seed`.
        **changes: Other values for names of the row: `flip=None, erase=0.5`. Where left is not
            right, as in letters, give `flip=None`.

    Raises:
        ValueError: If there is no such strength or name, or a value is out of range; when it is
            mapped, if targets cannot be mixed.
        tf.errors.InvalidArgumentError: At a batch whose pixels are of another range, as
            those from 0 to 1 under the default, where a change depends on it; or whose ids are
            none of the classes.

    Reference: [Cubuk et al., 2019](https://arxiv.org/abs/1909.13719) (RandAugment);
    [Zhong et al., 2017](https://arxiv.org/abs/1708.04896) (random erasing);
    [Zhang et al., 2017](https://arxiv.org/abs/1710.09412) (MixUp);
    [Yun et al., 2019](https://arxiv.org/abs/1905.04899) (CutMix)

    >>> import numpy as np
    >>> augment = augmentation("light", cut_mix=1.0, num_classes=3, seed=1)
    >>> images, targets = augment(np.zeros((4, 8, 8, 3), "uint8"), np.array([0, 1, 2, 2]))
    >>> tuple(images.shape), tuple(targets.shape)
    ((4, 8, 8, 3), (4, 3))
    """
    import tensorflow as tf

    row = _row(strength, changes)
    low, high = _range(value_range)
    if num_classes is not None:
        check_positive(num_classes=num_classes)
    seeds = random.Random(random.randrange(2**30) if seed is None else seed)
    steps = _layers(row, low, high, seeds)
    mixes = _mixes(row, seeds)
    chance = tf.random.Generator.from_seed(seeds.randrange(2**30))

    def augment(images, targets, *weights):
        _check(images, row, mixes, weights)
        floats, images = images.dtype.is_floating, tf.cast(images, "float32")
        if any(row[name] for name in IN_RANGE):
            images = _check_range(tf, images, low, high, floats)
        for layer in steps:
            images = layer(images, training=True)
        if mixes:
            targets = _rows(tf, targets, num_classes)
            given = {"images": images, "labels": targets}
            first = chance.uniform([]) < 0.5
            mixed = tf.cond(first, lambda: mixes[0](dict(given)), lambda: mixes[-1](dict(given)))
            images, targets = mixed["images"], mixed["labels"]
        return (images, targets, *weights)

    return tf.function(augment, autograph=False)  # in a graph, the layers are TensorFlow's


def _layers(row, low, high, seeds):
    """Return Keras's layers for a row of the table, each with a seed of its own."""
    common = [{"dtype": "float32", "seed": seeds.randrange(2**30)} for _ in row]
    values = {"value_range": (low, high)}
    made = {
        "flip": lambda x, kw: layers.RandomFlip(x, **kw),
        "shift": lambda x, kw: layers.RandomTranslation(x, x, interpolation="nearest", **kw),
        "rotate": lambda x, kw: layers.RandomRotation(x, **kw),
        "zoom": lambda x, kw: layers.RandomZoom(x, **kw),
        "contrast": lambda x, kw: layers.RandomContrast(x, **values, **kw),
        "brightness": lambda x, kw: layers.RandomBrightness(x, **values, **kw),
        "rand_augment": lambda x, kw: layers.RandAugment(factor=x, **values, **kw),
        # A lone number would be the most that a probability is drawn below.
        "erase": lambda x, kw: layers.RandomErasing(
            (x, x), fill_value=(low + high) / 2, **values, **kw
        ),
    }
    return [made[name](row[name], kw) for name, kw in zip(made, common) if row[name]]


def _mixes(row, seeds):
    common = [{"dtype": "float32", "seed": seeds.randrange(2**30)} for _ in range(2)]
    made = []
    if row["mix_up"]:
        made.append(layers.MixUp(row["mix_up"], **common[0]))
    if row["cut_mix"]:  # a lone number would be the most that alpha is drawn below
        made.append(layers.CutMix((row["cut_mix"],) * 2, **common[1]))
    return made


def _row(strength, changes):
    if strength not in STRENGTHS:
        raise ValueError(
            f"`strength` must be one of {', '.join(STRENGTHS)}. Received: strength={strength!r}."
        )
    if unknown := sorted(set(changes) - set(NOTHING)):
        raise ValueError(
            f"What may be changed is {', '.join(NOTHING)}. Received: {', '.join(unknown)}."
        )
    row = {**STRENGTHS[strength], **changes}
    for name, value in row.items():
        right = value in FLIPS if name == "flip" else is_number(value) and 0 <= value <= 1
        if not right:
            rule = f"one of {FLIPS}" if name == "flip" else "a number from 0 to 1"
            raise ValueError(f"`{name}` must be {rule}. Received: {name}={value!r}.")
    return row


def _range(value_range):
    numbers = isinstance(value_range, (tuple, list)) and all(map(is_number, value_range))
    if not numbers or len(value_range) != 2 or not value_range[0] < value_range[1]:
        raise ValueError(
            "`value_range` must be the least and the largest value of a pixel. "
            f"Received: value_range={value_range!r}."
        )
    return float(value_range[0]), float(value_range[1])


def _check(images, row, mixes, weights):
    shape = tuple(images.shape)
    if len(shape) != 4:
        raise ValueError(
            "Batches of images, (batch, height, width, channels), are augmented. "
            f"Received: shape {shape}. Batch the dataset first: dataset.batch(32).map(…)."
        )
    if row["rand_augment"] and shape[-1] != 3:
        raise ValueError(
            "RandAugment needs images of 3 channels, red, green and blue. "
            f"Received: shape {shape}. Give rand_augment=0."
        )
    if mixes and weights:
        raise ValueError(
            "Where images are mixed, there are no sample weights. Received: batches of three "
            "parts. Leave the weights out, or give mix_up=0, cut_mix=0."
        )


def _check_range(tf, images, low, high, floats):
    """Raise, at each batch, where pixels are far out of the value range, or far too dark for it."""
    least, most, slack = tf.reduce_min(images), tf.reduce_max(images), (high - low) / 2
    dark = floats and high > 2
    within = (
        (least >= low - slack)
        & (most <= high + slack)
        & ((most > 1) | (most <= 0) if dark else True)
    )
    said = f"Pixels must be of the value range. Received: value_range={(low, high)!r}, and from, to"
    with tf.control_dependencies([tf.debugging.Assert(within, [said, least, most])]):
        return tf.identity(images)


def _rows(tf, targets, num_classes):
    """Return targets as rows: one-hot of class ids, or as they are."""
    shape = tuple(targets.shape)
    ids = len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
    if ids and num_classes is None:
        raise ValueError(
            "Images are mixed with their targets as rows, so class ids need `num_classes`. "
            f"Received: num_classes=None and targets of shape {shape}."
        )
    if ids:
        targets = tf.reshape(targets, [-1])
        numbers = tf.cast(targets, "int32")
        right = (
            (numbers >= 0) & (numbers < num_classes) & (tf.cast(numbers, targets.dtype) == targets)
        )
        said = f"Targets must be class ids below num_classes={num_classes}. Received:"
        check = tf.debugging.Assert(tf.reduce_all(right), [said, targets], summarize=8)
        with tf.control_dependencies([check]):
            return tf.one_hot(numbers, num_classes)
    if len(shape) != 2 or num_classes not in (None, shape[1]):
        raise ValueError(
            "Targets that are mixed must be class ids or rows of one number for each class. "
            f"Received: shape {shape} and num_classes={num_classes!r}."
        )
    return tf.cast(targets, "float32")
