"""Figures as inline SVG that takes the page's text colour, so that it reads in the dark too."""

import base64
import io
import re
import warnings
import zlib
from html import escape

import numpy as np

INK = "#010203"  # stands for the page's own colour until the SVG is written
MOST_NUMBERS = 16  # classes or points up to which each is written out
DPI = 80  # of pictures of pixels
MOST_LABELS = 40  # classes that are named on an axis


def picture(figure, alt=""):
    """Return a matplotlib figure of pixels as an image within the page."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    text = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="{escape(str(alt), quote=True)}" src="data:image/png;base64,{text}">'


def curves(section):
    """Draw learning curves: one panel a metric, the training and validation lines together."""
    lines = {name: np.asarray(values, float) for name, values in section["curves"].items()}
    if not lines or not all(values.ndim == 1 and len(values) for values in lines.values()):
        raise ValueError(
            "`curves` must be a dict of names to lists of numbers, at least one of each. "
            f"Received: {section['curves']!r}."
        )
    metrics = list(dict.fromkeys(name.removeprefix("val_") for name in lines))
    with Figure(7, 2.6 * len(metrics)) as figure:
        panels = figure.subplots(len(metrics), 1, squeeze=False)[:, 0]
        for metric, axes in zip(metrics, panels):
            for name, style, label in (
                (metric, "-", "training"),
                (f"val_{metric}", "--", "valid."),
            ):
                if name in lines:
                    values = lines[name]
                    mark = "o" if len(values) == 1 else None
                    axes.plot(range(1, len(values) + 1), values, style, marker=mark, label=label)
            axes.set_ylabel(metric)
            axes.locator_params(axis="x", integer=True)
            axes.legend(frameon=False)
        panels[-1].set_xlabel(section.get("x_label", "epoch"))
        return svg(figure)


def confusion(section):
    """Draw a confusion matrix: a row a true class, coloured by its share of the row."""
    counts, labels = np.asarray(section["matrix"]), [str(x) for x in section["labels"]]
    if counts.shape != (len(labels), len(labels)) or not labels:
        raise ValueError(
            "`matrix` must have a row and a column for each of `labels`. "
            f"Received: shape {counts.shape} and {len(labels)} labels."
        )
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(max(3.5, 0.45 * len(labels)), 9)
    with Figure(side + 1, side) as figure:
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="none")
        step = -(-len(labels) // MOST_LABELS)
        ticks = range(0, len(labels), step)
        axes.set_xticks(ticks, labels[::step], rotation=90)
        axes.set_yticks(ticks, labels[::step])
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        if len(labels) <= MOST_NUMBERS:
            for (row, column), value in np.ndenumerate(counts):
                colour = "white" if shares[row, column] > 0.5 else "black"
                text = f"{value:.3g}" if counts.dtype.kind == "f" else str(value)
                axes.text(column, row, text, ha="center", va="center", color=colour, size=8)
        return svg(figure)


def scatter(section):
    """Draw points, coloured by group, with their labels where the points are few."""
    points = section["points"]
    if not points:
        raise ValueError("`points` must hold at least one. Received: none.")
    groups = dict.fromkeys(str(point.get("group", "")) for point in points)
    with Figure(7, 4) as figure:
        axes = figure.subplots()
        for group in groups:
            part = [point for point in points if str(point.get("group", "")) == group]
            axes.scatter(
                [float(point["x"]) for point in part],
                [float(point["y"]) for point in part],
                s=36,
                alpha=0.8,
                label=group or None,
            )
        for point in points:
            if point.get("label") is not None and len(points) <= MOST_NUMBERS:
                axes.annotate(
                    str(point["label"]),
                    (point["x"], point["y"]),
                    xytext=(4, 4),
                    textcoords="offset points",
                    size=8,
                )
        axes.set_xlabel(section.get("x_label", "x"))
        axes.set_ylabel(section.get("y_label", "y"))
        if section.get("log_x"):
            from matplotlib.ticker import EngFormatter, NullFormatter

            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(EngFormatter())  # 10 k, 1 M
            axes.xaxis.set_minor_formatter(NullFormatter())
        if any(groups):
            axes.legend(frameon=False)
        return svg(figure)


class Figure:
    """A figure in the page's ink, for the length of a `with` block."""

    def __init__(self, width, height):
        try:
            import matplotlib
            from matplotlib import figure
        except ImportError as error:
            raise ImportError(
                "Figures need matplotlib: pip install 'keras-blocks[examples]'."
            ) from error
        inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
        self.settings = matplotlib.rc_context(
            {
                **dict.fromkeys(inked, INK),
                "axes.facecolor": "none",
                "axes.spines.top": False,
                "axes.spines.right": False,
                "font.size": 10,
                "svg.fonttype": "none",
                "svg.hashsalt": "the same page from the same data",
                "text.parse_math": False,
            }
        )
        self.make = lambda: figure.Figure(figsize=(width, height), layout="constrained")

    def __enter__(self):
        self.settings.__enter__()
        return self.make()

    def __exit__(self, *error):
        self.settings.__exit__(*error)


def svg(figure):
    """Return the figure as an `<svg>` element that scales to the page's width."""
    buffer = io.StringIO()
    with warnings.catch_warnings():  # the browser draws the text, with fonts of its own
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="([\d.]+)pt"', r'\1 style="max-width:\2pt"', text, count=1)
    prefix = f"f{zlib.crc32(text.encode()):x}-"  # ids of figures on one page must differ
    text = re.sub(r'( id="|href="#|url\(#)', rf"\1{prefix}", text)
    return text.replace(INK, "currentColor")
