"""Class maps of images of any size."""

import keras
import numpy as np
from keras import ops

from blocks.base import check_positive
from heads import pixels
from heads.base import Head
from heads.deployment import deploy
from heads.graph import functional_graph


def segment(model, images, *, size=None, tile=False, overlap=0.25, batch_size=8):
    """Return the class of every pixel of images, each map as large as its image.

    An image is resized to what the model takes, and its map back by nearest neighbours. With
    `tile` it keeps its scale and is cut into overlapping tiles instead; of two tiles each answers
    on its side of the middle of their overlap, so no pixel is answered near the edge of its tile.
    Tiles are read one batch at a time, so an image may be a `np.memmap` larger than memory.

    Args:
        model: A `keras.Model` made by `heads.attach`, or one that answers, made by `heads.deploy`;
            or a function from a batch of images to the answers of one, such as
            `functools.partial(export.predict, "mask.tflite")`.
        images: One image, `(height, width, channels)`, a batch, or a list of images of any sizes,
            with the values the model was trained on; or paths of files, which are read as red,
            green and blue from 0 to 255.
        size: `(height, width)` that the model takes; by default the model's own, and where those
            are open the image's. A function needs it.
        tile: Whether to cut images into tiles of that size instead of resizing them.
        overlap: Share of a tile's side that the next one sees again, at least.
        batch_size: Number of images or tiles at a time.

    Returns:
        For one image an int32 map `(height, width)`, for a batch `(batch, height, width)`, for a
        list a list of maps.

    Raises:
        ValueError: If images are none, or the model's answers are no class maps.

    >>> segment(lambda x: x[..., 0].astype("int32"), np.ones((5, 7, 3)), size=(4, 4)).shape
    (5, 7)
    """
    check_positive(batch_size=batch_size)
    if not isinstance(overlap, (int, float)) or not 0 <= overlap < 1:
        raise ValueError(f"`overlap` must lie in [0, 1). Received: overlap={overlap!r}.")
    predict, own = _predictor(model)
    size = checked_size(size, own, tile)
    is_list = isinstance(images, (list, tuple))
    ranks = {rank(x) for x in images} if is_list else {rank(images)}
    if ranks not in ([{3}] if is_list else [{3}, {4}]):
        raise ValueError(
            "`images` must be an image (height, width, channels), a batch of such or a list. "
            f"Received: {f'{len(images)} arrays' if is_list else 'an array'} of "
            f"{' or '.join(map(str, sorted(ranks))) or 'no'} axes."
        )
    single = not is_list and ranks == {3}
    if not single and not len(images):
        raise ValueError("`images` must hold at least one. Received: an empty batch.")
    listed = [images] if single else images
    read = _tiled if tile else _whole
    maps = list(read(predict, listed, size, overlap, batch_size))
    return maps[0] if single else maps if is_list else np.stack(maps)


def _predictor(model):
    """Return the function from a batch to class maps, and the sides it takes, or `None`."""
    if not isinstance(model, keras.Model):
        if not callable(model):
            raise ValueError(
                "`model` must be a keras.Model, or a function of a batch of images. "
                f"Received: {model!r}. Of a file it is functools.partial(export.predict, path)."
            )
        return lambda x: _classes(model(x)), None
    predict, sides = of_images(deploy(model) if is_raw(model) else model)
    return lambda x: _classes(predict(x)), sides


def of_images(model):
    """Return the function from a batch of images to a model's answers, and the sides it takes."""
    inputs = functional_graph(model).inputs
    if len(inputs) > 1 or len(inputs[0].shape) != 4:
        raise ValueError(
            "A model of one input, images (batch, height, width, channels), is needed. "
            f"Received: inputs of the shapes {[tuple(x.shape) for x in inputs]}."
        )
    _, *sides, channels = inputs[0].shape

    def predict(images):
        if channels not in (None, images.shape[-1]):
            raise ValueError(
                f"The model takes images of {channels} channels. Received: {images.shape[-1]}; "
                "files are read as red, green and blue. Give arrays."
            )
        return model.predict_on_batch(images)

    return predict, tuple(sides)


def is_raw(operation):
    """Return whether a head, or a model that ends in one, gives the outputs."""
    if isinstance(operation, keras.Model):
        outputs = functional_graph(operation).outputs
        return any(is_raw(x._keras_history.operation) for x in outputs)
    return isinstance(operation, Head)


