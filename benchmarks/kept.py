"""Results kept as they come, one JSON object a line, so that a long benchmark goes on."""

import json
from pathlib import Path

FOLDER = Path("runs")


class Kept:
    """The results of a benchmark by name, in `runs/<benchmark>.jsonl`."""

    def __init__(self, benchmark):
        self.path = FOLDER / f"{benchmark}.jsonl"

    def all(self):
        """Return the last result of every name."""
        if not self.path.exists():
            return {}
        lines = self.path.read_text().splitlines()
        return {found["name"]: found for found in map(json.loads, lines)}

    def add(self, found):
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(found) + "\n")


def settle(folder, **settings):
    """Make the folder of a training that has these settings; stop where it has others."""
    path = Path(folder, "settings.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(json.dumps(settings))
    kept = json.loads(path.read_text())
    if kept != settings:
        raise SystemExit(
            f"{path.parent} holds a training of {kept}. Received: {settings}. Give another "
            "--folder, or remove it."
        )


def check_names(parser, given, known):
    """End with a parser's error where one of the names is not known."""
    if unknown := sorted(set(given or ()) - set(known)):
        parser.error(f"{', '.join(unknown)}: there are {', '.join(known)}")


def table(header, rows):
    """Print a Markdown table, each row as it is made."""
    print(line(header))
    print("|---" + "|---:" * (len(header) - 1) + "|")
    for row in rows:
        print(line(row), flush=True)


def line(cells):
    return "| " + " | ".join(cells) + " |"
