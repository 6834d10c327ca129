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


def table(header, rows):
    """Print a Markdown table, each row as it is made."""
    print(line(header))
    print("|---" + "|---:" * (len(header) - 1) + "|")
    for row in rows:
        print(line(row), flush=True)


def line(cells):
    return "| " + " | ".join(cells) + " |"
