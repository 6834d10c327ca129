"""Boxes of images as one array of targets."""

import numpy as np

from blocks.base import check_positive
from heads.base import number_problems, wrong_rows

NOTHING = -1  # the class of a row without a box
BEYOND = 1.5  # pixels: rounding puts corners so far outside
KINDS = {
    "xyxy": lambda a, b, c, d: (a, b, c, d),
    "yxyx": lambda a, b, c, d: (b, a, d, c),
    "xywh": lambda a, b, c, d: (a, b, a + c, b + d),
    "center_xywh": lambda a, b, c, d: (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
    "center_yxhw": lambda a, b, c, d: (b - d / 2, a - c / 2, b + d / 2, a + c / 2),
}
FORMATS = (*KINDS, *(f"rel_{kind}" for kind in KINDS))


def pack_boxes(
    boxes, labels=None, *, max_boxes, source="xyxy", image_size=None, keep_largest=False
):
    """Return boxes and class ids as one array of targets for a detection head.

    It takes a batch or a single image, in NumPy and inside of `tf.data.Dataset.map`; images
    without boxes are legal.

    Args:
        boxes: `(images, boxes, 4)` or `(boxes, 4)`, a list of arrays `(boxes, 4)`, or a
            `tf.RaggedTensor`; or a dict of `"boxes"` and `"labels"`, as Keras's own augmentation
            layers give it.
        labels: Class ids of the boxes; a row of class -1 holds no box.
        max_boxes: Rows of the result for each image.
        source: Format of the boxes, one of Keras's: `"xyxy"`, `"yxyx"`, `"xywh"`,
            `"center_xywh"`, `"center_yxhw"`, and the same with `"rel_"` before it, from 0 to 1.
        image_size: `(height, width)` in pixels, of tensors inside of `map`; needed where boxes
            are relative.
        keep_largest: Whether of more boxes than `max_boxes` the largest are kept. If not, they
            are an error.

    Returns:
        float32, `(images, max_boxes, 5)` or `(max_boxes, 5)`: left, top, right and bottom in
        pixels of the network's image, and the class; zeros and -1 where there is no box.

    Raises:
        ValueError: If the format is unknown, shapes do not fit, or there are too many boxes
            (inside of `map`, `tf.errors.InvalidArgumentError`).

    >>> pack_boxes([[[2, 3, 4, 4]], np.zeros((0, 4))], [[7], []], max_boxes=1, source="xywh")
    array([[[ 2.,  3.,  6.,  7.,  7.]],
    <BLANKLINE>
           [[ 0.,  0.,  0.,  0., -1.]]], dtype=float32)
    """
    check_positive(max_boxes=max_boxes)
    if source not in FORMATS:
        raise ValueError(f"`source` must be one of {', '.join(FORMATS)}. Received: {source!r}.")
    if source.startswith("rel_") and image_size is None:
        raise ValueError(
            f"Relative boxes need `image_size`, (height, width). Received: source={source!r}."
        )
    if isinstance(boxes, dict):
        if not set(boxes) >= {"boxes", "labels"}:
            raise ValueError(
                f"A dict of boxes has 'boxes' and 'labels'. Received: {', '.join(boxes)}."
            )
        boxes, labels = boxes["boxes"], boxes["labels"]
    if labels is None:
        raise ValueError("`labels` must be the class ids of the boxes. Received: labels=None.")
    options = (max_boxes, source, image_size, keep_largest)
    if type(boxes).__module__.startswith("tensorflow"):
        return _pack_tensors(boxes, labels, *options)
    if _is_one_image(boxes, labels):
        return _pack_image(boxes, labels, *options)
    if len(boxes) != len(labels):
        raise ValueError(
            f"Each image has boxes and labels. Received: {len(boxes)} and {len(labels)} images."
        )
    rows = [_pack_image(*each, *options, i) for i, each in enumerate(zip(boxes, labels))]
    return np.stack(rows) if rows else np.zeros((0, max_boxes, 5), "float32")


def unpack_boxes(targets):
    """Return the boxes and the class ids of packed targets: a list of arrays for each."""
    targets = np.asarray(targets)
    if targets.ndim != 3 or targets.shape[-1] != 5:
        raise ValueError(
            "Packed targets have the shape (images, max_boxes, 5). "
            f"Received: shape {targets.shape}."
        )
    found = [rows[rows[:, 4] != NOTHING] for rows in targets]
    return [rows[:, :4] for rows in found], [rows[:, 4].astype("int64") for rows in found]


def problems(targets, num_classes):
    """Return, in words, what is wrong with an array of packed targets."""
    if found := number_problems(targets):
        return found
    if targets.ndim != 3 or targets.shape[-1] != 5:
        return [
            "Targets must have the shape (batch, max_boxes, 5). "
            f"Received: shape {targets.shape}. heads.pack_boxes makes them."
        ]
    rows = np.asarray(targets, "float64").reshape(-1, 5)
    classes, finite = rows[:, 4], np.isfinite(rows).all(-1)
    real = finite & (classes != NOTHING)
    rules = {
        "Boxes and classes must be finite numbers.": finite,
        f"Class ids must be whole numbers from 0 to {num_classes - 1}, or -1 for no box.": ~real
        | ((classes >= 0) & (classes < num_classes) & (classes == np.floor(classes))),
        "A box must have left < right and top < bottom.": ~real
        | (rows[:, 2:4] > rows[:, :2]).all(-1),
    }
    found = [
        f"{rule} {wrong_rows(right, rows)}" for rule, right in rules.items() if not right.all()
    ]
    if not found and real.any() and rows[real, :4].max() <= 1:
        found.append(
            "Boxes must be in pixels. Received: none beyond 1, as relative ones are. Give "
            'pack_boxes their source, such as source="rel_xyxy", and image_size=(height, width).'
        )
    return found


def outside(targets, sides):
    """Return, in words, which boxes do not lie in images of one of the `(height, width)`."""
    rows = np.asarray(targets, "float64").reshape(-1, 5)
    for height, width in sides:
        right = (rows[:, :2] > -BEYOND).all(-1)
        right &= (rows[:, 2:4] < np.array([width, height]) + BEYOND).all(-1)
        right |= rows[:, 4] == NOTHING
        if not right.all():
            return [
                f"A box must lie in its image, {width} x {height}. {wrong_rows(right, rows)} Boxes "
                "are scaled as their images are."
            ]
    return []


def _is_one_image(boxes, labels):
    if hasattr(boxes, "shape"):
        return len(boxes.shape) == 2
    return not len(labels) or np.ndim(labels[0]) == 0


def _pack_image(boxes, labels, max_boxes, source, image_size, keep_largest, index=0):
    boxes = np.asarray(boxes, "float32").reshape(-1, 4) if np.size(boxes) == 0 else boxes
    boxes, labels = np.asarray(boxes, "float32"), np.asarray(labels, "float32").reshape(-1)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or len(labels) != len(boxes):
        raise ValueError(
            "The boxes of an image must have the shape (boxes, 4), and each a label. "
            f"Received: shapes {boxes.shape} and {labels.shape} for image {index}."
        )
    boxes, labels = boxes[labels != NOTHING], labels[labels != NOTHING]
    boxes = np.stack(_corners(boxes, source, image_size), axis=-1)
    if len(boxes) > max_boxes:
        if not keep_largest:
            raise ValueError(
                f"An image may have {max_boxes} boxes, `max_boxes`. Received: {len(boxes)} for "
                f"image {index}. Raise it, or give keep_largest=True."
            )
        order = np.sort(np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], -1))[:max_boxes])
        boxes, labels = boxes[order], labels[order]
    packed = np.zeros((max_boxes, 5), "float32")
    packed[:, 4] = NOTHING
    packed[: len(boxes)] = np.concatenate([boxes, labels[:, None]], axis=-1)
    return packed


