"""A page of facts and figures: one HTML file that needs nothing else."""

from collections.abc import Iterable
from html import escape
from numbers import Integral, Real

from export import charts, figures
from export.files import aside, target

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.25rem 0.75rem; border-bottom: 1px solid var(--line); text-align: left; }
th { background: var(--soft); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 0; overflow-x: auto; }
.picture { display: inline-block; vertical-align: top; margin: 0 1rem 1rem 0; }
img { max-width: 100%; }
svg { width: 100%; min-width: 26rem; height: auto; display: block; }
"""


def describe(path, title, sections):
    """Write a self-contained HTML page from plain data; nothing is fetched when it is read.

    Args:
        path: Where to write, ending in `.html`.
        title: Title of the page.
        sections: Dicts with `"kind"`, an optional `"title"`, and by kind:

            - `"text"`: `text`, a string or a list of paragraphs.
            - `"facts"`: `facts`, a dict of names to values.
            - `"table"`: `columns` and `rows`.
            - `"curves"`: `curves`, a dict of names to lists, one number an epoch; `val_loss`
              is drawn with `loss`.
            - `"confusion"`: `matrix` (a row a true class) and `labels`.
            - `"scatter"`: `points`, dicts with `x`, `y` and optionally `group` and `label`;
              `x_label`, `y_label`; `log_x=True` for a logarithmic axis.
            - `"bars"`: `bars`, a dict of names to numbers; `x_label`.
            - `"lines"`: `lines`, a dict of names to lists, one number an epoch; `bold`, the names
              in colour; `x_label`, `y_label`.
            - `"parallel"`: `columns` and `rows`, a line for each row; the last column, of numbers,
              is its colour.
            - `"diagram"`: `nodes`, dicts with `name`, `depth` and optionally `text`, and `edges`,
              pairs of names, such as `export.diagram(model)` returns.
            - `"pictures"`: `figures`, matplotlib's own, such as `heads.draw_boxes` gives, or a
              dict of them by caption.

    Returns:
        The path.

    Raises:
        ValueError: If a section is of no such kind or lacks what its kind needs.
        ImportError: If there is a figure and no matplotlib.
    """
    path = target(path, ".html")
    if isinstance(sections, (dict, str)) or not isinstance(sections, Iterable):
        raise ValueError(
            f"`sections` must be a list of dicts. Received: {type(sections).__name__}."
        )
    body = "\n".join(_section(section) for section in sections)
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(str(title))}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(str(title))}</h1>\n{body}\n</body>\n</html>\n"
    )
    with aside(path) as [part]:
        part.write_text(page, encoding="utf-8")
    return path


def _section(section):
    if not isinstance(section, dict):
        raise ValueError(f"A section must be a dict. Received: {section!r}.")
    kind = section.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"A section's `kind` must be one of {list(KINDS)}. Received: {kind!r}.")
    write, needed = KINDS[kind]
    missing = [key for key in needed if key not in section]
    if missing:
        raise ValueError(
            f"A section of kind {kind!r} needs {list(needed)}. Received: {sorted(section)}."
        )
    heading = f"<h2>{escape(str(section['title']))}</h2>\n" if section.get("title") else ""
    try:
        body = write(section)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if "Received: " in str(error):
            raise
        raise ValueError(
            f"A section of kind {kind!r} needs {list(needed)} in the form that `describe` tells. "
            f"Received: {repr(section)[:300]} ({type(error).__name__}: {error})."
        ) from error
    return f"<section>\n{heading}{body}\n</section>"


def _text(section):
    text = section["text"]
    paragraphs = [text] if isinstance(text, str) else text
    return "\n".join(f"<p>{escape(str(paragraph))}</p>" for paragraph in paragraphs)


def _facts(section):
    rows = (
        f'<tr><th scope="row">{escape(str(name))}</th>{_cell(value)}</tr>'
        for name, value in section["facts"].items()
    )
    return f'<div class="wide"><table>{"".join(rows)}</table></div>'


def _table(section):
    columns = [str(column) for column in section["columns"]]
    for row in section["rows"]:
        if len(row) != len(columns):
            raise ValueError(
                f"A row must have a cell for each of the columns {columns}. Received: {row!r}."
            )
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in section["rows"])
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _cell(value):
    if value is None:
        return "<td>–</td>"
    if isinstance(value, Real) and not isinstance(value, bool):
        text = f"{value:,}" if isinstance(value, Integral) else f"{value:,.4g}"
        return f'<td class="number">{text}</td>'
    return f"<td>{escape(str(value))}</td>"


def _figure(draw):
    return lambda section: f"<figure>{draw(section)}</figure>"


def _pictures(section):
    pictures = section["figures"]
    named = pictures.items() if isinstance(pictures, dict) else (("", x) for x in pictures)
    return "\n".join(
        f'<figure class="picture">{figures.picture(figure, name)}'
        f"<figcaption>{escape(str(name))}</figcaption></figure>"
        for name, figure in named
    )


KINDS = {
    "text": (_text, ("text",)),
    "facts": (_facts, ("facts",)),
    "table": (_table, ("columns", "rows")),
    "curves": (_figure(figures.curves), ("curves",)),
    "confusion": (_figure(figures.confusion), ("matrix", "labels")),
    "scatter": (_figure(figures.scatter), ("points",)),
    "bars": (_figure(charts.bars), ("bars",)),
    "lines": (_figure(charts.lines), ("lines",)),
    "parallel": (_figure(charts.parallel), ("columns", "rows")),
    "diagram": (_figure(charts.diagram), ("nodes", "edges")),
    "pictures": (_pictures, ("figures",)),
}
