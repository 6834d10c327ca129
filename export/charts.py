"""Charts of a search: bars, lines of many trainings, parallel coordinates, a network's diagram."""

import numpy as np

from export.figures import INK, Figure, svg

PALE, BOX = "#8886", "#8882"


def bars(section):
    """Draw a bar for each name, the longest first."""
    values = {str(name): float(value) for name, value in section["bars"].items()}
    if not values:
        raise ValueError("`bars` must hold at least one number. Received: none.")
    names = sorted(values, key=values.get)
    with Figure(7, 0.5 + 0.3 * len(names)) as figure:
        axes = figure.subplots()
        axes.barh(names, [values[name] for name in names], alpha=0.8)
        axes.set_xlabel(section.get("x_label", ""))
        return svg(figure)


def lines(section):
    """Draw a line for each name, those of `bold` in colour, the others pale."""
    found = {str(name): np.asarray(y, float) for name, y in section["lines"].items()}
    if not found or not all(y.ndim == 1 and len(y) for y in found.values()):
        raise ValueError("`lines` must be a dict of names to lists of numbers. Received: none.")
    bold = [str(name) for name in section.get("bold", ())]
    with Figure(7, 3.5) as figure:
        axes = figure.subplots()
        for name, y in found.items():
            mark = {"marker": "o", "markersize": 3} if len(y) == 1 else {}
            colour = {"label": name} if name in bold else {"color": PALE, "zorder": 1}
            axes.plot(range(1, len(y) + 1), y, **mark, **colour)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel(section.get("x_label", "epoch"))
        axes.set_ylabel(section.get("y_label", ""))
        if bold:
            axes.legend(frameon=False)
        return svg(figure)


def parallel(section):
    """Draw a line for each row across an axis for each column; the last column is its colour."""
    columns, rows = [str(x) for x in section["columns"]], section["rows"]
    if len(columns) < 2 or not rows or any(len(row) != len(columns) for row in rows):
        raise ValueError(
            "`rows` must have a cell for each of at least two `columns`. "
            f"Received: {len(rows)} rows and {len(columns)} columns."
        )
    with Figure(max(7, 1.3 * len(columns)), 4) as figure:
        axes = figure.subplots()
        places = [_placed([row[i] for row in rows]) for i in range(len(columns))]
        colours = _colours(places[-1][0])
        for k, _ in enumerate(rows):
            heights = [heights[k] for heights, _ in places]
            drawn = [(i, y) for i, y in enumerate(heights) if y is not None]
            axes.plot(*zip(*drawn), color=colours[k], alpha=0.7, linewidth=1.2)
        for i, (_, ticks) in enumerate(places):
            axes.axvline(i, color=INK, linewidth=0.5)
            for y, text in ticks:
                axes.annotate(text, (i, y), xytext=(3, 0), textcoords="offset points", size=7)
        axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
        axes.set_yticks([])
        return svg(figure)


def _colours(heights):
    """Return a colour for each height between 0 and 1, pale for what has none."""
    from matplotlib import colormaps

    return [PALE if y is None else colormaps["viridis"](y) for y in heights]


def _placed(cells):
    """Return the height of each cell on its axis, `None` where it is empty, and the ticks."""
    known = [x for x in cells if x is not None]
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in known)
    if numbers and len(set(known)) > 1:
        low, high = min(known), max(known)
        log = low > 0 and high / low > 100
        scale = np.log if log else float
        span = scale(high) - scale(low)
        heights = [None if x is None else float((scale(x) - scale(low)) / span) for x in cells]
        return heights, [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
    names = sorted({str(x) for x in known})
    steps = {name: (i + 0.5) / len(names) for i, name in enumerate(names)}
    heights = [None if x is None else steps[str(x)] for x in cells]
    return heights, [(y, name) for name, y in steps.items()]


def diagram(section):
    """Draw boxes in rows, and lines from each to those behind it."""
    nodes = {str(node["name"]): node for node in section["nodes"]}
    if not nodes:
        raise ValueError("`nodes` must hold at least one. Received: none.")
    depths = sorted({node["depth"] for node in nodes.values()})
    rows = [[n for n, node in nodes.items() if node["depth"] == depth] for depth in depths]
    width = max(map(len, rows))
    with Figure(min(12, 3.4 * width + 0.6), 0.62 * len(rows) + 0.4) as figure:
        axes = figure.subplots()
        places = {
            name: ((i + 0.5) / len(row), -y)
            for y, row in enumerate(rows)
            for i, name in enumerate(row)
        }
        for start, end in section["edges"]:
            (x0, y0), (x1, y1) = places[str(start)], places[str(end)]
            arrow = {"arrowstyle": "-", "color": INK, "alpha": 0.5, "shrinkA": 9, "shrinkB": 9}
            if x0 == x1 and y0 - y1 > 1:  # around what lies between
                arrow["connectionstyle"] = "arc3,rad=0.35"
            axes.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
        box = {"boxstyle": "round,pad=0.3", "facecolor": BOX, "edgecolor": INK, "linewidth": 0.6}
        for name, (x, y) in places.items():
            text = str(nodes[name].get("text", name))
            axes.text(x, y, text, ha="center", va="center", size=7, bbox=box)
        axes.set_xlim(0, 1)
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        axes.axis("off")
        return svg(figure)
