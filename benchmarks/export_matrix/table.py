"""The table of what was found: a row a model, a cell a precision, a footnote a reason."""

from pathlib import Path

from benchmarks.export_matrix.models import BACKBONES, HEADS, ROWS
from export.parity import TOLERANCES

TABLE = Path(__file__).parents[1] / "export_matrix.md"
COLUMNS = tuple(TOLERANCES)
SMALL = 1e-3  # errors below are given as they are, others as noise
MISSING = "not run yet"


def render(done):
    """Return the Markdown of the rows that there are, and of those that are missing."""
    lines, notes = [], []
    for title, rows in (("backbone", BACKBONES), ("head", HEADS)):
        lines += ["| " + " | ".join((title, *COLUMNS)) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
        lines += ["| " + " | ".join(cells(name, done, notes)) + " |" for name in rows]
        lines.append("")
    return "\n".join(lines + [f"[{i}] {note}" for i, note in enumerate(notes, 1)]).strip() + "\n"


def cells(name, done, notes):
    """Return a row's cells; what failed has a number, whose reason is added to `notes`."""
    if name not in ROWS:
        raise KeyError(name)
    if name not in done:
        return [f"`{name}`", *[MISSING] * len(COLUMNS)]
    found = done[name]["precisions"]
    return [f"`{name}`", *(cell(found[x], found["float32"], notes) for x in COLUMNS)]


def cell(found, floats, notes):
    """Return parity, latency ratio and size ratio in a few letters."""
    if "error" in found:
        return f"**no** [{noted(found['error'], notes)}]"
    words = [figure(found["outputs"])]
    if "ratio" in found and found is not floats:
        words.append(f"× {found['ratio']:.2f}")
    if "size" in floats and found is not floats:
        words.append(f"{found['size'] / floats['size']:.0%}")
    if not found["builtin"]:
        words.append("**not built-in**")
    text = " · ".join(words)
    if found["misses"]:
        text += f" [{noted('; '.join(found['misses']), notes)}]"
    return text


def figure(outputs):
    """Return the worst output's agreement, noise or error: of floats the error, else dB."""
    shares = [x[k] for x in outputs for k in ("agreement", "equal") if x[k] is not None]
    errors = [x["relative"] for x in outputs if x["relative"] is not None]
    noises = [x["sqnr_db"] for x in outputs if x["sqnr_db"] is not None]
    if errors and max(errors) < SMALL:
        return f"{max(errors):.0e}"
    if "boxes" in {x["name"] for x in outputs}:  # judged by what they say, in any order
        return f"{min(shares):.0%} agree"
    if noises:
        return f"{min(noises):.0f} dB"
    return f"{min(shares):.0%} equal" if shares else "same"


def noted(reason, notes):
    if reason not in notes:
        notes.append(reason)
    return notes.index(reason) + 1
