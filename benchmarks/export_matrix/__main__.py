"""Every network and head × every precision: parity with Keras, latency and size beside float32.

    python -m benchmarks.export_matrix              # all rows, about half an hour; or some by name
    python -m benchmarks.export_matrix --table      # writes the table of what is kept, and no more

What is done is kept in runs/export_matrix.jsonl and not done again. The table goes to
export_matrix.md beside this folder, from which `python -m tests.readme` makes the README's.
"""

import argparse

import keras

from benchmarks.export_matrix.models import OPTIONS, ROWS
from benchmarks.export_matrix.table import COLUMNS, TABLE, cells, render
from benchmarks.export_matrix.trial import try_out
from benchmarks.kept import Kept, check_names, line, table


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"rows: {', '.join(ROWS)}")
    parser.add_argument("--table", action="store_true", help="write the table of what is kept")
    given = parser.parse_args()
    check_names(parser, given.names, ROWS)
    kept = Kept("export_matrix")
    done = kept.all()

    def rows():
        for name in given.names or ROWS:
            if name not in done and not given.table:
                keras.backend.clear_session()
                done[name] = {
                    "name": name,
                    "precisions": try_out(ROWS[name], **OPTIONS.get(name, {})),
                }
                kept.add(done[name])
            if name in done:
                yield cells(name, done, [])

    table(("model", *COLUMNS), rows())
    TABLE.write_text(render(done))
    if missing := [name for name in ROWS if name not in done]:
        print(line(["not run yet", *missing]))


if __name__ == "__main__":
    main()
