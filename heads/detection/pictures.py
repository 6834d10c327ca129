"""Pictures of boxes, and of what a detector finds at every threshold."""

import numpy as np

from heads.detection.pack import NOTHING
from heads.segmentation.overlay import colors


def draw_boxes(image, found=None, truth=None, *, names=None, score=0.0, path=None):
    """Return a picture of an image with the boxes that were found, and the true ones dashed.

    Args:
        image: `(height, width)`, or with one or three channels; numbers from 0 to 255, or any
            others, which are then scaled from their smallest to their largest.
        found: A dict of `"boxes"`, `"scores"` and `"classes"`, such as `heads.detect` gives.
        truth: `(boxes, 5)`: boxes and classes, as in a row of packed targets.
        names: Names of the classes, in the order of their ids.
        score: Least score of a box that is drawn.
        path: File to write the picture to, if any.

    Returns:
        A `matplotlib.figure.Figure`.

    >>> found = {"boxes": [[1, 1, 5, 6]], "scores": [0.9], "classes": [0]}
    >>> figure = draw_boxes(np.zeros((8, 8, 3)), found, names=["cell"])
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    image = np.squeeze(np.asarray(image))
    figure = Figure(figsize=(6, 6 * image.shape[0] / image.shape[1]), layout="constrained")
    axes = figure.subplots()
    axes.imshow(_shown(image), cmap="gray", vmin=0, vmax=255)
    axes.set_axis_off()
    rows = [] if truth is None else [x for x in np.asarray(truth) if x[4] != NOTHING]
    lines = [(x[:4], int(x[4]), None) for x in rows]
    if found is not None:
        every = zip(found["boxes"], found["classes"], found["scores"])
        lines += [
            (box, int(kind), value)
            for box, kind, value in every
            if value >= score and kind != NOTHING
        ]
    palette = colors(2 + max((kind for _, kind, _ in lines), default=0)) / 255
    for (left, top, right, bottom), kind, value in lines:
        style = {"linestyle": "--", "alpha": 0.8} if value is None else {}
        color = palette[kind + 1]  # the first one is black
        sides = (right - left, bottom - top)
        axes.add_patch(
            Rectangle((left - 0.5, top - 0.5), *sides, fill=False, edgecolor=color, **style)
        )
        if value is not None:
            text = f"{names[kind] if names is not None else kind} {value:.2f}"
            axes.text(left, top - 1, text, color=color, fontsize=7, clip_on=True)
    if path is not None:
        figure.savefig(path)
    return figure


def draw_precision_recall(curves, *, path=None):
    """Return a picture of precision over recall, a line for each class.

    Args:
        curves: A dict of precisions by class, as `heads.precision_recall` gives.
        path: File to write the picture to, if any.

    Returns:
        A `matplotlib.figure.Figure`.

    >>> figure = draw_precision_recall({"cell": np.linspace(1, 0, 101)})
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for i, (name, precision) in enumerate(curves.items()):
        recall = np.linspace(0, 1, len(precision))
        label = f"{name}: {np.mean(precision):.3f}"
        axes.plot(recall, precision, color=colors(i + 2)[i + 1] / 255, label=label)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(title="average precision")
    if path is not None:
        figure.savefig(path)
    return figure


def _shown(image):
    """Return an image as numbers from 0 to 255."""
    low, high = float(np.min(image)), float(np.max(image))
    if low < 0 or high > 255 or (image.dtype.kind == "f" and high <= 1):
        image = (image - low) / max(high - low, 1e-12) * 255
    return image.astype("uint8")