def _classes(answers):
    """Return the one class map among a batch's answers."""
    named = answers if isinstance(answers, dict) else {"classes": answers}
    maps = {
        key: y
        for key, y in named.items()
        if len(y.shape) == 3 and keras.backend.is_int_dtype(y.dtype)
    }
    if len(maps) != 1:
        shown = ", ".join(f"{key} {tuple(y.shape)} {y.dtype}" for key, y in named.items())
        raise ValueError(
            "The answer must have one class map, whole numbers (batch, height, width). "
            f"Received: {shown}."
        )
    (classes,) = maps.values()
    return ops.convert_to_numpy(classes)


def checked_size(size, own, tile):
    """Return the sides a model is given, `None` where they are the image's."""
    if size is not None:
        pixels.check_size(size)
        if own and any(a not in (None, b) for a, b in zip(own, size)):
            raise ValueError(f"The model takes images of {own}. Received: size={tuple(size)}.")
        return tuple(size)
    if own is None or (tile and None in own):
        raise ValueError(
            "`size` is needed where the model does not say which one it takes. "
            f"Received: size=None for {'a function' if own is None else f'sides {own}'}."
        )
    return None if None in own else own


def _whole(predict, images, size, overlap, batch_size):
    """Yield the map of every image, of which those of one size are read together."""
    for start in range(0, len(images), batch_size):
        batch = [np.asarray(opened(x)) for x in images[start : start + batch_size]]
        if len({x.shape[-1] for x in batch}) > 1:
            found = sorted({x.shape[-1] for x in batch})
            raise ValueError(f"Images have the same channels. Received: {found}.")
        same = size is not None or len({x.shape for x in batch}) == 1
        sized = [x if size is None else resized(x, size) for x in batch]
        maps = predict(np.stack(sized)) if same else [predict(x[None])[0] for x in sized]
        yield from (nearest(y, x.shape[:2]).astype("int32") for x, y in zip(batch, maps))


def _tiled(predict, images, size, overlap, batch_size):
    for image in map(opened, images):
        sides = image.shape[:2]
        rows, columns = (spans(side, tile, int(overlap * tile)) for side, tile in zip(sides, size))
        answer, places = np.zeros(sides, "int32"), [(r, c) for r in rows for c in columns]
        for start in range(0, len(places), batch_size):
            some = places[start : start + batch_size]
            tiles = np.stack([_cut(image, r[0], c[0], size) for r, c in some])
            for y, (row, column) in zip(predict(tiles), some):
                (top, first, end), (left, begin, stop) = row, column
                answer[first:end, begin:stop] = y[
                    first - top : end - top, begin - left : stop - left
                ]
        yield answer


def rank(image):
    """Return the number of an array's axes; a file holds an image."""
    return 3 if pixels.is_path(image) else len(np.shape(image))


def opened(image):
    """Return an image, read if it is the path of a file."""
    return pixels.read(image) if pixels.is_path(image) else image


def spans(side, tile, overlap):
    """Return the tiles that cover a side: (start, first position it answers, end of these)."""
    count = 1 if side <= tile else 1 + -(-(side - tile) // max(1, tile - overlap))
    starts = np.linspace(0, max(0, side - tile), count).astype(int).tolist()
    middles = [(a + tile + b) // 2 for a, b in zip(starts, starts[1:])]
    return list(zip(starts, [0, *middles], [*middles, side]))


def _cut(image, top, left, size):
    part = np.asarray(image[top : top + size[0], left : left + size[1]])
    missing = [(0, side - have) for side, have in zip(size, part.shape)]
    return np.pad(part, [*missing, (0, 0)], mode="edge")


def resized(image, size):
    """Return an image of other sides: linear, and of all pixels where it shrinks."""
    if image.shape[:2] == tuple(size):
        return image.astype("float32")
    shrinks = any(a < b for a, b in zip(size, image.shape))
    x = image[None].astype("float32")
    return ops.convert_to_numpy(ops.image.resize(x, size, "bilinear", antialias=shrinks))[0]


def nearest(classes, size):
    """Return a class map of other sides, by nearest neighbours."""
    rows, columns = (
        ((np.arange(want) + 0.5) * have / want).astype(int)
        for want, have in zip(size, classes.shape)
    )
    return classes[rows[:, None], columns]
