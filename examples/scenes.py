"""Scenes composed of scikit-learn's digits: real strokes, made layout.

Each part of a data set draws from digits of its own, so that no stroke is seen twice.
"""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

PARTS = {"train": (0, 1200), "valid": (1200, 1500), "test": (1500, 1797)}  # of the digits


def strokes(part, rng):
    """Yield digits of a part without end: `(image, number)`, the image from 0 to 1, 16 to 32."""
    digits, (low, high) = load_digits(), PARTS[part]
    while True:
        i, side = rng.integers(low, high), int(rng.integers(16, 33))
        image = Image.fromarray((digits.images[i] * 15.9).astype("uint8"))
        yield (
            np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)) / 255,
            digits.target[i],
        )


def ground(side, rng, rough=24.0):
    """Return a cloudy grey picture, `(side, side)`, from 0 to 255."""
    if side < 48:
        raise SystemExit(f"A scene is at least 48 pixels wide: --side. Received: {side}.")
    small = rng.uniform(60, 140, (6, 6)).astype("uint8")
    large = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(large) + rng.normal(0, rough, (side, side))


def placed(side, digits, taken, rng, tries=20):
    """Return the next digit and a place for it that touches none taken: left, top, right, bottom.

    It returns `None` where there is none left.
    """
    image, number = next(digits)
    rows, columns = (np.flatnonzero((image > 0.3).any(axis)) for axis in (1, 0))
    image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = image.shape
    for _ in range(tries):
        top, left = rng.integers(0, side - height), rng.integers(0, side - width)
        box = (left, top, left + width, top + height)
        if not any(
            box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken
        ):
            return image, number, box
    return None


def draw(canvas, image, box, light):
    """Lay strokes of a brightness over a picture, `(height, width)`."""
    left, top, right, bottom = box
    window = canvas[top:bottom, left:right]
    canvas[top:bottom, left:right] = window * (1 - image) + light * image


def of_boxes(count, part, side=96, seed=0):
    """Return images `(count, side, side, 1)` of one to six digits, their boxes and numbers."""
    rng = np.random.default_rng([seed, PARTS[part][0]])
    digits, images, boxes, labels = strokes(part, rng), [], [], []
    for _ in range(count):
        canvas, taken, kinds = ground(side, rng), [], []
        for _ in range(rng.integers(1, 7)):
            if found := placed(side, digits, taken, rng):
                image, number, box = found
                draw(canvas, image, box, rng.uniform(190, 255))
                taken.append(box)
                kinds.append(number)
        images.append(canvas)
        boxes.append(np.array(taken, "float32").reshape(-1, 4))
        labels.append(np.array(kinds))
    return np.clip(np.stack(images), 0, 255)[..., None].astype("float32"), boxes, labels


def of_streets(count, part, side=96, seed=0):
    """Return coloured images of a sky, a road, and digits, odd and even ones, and their maps."""
    rng = np.random.default_rng([seed, PARTS[part][0]])
    digits, images, maps = strokes(part, rng), [], []
    for _ in range(count):
        horizon = side / 2 + np.cumsum(rng.normal(0, 0.7, side)) + rng.uniform(-8, 8)
        below = np.arange(side)[:, None] > horizon[None]
        canvas, classes, taken = ground(side, rng, 12.0), below.astype("int32"), []
        canvas = np.where(below, canvas * 0.6, canvas + 60)
        for _ in range(rng.integers(2, 6)):
            if found := placed(side, digits, taken, rng):
                image, number, box = found
                draw(canvas, image, box, rng.choice([rng.uniform(0, 30), rng.uniform(225, 255)]))
                window = classes[box[1] : box[3], box[0] : box[2]]
                window[image > 0.5] = 2 + number % 2
                taken.append(box)
        tint = rng.uniform(0.8, 1.2, 3)
        images.append(canvas[..., None] * tint + rng.normal(0, 6, (side, side, 3)))
        maps.append(classes)
    return np.clip(np.stack(images), 0, 255).astype("float32"), np.stack(maps)


def of_tissue(count, part, side=96, seed=0):
    """Return grey images of pale, blurred strokes in noise, and where the strokes are."""
    rng = np.random.default_rng([seed, PARTS[part][0]])
    digits, images, masks = strokes(part, rng), [], []
    for _ in range(count):
        canvas, mask, taken = ground(side, rng), np.zeros((side, side), "int32"), []
        for _ in range(8):
            if found := placed(side, digits, taken, rng):
                image, _, box = found
                draw(canvas, 0.6 * image, box, rng.uniform(190, 230))
                mask[box[1] : box[3], box[0] : box[2]][image > 0.5] = 1
                taken.append(box)
        images.append(canvas)
        masks.append(mask)
    return np.clip(np.stack(images), 0, 255)[..., None].astype("float32"), np.stack(masks)
