"""Letters of the fonts that come with matplotlib, drawn as the digits of scikit-learn were made."""

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"  # one of each two that differ in size alone
FONTS = ("DejaVuSans*", "DejaVuSerif*", "STIXGeneral*", "cm[brst]*")
SIDE, BLOCK = 8, 4  # an image has 8 x 8 squares of 4 x 4 black or white points: values 0 to 16


def load(each=150, seed=0):
    """Return images (count, 8, 8, 1) from 0 to 16, labels and the letters, `each` of a letter."""
    rng = np.random.default_rng(seed)
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    paths = sorted(path for name in FONTS for path in folder.glob(f"{name}.ttf"))
    fonts = [ImageFont.truetype(path, 32) for path in paths if "Display" not in path.stem]
    labels = np.repeat(np.arange(len(LETTERS)), each)
    images = [draw(LETTERS[k], fonts[rng.integers(len(fonts))], rng) for k in labels]
    return np.stack(images), labels, list(LETTERS)


def draw(letter, font, rng):
    """Return a letter, turned, slanted and bolder than its font at random, as tall as its image."""
    size = 80
    image = Image.new("L", (size, size))
    place = {"anchor": "mm", "stroke_width": int(rng.integers(0, 3))}
    ImageDraw.Draw(image).text((size / 2, size / 2), letter, 255, font, **place)
    turn, slant = rng.normal(0, 0.15, 2)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[cos, sin + slant], [-sin, cos]])
    shift = (np.eye(2) - matrix) @ [size / 2, size / 2]
    image = image.transform(
        image.size, Image.Transform.AFFINE, np.column_stack([matrix, shift]).ravel().tolist(), 2
    )
    image = image.crop(image.getbbox())
    side = SIDE * BLOCK
    width = int(np.clip(side * image.width / image.height, BLOCK, side * 3 // 4))
    points = np.zeros((side, side), bool)
    left = (side - width) // 2
    points[:, left : left + width] = np.asarray(image.resize((width, side))) > 127
    return points.reshape(SIDE, BLOCK, SIDE, BLOCK).sum((1, 3))[..., None].astype("float32")