def _pack_tensors(boxes, labels, max_boxes, source, image_size, keep_largest):
    import tensorflow as tf

    if isinstance(boxes, tf.RaggedTensor):
        boxes = tf.cast(boxes, "float32").to_tensor(0.0)
        labels = tf.cast(labels, "float32").to_tensor(float(NOTHING))
    boxes, labels = tf.cast(boxes, "float32"), tf.cast(labels, "float32")
    boxes = tf.stack(_corners(boxes, source, image_size), axis=-1)
    real = labels != NOTHING
    count = tf.reduce_max(tf.reduce_sum(tf.cast(real, "int32"), axis=-1))
    rank = tf.where(real, 1.0, 0.0)
    if keep_largest:
        rank *= 1 + (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    else:
        rule = f"An image may have {max_boxes} boxes, `max_boxes`. Received:"
        check = tf.debugging.Assert(count <= max_boxes, [rule, count, "keep_largest=True cuts."])
        with tf.control_dependencies([check]):
            rank = tf.identity(rank)
    order = tf.argsort(rank, direction="DESCENDING", stable=True)[..., :max_boxes]
    # Boxes in the order that they came in, then what holds none.
    real_ones = tf.gather(real, order, axis=-1, batch_dims=len(order.shape) - 1)
    order = tf.gather(
        order,
        tf.argsort(tf.where(real_ones, order, order + tf.shape(real)[-1])),
        axis=-1,
        batch_dims=len(order.shape) - 1,
    )
    packed = tf.concat([boxes, labels[..., None]], axis=-1)
    nothing = tf.constant([0.0, 0, 0, 0, NOTHING])
    packed = tf.where(real[..., None], packed, nothing)
    packed = tf.gather(packed, order, axis=-2, batch_dims=len(order.shape) - 1)
    missing = max_boxes - tf.shape(order)[-1]
    more = tf.tile(nothing[None], [missing, 1])
    if len(packed.shape) == 3:
        more = tf.tile(more[None], [tf.shape(packed)[0], 1, 1])
    packed = tf.concat([packed, more], axis=-2)
    return tf.ensure_shape(packed, (*packed.shape[:-2], max_boxes, 5))


def _corners(boxes, source, image_size):
    sides = KINDS[source.removeprefix("rel_")](*(boxes[..., i] for i in range(4)))
    if not source.startswith("rel_"):
        return sides
    if hasattr(image_size, "dtype") or any(hasattr(x, "dtype") for x in image_size):
        import tensorflow as tf

        image_size = tf.unstack(tf.cast(image_size, "float32"), num=2)
    height, width = image_size
    return [side * length for side, length in zip(sides, (width, height, width, height))]
