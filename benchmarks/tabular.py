"""Tables by networks, beside gradient boosting: `python -m benchmarks.tabular` prints tables.

Every network is trained on nine tenths of the training rows, of which the tenth part says after
which epoch its averaged weights are best; the test rows are read once for each seed. Networks read
the numbers of the census that have few values as categories, too, as trees do. Boosting is
scikit-learn's, on the same rows, its number of trees chosen on the same tenth. What is done is kept
under runs/, and the same command goes on.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SETS = ("adult", "california_housing")
BATCH, FEW, MIN_COUNT = 256, 200, 10
RESIDUAL = {"kind": "residual", "embedding": 24, "periodic": 0.15, "dropout": 0.2}


def read(name):
    """Return rows, targets and which are test rows; and whether the targets are classes."""
    import numpy as np

    from benchmarks.data import load

    found = load(name)
    if name == "adult":
        names = [str(x) for x in found["numeric_names"]]
        rows = {x: found["numeric"][:, i].astype("float64") for i, x in enumerate(names)}
        for i, x in enumerate(found["categorical_names"]):
            rows[str(x)] = found["categorical"][:, i].astype(str)
        few = [x for x in names if len(np.unique(rows[x])) < FEW]
        rows |= {f"{x}, a value": rows[x].astype(str) for x in few}
        return rows, found["label"].astype("int32"), found["is_test"].astype(bool), True
    names = [str(x) for x in found["feature_names"]]
    rows = {x: found["features"][:, i].astype("float64") for i, x in enumerate(names)}
    rows["ocean_proximity"] = found["ocean_proximity"].astype(str)
    return rows, np.asarray(found["target"], "float64") / 1e5, found["is_test"].astype(bool), False


def networks(name):
    """Return, by name, a function from columns to a backbone, its rate and its epochs.

    All were chosen on validation rows of the first seed.
    """
    import backbones

    if name == "adult":
        return {
            "mlp": (lambda c: backbones.mlp(c, 256, 2, periodic=0.5, dropout=0.3), 1e-3, 10),
            "tabnet": (lambda c: backbones.tabnet(c, 32, 3, embedding=8), 1e-2, 8),
            "ft_transformer": (lambda c: backbones.ft_transformer(c, 32, 2, 4), 1e-3, 10),
        }
    return {
        "mlp": (lambda c: backbones.mlp(c, 192, 3, **RESIDUAL), 2e-3, 50),
        "tabnet": (lambda c: backbones.tabnet(c, 32, 4, embedding=8), 1e-2, 60),
        "ft_transformer": (lambda c: backbones.ft_transformer(c, 64, 3, 8, dropout=0.0), 2e-3, 25),
    }


def split(test, seed):
    """Return the places of training, validation and test rows."""
    import numpy as np

    train = np.flatnonzero(~test)
    train = np.random.default_rng(seed).permutation(train)
    tenth = len(train) // 10
    return train[tenth:], train[:tenth], np.flatnonzero(test)


def part(rows, places):
    return {name: column[places] for name, column in rows.items()}


def score(y, found, classes):
    """Return the area under the curve of a class, or the root of the mean squared error."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    if classes:
        return float(roc_auc_score(y, found))
    return float(np.sqrt(np.mean((y - found) ** 2)))


