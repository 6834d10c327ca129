"""Pictures of class maps."""

import numpy as np


def overlay(image, classes, *, names=None, alpha=0.5, ignore_label=255, path=None):
    """Return a picture of an image under the colours of its classes, with a legend.

    Args:
        image: `(height, width)`, or with one or three channels; numbers from 0 to 255, or any
            others, which are then scaled from their smallest to their largest.
        classes: Class map `(height, width)`, such as `heads.segment` gives.
        names: Names of the classes for the legend, in the order of their ids.
        alpha: How much of a colour is seen, from 0 to 1. Class 0 is left as it is.
        ignore_label: The id that has no colour either, or `None`.
        path: File to write the picture to, if any.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If the map has not the image's size, or there are too few names.

    >>> figure = overlay(np.zeros((8, 8, 3)), np.eye(8, dtype=int), names=["ground", "line"])
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    picture = painted(image, classes, alpha=alpha, ignore_label=ignore_label)
    present = [int(c) for c in np.unique(classes) if c != ignore_label]
    if names is not None and present and max(present) >= len(names):
        raise ValueError(
            f"`names` must name every class, {max(present)} included. Received: {len(names)} names."
        )
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture)
    axes.set_axis_off()
    handles = [
        Patch(color=colors(c + 1)[c] / 255, label=names[c] if names is not None else str(c))
        for c in present
        if c
    ]
    if handles:
        figure.legend(handles=handles, loc="outside right upper", frameon=False)
    if path is not None:
        figure.savefig(path)
    return figure


def painted(image, classes, *, alpha=0.5, ignore_label=255):
    """Return an image under the colours of its classes, uint8 `(height, width, 3)`."""
    image, classes = np.asarray(image), np.asarray(classes)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3 or image.shape[-1] not in (1, 3) or classes.shape != image.shape[:2]:
        raise ValueError(
            "A class map (height, width) belongs to an image of the same sides and one or three "
            f"channels. Received: shapes {classes.shape} and {image.shape}."
        )
    shown = classes != 0 if ignore_label is None else (classes != 0) & (classes != ignore_label)
    if classes.dtype.kind not in "biu" or (classes[shown] < 0).any():
        raise ValueError(
            "A class map holds whole numbers, 0 and up, and perhaps the ignored label. "
            f"Received: {classes.dtype} from {classes.min()} to {classes.max()}, "
            f"ignore_label={ignore_label}."
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"`alpha` must lie from 0 to 1. Received: alpha={alpha!r}.")
    x = np.broadcast_to(image.astype("float64"), (*classes.shape, 3))
    low, high = x.min(), x.max()
    if low < 0 or high > 255 or (image.dtype.kind == "f" and high <= 1):
        x = (x - low) / max(high - low, 1e-12) * 255
    ids = np.where(shown, classes, 0).astype(int)
    paint = colors(int(ids.max()) + 1)[ids]
    share = alpha * shown[..., None]
    return np.round(x * (1 - share) + paint * share).astype("uint8")


def colors(count):
    """Return the colours of Pascal VOC, in which every class has three bits of each channel.

    >>> colors(3).tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    """
    ids, found = np.arange(count), np.zeros((count, 3), int)
    for bit in range(8):
        for channel in range(3):
            found[:, channel] |= ((ids >> channel) & 1) << (7 - bit)
        ids = ids >> 3
    return found
