"""Train networks on a table beside gradient boosting, and write the best one's file.

python -m examples.tabular                                  measurements of tumours, two minutes
python -m examples.tabular --data FILE.csv --target COLUMN  your table; --target is what is asked

A target of numbers that differ in most rows is regressed, any other one classified. A tenth of the
rows says which network is best and how long it learns, a fifth tests it once. Everything goes to
runs/tabular: model.keras, table.json, which reads rows, the file, and report.html.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import backbones
import export
import heads
import tuning
from examples.tables import boosting, read

NETWORKS = {
    "mlp": lambda columns: backbones.mlp(columns, 128, 2),
    "tabnet": lambda columns: backbones.tabnet(columns, 16, 3),
    "ft_transformer": lambda columns: backbones.ft_transformer(columns, 64, 2),
}


def train(make, table, parts, head, args):
    """Return a trained model and its curves; the epoch that is best on the validation rows."""
    (rows, y), valid = parts["train"], parts["valid"]
    keras.utils.set_random_seed(args.seed)
    model = heads.attach(make(table.columns), head)
    x, most = table(rows), args.epochs * -(-len(y) // args.batch)
    model.compile(tuning.adamw(most, 2e-3, clip=1.0), loss=head.loss(), metrics=head.metrics())
    stop = keras.callbacks.EarlyStopping(patience=args.epochs // 4, restore_best_weights=True)
    history = model.fit(
        x,
        y,
        args.batch,
        args.epochs,
        validation_data=(table(valid[0]), valid[1]),
        callbacks=[stop],
        verbose=args.verbose,
    )
    return model, history.history


def main(args):
    rows, y, names = read(args.data, args.target)
    parts = split(rows, y, args.seed)
    table = heads.Table.of(parts["train"][0])
    (test, test_y), found = parts["test"], {}
    for name in args.networks:
        head = head_for(parts["train"][1], names)
        heads.check_targets(parts["train"][1], head)
        print(f"{name}:", flush=True)
        model, curves = train(NETWORKS[name], table, parts, head, args)
        found[name] = (min(curves["val_loss"]), model, curves)
    name = min(found, key=lambda key: found[key][0])
    loss, model, curves = found[name]

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    model.save(out / "model.keras")
    table.save(out / "table.json")
    answer, x = heads.deploy(model), table(test)
    labels = None if names is None else list(map(str, names))
    samples = {key: value[:256] for key, value in table(parts["train"][0]).items()}
    bundle = export.to_tflite(answer, out / "model.tflite", inputs=samples, labels=labels)
    (said,) = export.predict(bundle.path, x, missing=True).values()
    scores = [
        ["boosting", score(boosting(parts, names, args.seed), test_y, names)],
        [f"{name}, Keras", score(answer.predict(x, verbose=0), test_y, names)],
        [f"{name}, {bundle.path.name} of {bundle.size // 1000} KB", score(said, test_y, names)],
    ]
    what = "Mean absolute error" if names is None else "Accuracy"
    report = [
        {
            "kind": "table",
            "title": f"{what} on {len(test_y)} test rows",
            "columns": ["model", what.lower()],
            "rows": scores,
        },
        {
            "kind": "table",
            "title": "Loss on the validation rows",
            "columns": ["network", "loss", "parameters"],
            "rows": [[key, x[0], x[1].count_params()] for key, x in found.items()],
        },
        {
            "kind": "table",
            "title": f"What {name} owes to each column: how much worse it is when that is shuffled",
            "columns": ["column", what.lower()],
            "rows": owed(answer, table, test, test_y, names, args.seed)[:20],
        },
        {"kind": "curves", "title": f"Learning of {name}", "curves": curves},
    ]
    page = export.describe(out / "report.html", "Rows of a table", report)
    for row in scores:
        print(f"{row[0]}: {what.lower()} {row[1]:.4f}")
    print(f"Files: {out}/model.keras, {out}/table.json, {bundle.path}, {page}")
    print(
        "Next: open the report; x = heads.Table.load(table.json)(rows) are the inputs of a file: "
        "export.predict(model.tflite, x, missing=True)"
    )


def head_for(y, names):
    """Return the head of a target."""
    if names is None:
        return heads.RegressionHead(mean=float(y.mean()), std=float(y.std()))
    return heads.ClassificationHead(len(names))


def split(rows, y, seed):
    """Return seven tenths of the rows to train, one to choose and two to test."""
    places = np.random.default_rng(seed).permutation(len(y))
    cuts = np.split(places, [7 * len(y) // 10, 8 * len(y) // 10])
    return {
        part: ({key: column[some] for key, column in rows.items()}, y[some])
        for part, some in zip(("train", "valid", "test"), cuts)
    }


def score(found, y, names):
    """Return the share of right classes, or the mean absolute error."""
    if names is None:
        return float(np.abs(found[:, 0] - y).mean())
    return float((found.argmax(-1) == y).mean())


def owed(answer, table, rows, y, names, seed):
    """Return how much worse answers are without each column, the most needed first."""
    rng, whole = np.random.default_rng(seed), answer.predict(table(rows), verbose=0)
    sign = 1 if names is None else -1
    found = []
    for column in [*table.numeric, *table.vocabularies]:
        other = {**rows, column: rng.permutation(rows[column])}
        worse = score(answer.predict(table(other), verbose=0), y, names) - score(whole, y, names)
        found.append([column, sign * worse])
    return sorted(found, key=lambda row: -row[1])


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="a file of comma-separated values with a line of names")
    parser.add_argument("--target", help="its column that is asked for")
    parser.add_argument("--out", default="runs/tabular")
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    for name, default in {"epochs": 40, "batch": 32, "seed": 0, "verbose": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args(words)
    if args.data and not args.target:
        parser.error("--data needs --target, the name of the column that is asked for")
    return args


if __name__ == "__main__":
    main(parse())