def network(name, data, seed, make, peak, epochs):
    """Return the scores of a network, its answers to the test, and what its training took."""
    import keras

    import heads
    import tuning
    from benchmarks.best import Best

    rows, y, test, classes = data
    train, valid, test = split(test, seed)
    keras.utils.set_random_seed(seed)
    table = heads.Table.of(part(rows, train), min_count=MIN_COUNT)
    if classes:
        head = heads.ClassificationHead(2)
    else:
        head = heads.RegressionHead(mean=float(y[train].mean()), std=float(y[train].std()))
    model = heads.attach(make(table.columns), head)
    x, steps = table(part(rows, train)), epochs * -(-len(train) // BATCH)
    optimizer = tuning.adamw(steps, peak, weight_decay=1e-2, clip=1.0, ema=0.99)
    model.compile(optimizer, loss=head.loss())

    deployed = heads.deploy(model)

    def answer(x):
        found = deployed.predict(x, batch_size=4096, verbose=0)
        return found[:, 1] if classes else found[:, 0]

    def valid_score(model):
        found = score(y[valid], answer(table(part(rows, valid))), classes)
        return found if classes else -found

    best = Best(valid_score)
    callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), best]
    began = time.perf_counter(), time.process_time()
    model.fit(x, y[train], BATCH, epochs, verbose=0, callbacks=callbacks)
    wall, busy = (b - a for a, b in zip(began, (time.perf_counter(), time.process_time())))
    best.restore()
    found = answer(table(part(rows, test)))
    return {
        "model": name,
        "seed": seed,
        "params": model.count_params(),
        "epoch": best.epoch,
        "valid": best.best if classes else -best.best,
        "test": score(y[test], found, classes),
        "answers": [round(float(x), 5) for x in found],
        "minutes": wall / 60,
        "processor_minutes": busy / 60,
    }


def boosting(data, seed):
    """Return the test score of scikit-learn's histogram gradient boosting."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    rows, y, test, classes = data
    train, valid, test = split(test, seed)
    columns, kinds = [], []
    for name, column in rows.items():
        if name.endswith(", a value"):  # trees see it in the number
            continue
        kinds.append(column.dtype.kind in "US")
        columns.append(np.unique(column, return_inverse=True)[1] if kinds[-1] else column)
    x = np.stack(columns, 1).astype("float64")
    make = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    model = make(
        learning_rate=0.06,
        max_iter=2000,
        categorical_features=kinds,
        early_stopping=True,
        random_state=seed,
    )
    began = time.perf_counter()
    model.fit(x[train], y[train], X_val=x[valid], y_val=y[valid])

    def answer(places):
        return model.predict_proba(x[places])[:, 1] if classes else model.predict(x[places])

    found = answer(test)
    return {
        "model": "boosting",
        "seed": seed,
        "epoch": model.n_iter_,
        "valid": score(y[valid], answer(valid), classes),
        "test": score(y[test], found, classes),
        "answers": [round(float(x), 5) for x in found],
        "minutes": (time.perf_counter() - began) / 60,
    }


def main(args):
    import statistics

    import numpy as np

    from benchmarks.kept import Kept, table
    from benchmarks.timing import made

    kept = Kept("tabular")
    for name in args.sets:
        data = read(name)
        done, rows = kept.all(), []
        for model in args.models:
            found = []
            for seed in range(args.seeds):
                key = f"{name} {model} {seed}"
                if key not in done:
                    if model == "boosting":
                        facts = boosting(data, seed)
                    else:
                        facts = network(model, data, seed, *networks(name)[model])
                    kept.add({"name": key, **facts})
                    done[key] = facts
                    print(f"{key}: {facts['test']:.4f}", flush=True)
                found.append(done[key])
            scores = [x["test"] for x in found]
            together = np.mean([x["answers"] for x in found], 0)
            spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
            rows.append(
                [
                    model,
                    f"{found[0].get('params', 0) / 1e3:.0f} k",
                    f"{statistics.mean(scores):.4f} ± {spread:.4f}",
                    f"{score(data[1][data[2]], together, data[3]):.4f}",
                    f"{statistics.mean(x['valid'] for x in found):.4f}",
                    " ".join(str(x["epoch"]) for x in found),
                    f"{max(x['minutes'] for x in found):.1f}",
                ]
            )
        print(f"\n{name}, test {'AUC' if data[3] else 'RMSE'}, {args.seeds} seeds\n")
        header = ["model", "params", "test", "mean of all answers", "validation", "best epoch"]
        table([*header, "minutes, most"], rows)
    print(json.dumps({"batch": BATCH, "made": made()}))


def parse(words=None):
    models = ("boosting", "mlp", "tabnet", "ft_transformer")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="*", choices=SETS, default=SETS)
    parser.add_argument("--models", nargs="*", choices=models, default=models)
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
