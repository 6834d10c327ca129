"""Prices of houses from photographs and a table: `python -m benchmarks.fusion` prints a table.

The photographs are read by the ResNet-9 that `python -m benchmarks.cifar10` trained, which stays as
it is, so its features are computed once. Each way to fuse is trained on all training rows for the
epochs that five folds of these said (`--split valid`); the test rows are read once for each seed.
The fusions are trained with inputs missing, too, and tested so.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

KINDS = ("table", "photos", "concat", "gated", "bilinear", "film", "attention", "late")
MISSING = {"both": (1, 1), "no photos": (0, 1), "no table": (1, 0)}
READER = "benchmarks/models/cifar10_resnet9.keras"
UNITS, FOLDS = 64, 5


def read():
    """Return features of photographs `(houses, 4, channels)`, columns, prices, and test rows."""
    import keras
    import numpy as np

    import blocks
    import heads  # noqa: F401 - the reader's layers
    from benchmarks.data import load

    found = load("houses")
    photos = found["images"].reshape(-1, 32, 32, 3).astype("float32")
    reader = blocks.flatten(keras.saving.load_model(READER, compile=False))
    maps = next(x.output for x in reader.layers if x.name.endswith("stage2_pool"))
    pools = [keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D]
    features = keras.layers.Concatenate()([pool()(maps) for pool in pools])
    features = keras.Model(reader.inputs, features).predict(photos, batch_size=128, verbose=0)
    rows = {name: found[name].astype("float64") for name in ("bedrooms", "bathrooms", "area")}
    rows["place"] = found["zipcode"].astype("float64")  # near numbers are near places
    rows["zipcode"] = found["zipcode"].astype(str)
    test = found["is_test"].astype(bool)
    features = features.reshape(len(test), 4, -1)
    train = features[~test]
    features = (features - train.mean((0, 1))) / (train.std((0, 1)) + 1e-6)
    return features, rows, np.log(found["price"].astype("float64")), test


def network(kind, columns, channels, head, args):
    """Return a model of one way to fuse: inputs `photos`, those of the table, and `there`."""
    import keras
    from keras import layers

    import backbones
    import blocks
    import heads

    table = backbones.mlp(columns, 2 * UNITS, 2, dropout=args.dropout)
    photos = keras.Input((4, channels), name="photos")
    tokens = layers.Dropout(args.photo_dropout)(layers.Dense(UNITS, "relu")(photos))
    image, row = layers.GlobalAveragePooling1D()(tokens), table.output["features"]
    if kind in ("table", "photos"):
        inputs, x = (table.input, row) if kind == "table" else ({"photos": photos}, image)
        return heads.attach(keras.Model(inputs, x), head)
    there = keras.Input((2,), name="there")
    inputs = {"photos": photos, **table.input, "there": there}
    if kind == "late":
        again = {**head.get_config(), "name": "row_price"}
        parts = {"image": head, "row": heads.RegressionHead.from_config(again)}
        fused = heads.LateFusionHead(parts, may_miss=True, rate=args.missing)
        features = {"image": image, "row": row, "there": there}
        return heads.attach(keras.Model(inputs, features), fused)
    drop = blocks.ModalityDropout(args.missing)
    if kind == "attention":
        tokens, row = drop([tokens, row, there])
        row = layers.Dense(UNITS)(row)[:, None]
        x = blocks.CrossAttentionFusion(4)([row, tokens])[:, 0]
    else:
        image, row = drop([image, row, there])
        fuse = {
            "concat": lambda: blocks.ConcatFusion(UNITS)([row, image]),
            "gated": lambda: blocks.GatedFusion(UNITS)([row, image]),
            "bilinear": lambda: blocks.BilinearFusion(UNITS)([row, image]),
            "film": lambda: blocks.FiLM()([row, image]),
        }
        x = fuse[kind]()
    return heads.attach(keras.Model(inputs, x), head)


def fit(kind, data, train, judged, seed, args):
    """Return errors of the judged rows by what is missing, and what training took."""
    import keras
    import numpy as np

    import heads
    import tuning

    features, rows, y, _ = data
    part = {name: column[train] for name, column in rows.items()}
    table = heads.Table.of(part)
    x = {**table(rows), "photos": features.astype("float32")}
    keras.utils.set_random_seed(seed)
    options = {"mean": float(y[train].mean()), "std": float(y[train].std())}
    head = heads.RegressionHead(loss="mae", name="price", **options)
    model = network(kind, table.columns, features.shape[-1], head, args)
    names = [x.name for x in model.inputs]
    steps = args.epochs * -(-len(train) // args.batch)
    optimizer = tuning.adamw(steps, 3e-3, weight_decay=args.decay, clip=1.0, ema=0.98)
    model.compile(optimizer, loss=heads.losses(model))

    def given(places, there):
        found = {name: x[name][places] for name in names if name != "there"}
        if "there" in names:
            found["there"] = np.tile(np.array([there], "float32"), (len(places), 1))
        return found

    began = time.perf_counter()
    swap = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]
    model.fit(given(train, (1, 1)), y[train], args.batch, args.epochs, verbose=0, callbacks=swap)
    minutes = (time.perf_counter() - began) / 60
    errors = {}
    for name, there in MISSING.items() if "there" in names else [("both", (1, 1))]:
        found = model.predict(given(judged, there), verbose=0)[:, 0]
        errors[name] = np.abs(np.expm1(found - y[judged])).tolist()
    return errors, {"params": model.count_params(), "minutes": minutes}


def run(kind, data, seed, args):
    """Return the mean errors of a kind: of the test rows, or over folds of the others."""
    import numpy as np

    test = data[3]
    rest = np.random.default_rng(seed).permutation(np.flatnonzero(~test))
    if args.split == "test":
        rounds = [(rest, np.flatnonzero(test))]
    else:
        folds = np.array_split(rest, FOLDS)
        rounds = [(np.setdiff1d(rest, fold), fold) for fold in folds]
    errors, facts = {}, {"minutes": 0.0}
    for train, judged in rounds:
        found, costs = fit(kind, data, train, judged, seed, args)
        facts |= {"params": costs["params"], "minutes": facts["minutes"] + costs["minutes"]}
        for name, values in found.items():
            errors.setdefault(name, []).extend(values)
    return {"errors": {name: float(np.mean(x)) for name, x in errors.items()}, **facts}


def main(args):
    import statistics

    from benchmarks.kept import Kept, table
    from benchmarks.timing import made

    kept, data, rows = Kept("fusion"), read(), []
    done, settings = (
        kept.all(),
        {k: v for k, v in vars(args).items() if k not in ("seeds", "kinds")},
    )
    alone = None
    for kind in args.kinds:
        found = []
        for seed in range(args.seeds):
            key = f"{kind} {seed} {json.dumps(settings, sort_keys=True)}"
            if key not in done:
                done[key] = run(kind, data, seed, args)
                kept.add({"name": key, **done[key]})
                print(f"{kind}, seed {seed}: {done[key]['errors']['both']:.4f}", flush=True)
            found.append(done[key])
        scores = {
            name: [x["errors"][name] for x in found]
            for name in MISSING
            if name in found[0]["errors"]
        }
        means = {name: statistics.mean(x) for name, x in scores.items()}
        alone = means["both"] if kind == "table" else alone
        spread = statistics.stdev(scores["both"]) if len(found) > 1 else 0.0
        against = f"{100 * (means['both'] / alone - 1):+.1f} %" if alone else "–"
        rows.append(
            [
                kind,
                f"{found[0]['params'] / 1e3:.0f} k",
                f"{means['both']:.4f} ± {spread:.4f}",
                against,
                *(f"{means[x]:.4f}" if x in means else "–" for x in ("no photos", "no table")),
                f"{max(x['minutes'] for x in found):.1f}",
            ]
        )
    header = ["network", "params", "error, a share of the price", "against the table"]
    print()
    table([*header, "no photos", "no table", "minutes, most"], rows)
    print(json.dumps({**settings, "seeds": args.seeds, "made": made()}))


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--decay", type=float, default=1e-2)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--photo-dropout", type=float, default=0.5)
    parser.add_argument("--missing", type=float, default=0.2, help="share of inputs left out")
    parser.add_argument("--split", choices=("valid", "test"), default="test")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
