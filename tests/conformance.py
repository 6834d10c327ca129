"""Run the whole contract and write down what each layer keeps: `python -m tests.conformance`.

Every test of the contract runs on TensorFlow, with files in all precisions, and on JAX. The
table goes to tests/conformance.md and, between its marks, into README.md.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from export import TOLERANCES
from tests import readme
from tests.cases import CASES, PUBLIC

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_name("conformance.md")
COLUMNS = ("TensorFlow", "JAX", *TOLERANCES, "mixed precision", "save/load")
OWN_COLUMN = {
    "test_dtype_policy_reaches_every_sublayer": "mixed precision",
    "test_save_and_load_give_the_same_outputs": "save/load",
}


def run(backend):
    """Run the contract on a backend; return [(test, layer, variant, state)]."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "KERAS_BLOCKS_FULL": "1"}
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"]
            + ["tests/test_contract.py", f"--junitxml={results}"],
            cwd=ROOT,
            env=environment,
        )
        tests = ElementTree.parse(results).iter("testcase")
        return [read(test) for test in tests if "[" in test.get("name")]


def read(test):
    name, variant = test.get("name").rstrip("]").split("[")
    children = {child.tag for child in test}
    state = "no" if children & {"failure", "error"} else "skip" if "skipped" in children else "yes"
    return name, variant.split("-")[0], variant, state


def column_of(name, variant):
    if name == "test_tflite_file_agrees_with_keras":
        return variant.split("-")[2]
    return OWN_COLUMN.get(name)


def table(tensorflow, jax):
    """Return the rows {layer: {column: mark}} and the notes, from both runs' results."""
    rows = {layer.__name__: dict.fromkeys(COLUMNS, "?") for layer in PUBLIC}
    notes = {}
    for case in CASES:
        for precision, reason in case.exceptions.items():
            notes.setdefault((case.layer.__name__, precision), reason)
    for backend, results in (("TensorFlow", tensorflow), ("JAX", jax)):
        for layer, row in rows.items():
            states = [
                state for name, of, _, state in results if of == layer and "tflite" not in name
            ]
            row[backend] = mark(states)
    for layer, row in rows.items():
        for column in COLUMNS[2:]:
            states = [
                state
                for name, of, variant, state in tensorflow
                if of == layer and column_of(name, variant) == column
            ]
            row[column] = mark(states)
    footnotes = []
    for (layer, precision), reason in sorted(notes.items()):
        footnotes.append(f"`{layer}`: {reason}.")
        rows[layer][precision] += f" [{len(footnotes)}]"
    return rows, footnotes


def mark(states):
    return "?" if not states else "**no**" if "no" in states else "yes" if "yes" in states else "–"


def render(rows, footnotes):
    lines = ["| layer | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for layer in sorted(rows):
        lines.append(f"| `{layer}` | " + " | ".join(rows[layer][c] for c in COLUMNS) + " |")
    lines += [""] + [f"[{i}] {note}" for i, note in enumerate(footnotes, 1)]
    return "\n".join(lines).strip() + "\n"


def main():
    text = render(*table(run("tensorflow"), run("jax")))
    TABLE.write_text(text)
    readme.write("conformance", text)
    print(text)
    print(f"Written to {TABLE.relative_to(ROOT)} and README.md.")
    return "**no**" in text or "?" in text


if __name__ == "__main__":
    sys.exit(main())
