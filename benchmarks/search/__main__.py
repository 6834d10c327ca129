"""How good a search is for the epochs that it spends: `python -m benchmarks.search`.

Every network of a space of 256 was trained once on two data sets for 9 epochs (`table`), and the
file of each of its 64 architectures measured (`costs`); both are stored in `benchmarks/models`.
The tuners are the real ones, theirs and ours; only what `fit` gives is read from the table, and
their models are stand-ins. So many seeds of every tuner are compared at the same number of
epochs. Two questions are asked: the best accuracy under a limit of latency that three of ten
architectures keep, and the area under the front of accuracy and latency. What validation chooses
is scored by the test.

Rivals that know no limit are printed beside fair ones, which fail what is over it before it is
trained (gate; a hundred failures in a row end a search, as some never stop) or take its excess off
the accuracy (penalty). Seconds are those that the trainings and measurements took when the table
was made, and the tuner's own; each trial traces its graph.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on processors without AVX-512

SPEND, SEEDS = 360, 3
PARTS = (3, 2, 1)  # what part of the epochs


def main():
    import tensorflow as tf

    from benchmarks.kept import check_names
    from benchmarks.search import table

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("what", nargs="?", default="replay", choices=["replay", "table", "costs"])
    parser.add_argument("sets", nargs="*", help=f"of {', '.join(table.SETS)}")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--epochs", type=int, default=SPEND, help="epochs that each search spends")
    parser.add_argument("--again", action="store_true", help="replay what is kept, too")
    parser.add_argument("--backwards", action="store_true", help="train the last networks first")
    given = parser.parse_args()
    check_names(parser, given.sets, table.SETS)
    sets = given.sets or list(table.SETS)
    if given.what == "table":
        for name in sets:
            table.train(name, given.backwards)
    elif given.what == "costs":
        measured = table.costs()
        for name in sets:
            print(table.store(name, measured))
    else:
        for name in sets:
            compare(name, given.seeds, given.epochs, given.again)


def compare(name, seeds, epochs, again=False):
    """Replay every tuner on a data set, and print what it reached."""
    from benchmarks.kept import Kept, table
    from benchmarks.search import figures, searchers
    from benchmarks.search.replay import Table

    found = Table(name)
    best = figures.best_within(found, figures.whole(found))
    print(f"\n{name}: {seeds} seeds, {epochs} epochs; at most {found.limit:.4f} ms")
    print(f"every network trained: {best[0]:.4f} of validation, {best[1]:.4f} of the test\n")
    spans = [epochs // part for part in PARTS]
    questions = {
        "test accuracy under the limit": (searchers.UNDER_LIMIT, figures.tested_within),
        "area under the front": (searchers.FRONT, figures.area),
    }
    kept = Kept("search")
    done = kept.all()
    asked = {}  # under which question a search is kept that stands in several
    for title, (group, worth) in questions.items():

        def row(label, maker, title=title, worth=worth):
            runs, first = [], asked.setdefault(id(maker), title)
            for seed in range(seeds):
                key = f"{name}: {first}, {label}, seed {seed}, {epochs} epochs"
                if key not in done:
                    done[key] = run(found, maker, seed, epochs)
                    kept.add({"name": key, **done[key]})
                    print(key, file=sys.stderr, flush=True)
                runs.append(done[key])
            cells = []
            for span in spans:
                scores = [worth(found, figures.seen(found, each["trace"], span)) for each in runs]
                spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
                cells.append(f"{statistics.mean(scores):.4f} ± {spread:.4f}")
            walls = [each["trace"][-1][3] for each in runs]
            own = [each["own"] for each in runs]
            spent = [len(each["trace"]) for each in runs]
            means = [f"{statistics.mean(each):.0f}" for each in (spent, walls, own)]
            return [label, *cells, *means]

        ends = ["spent", "seconds", "own seconds"]
        header = [title, *(f"{span} epochs" for span in spans), *ends]
        table(header, (row(*each) for each in group.items()))
        print()


def run(found, maker, seed, epochs):
    """Return the trace of one search, and the seconds that it took besides trainings."""
    from benchmarks.search.replay import replayed

    make, given = maker
    with tempfile.TemporaryDirectory() as folder:
        trace, own = replayed(make, found, epochs, Path(folder), seed, **given)
    return {"trace": trace, "own": round(own, 2)}


if __name__ == "__main__":
    main()
