"""Recommend products: two towers find candidates, a ranking network puts them in order.

python -m examples.recommend_products                  a shop that is made up, some minutes
python -m examples.recommend_products --data FILE.csv  your events: user, item, time, perhaps title

Of each user's events the last one tests, once, and the one before is looked at while the towers
learn. Everything goes to runs/recommend_products: both models, both files, vocabulary.json with the
items of their ids, and report.html, which shows recommendations for some users.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import backbones
import blocks
import export
import heads
import tuning
from examples import events

NONE = -1  # no item, in a history


def towers(count, units, length):
    """Return a tower of what a user took beside one of items."""
    history = keras.Input((length,), dtype="int32", name="history")
    bag = blocks.BagEmbedding(count, units, name="bag")(history)
    newest = blocks.IdEmbedding(count, units, name="newest")(history[:, -1])
    x = keras.layers.Concatenate(name="both")([bag, newest])
    user = keras.Model(history, keras.layers.Dense(2 * units, "relu", name="user_dense")(x))
    item = keras.Input((), dtype="int32", name="item")
    vector = blocks.IdEmbedding(count, units, name="item_vector")(item)
    return backbones.two_towers(user, keras.Model(item, vector))


def ranker(count, units, length, candidates):
    """Return features of candidates beside a user's history, as vectors."""
    history = keras.Input((length,), dtype="int32", name="history")
    found = keras.Input((candidates,), dtype="int32", name="candidates")
    score = keras.Input((candidates,), name="scores")
    bag = blocks.BagEmbedding(count, units, name="bag")(history)
    newest = blocks.IdEmbedding(count, units, name="newest")(history[:, -1])
    item = blocks.IdEmbedding(count, units, name="candidate")(found)
    said = keras.layers.Dense(units, name="said")(score[..., None])
    wide = [
        keras.layers.RepeatVector(candidates, name=f"{name}_each")(x)
        for name, x in {"bag": bag, "newest": newest}.items()
    ]
    x = keras.ops.stack([*wide, item, said], axis=2)
    return keras.Model({"history": history, "candidates": found, "scores": score}, x)


def steps(rows, length):
    """Return histories and the items that came next, of every step but the first."""
    pairs = [(row[max(0, i - length) : i], row[i]) for row in rows for i in range(1, len(row))]
    return filled([row for row, _ in pairs], length), np.array([item for _, item in pairs])


def filled(rows, length):
    """Return the last items of rows, `NONE` in front."""
    found = np.full((len(rows), length), NONE, "int32")
    for i, row in enumerate(rows):
        kept = row[-length:]
        found[i, length - len(kept) :] = kept
    return found


def retrieve(rows, valid, count, args):
    """Return the trained towers."""
    x, y = steps(rows, args.length)
    model = heads.attach(towers(count, args.units, args.length), heads.RetrievalHead(args.units))
    targets = heads.item_targets(y, np.maximum(np.bincount(y, minlength=count), 1))
    heads.check_targets(targets, model)
    most = args.epochs * -(-len(y) // args.batch)
    model.compile(tuning.adamw(most, 5e-3), loss=heads.losses(model), metrics=heads.metrics(model))
    users = {"history": valid[0], "seen": seen(valid[0])}
    scores = heads.CatalogueScores(
        users, valid[1], np.arange(count), every=max(1, args.epochs // 5), seen=args.length + 1
    )
    inputs = {"history": x, "item": y}
    history = model.fit(
        inputs, targets, args.batch, args.epochs, callbacks=[scores], verbose=args.verbose
    )
    return model, history.history


def rank(answer, rows, count, args):
    """Return a network that puts candidates in order, trained on what the towers find."""
    x, y = steps(rows, args.length)
    inputs = candidates(answer, x)
    right = inputs["candidates"] == y[:, None]
    known = right.any(axis=1)  # the towers found the item
    head = heads.RankingHead("deep", [64, 32], loss="listwise", dropout=0.2)
    model = heads.attach(ranker(count, args.units, args.length, args.candidates), head)
    targets = np.where(inputs["candidates"] >= 0, right, -1).astype("float32")[known]
    most = args.epochs * -(-len(targets) // args.batch)
    model.compile(tuning.adamw(most, 2e-3), loss=head.loss())
    given = {key: value[known] for key, value in inputs.items()}
    model.fit(given, targets, args.batch, args.epochs, verbose=args.verbose)
    return model


def candidates(answer, history):
    """Return what a ranking network takes: what the towers find for histories."""
    inputs = {"history": history, "seen": seen(history)}
    found = answer.predict(inputs, batch_size=256, verbose=0)
    return {"history": history, "candidates": found["items"], "scores": found["scores"]}


def seen(history):
    """Return the items to leave out: those of a history, and 0, which is what is not known."""
    return np.pad(history, ((0, 0), (1, 0)))


def ordered(ranking, inputs):
    """Return candidates in the order of a ranking network."""
    said = ranking.predict(inputs, batch_size=256, verbose=0)
    said = said if isinstance(said, np.ndarray) else said["scores"]
    order = np.argsort(-np.where(inputs["candidates"] >= 0, said, -np.inf), axis=1)
    return np.take_along_axis(inputs["candidates"], order, axis=1)


def main(args):
    found = events.made(args.users, args.seed) if args.data is None else events.read(args.data)
    users, items, times, titles = found
    words = heads.Vocabulary.of(items)
    most = np.unique(users, return_counts=True)[1].max()
    rows, names = heads.histories(users, words(items), times, length=int(most))
    rows = [row[row > 0] for row in rows]
    judged = [i for i, row in enumerate(rows) if len(row) > 3]
    if len(judged) < 20 or len(words) <= args.candidates:
        raise SystemExit(
            "Twenty users of four events each are needed, and more items than --candidates "
            f"{args.candidates}. Received: {len(judged)} users and {len(words) - 1} items."
        )
    count = len(words)
    train = [row[:-2] if len(row) > 3 else row for row in rows]
    valid = filled([rows[i][:-2] for i in judged], args.length), [rows[i][-2] for i in judged]
    test = filled([rows[i][:-1] for i in judged], args.length), [rows[i][-1] for i in judged]

    keras.utils.set_random_seed(args.seed)
    towers_model, curves = retrieve(train, valid, count, args)
    answer = heads.deploy(
        towers_model, items=np.arange(count), k=args.candidates, seen=args.length + 1
    )
    ranking_model = rank(answer, train, count, args)
    ranking = heads.deploy(ranking_model)
    inputs = candidates(answer, test[0])
    final = ordered(ranking, inputs)
    scores = []
    popular = np.argsort(-np.bincount(np.concatenate(train), minlength=count))[:10]
    for name, lists in {
        "the most popular": np.tile(popular, (len(judged), 1)),
        "towers": inputs["candidates"],
        "towers, then ranking": final,
    }.items():
        said = heads.recommendation_scores(lists, test[1], k=10, num_items=count - 1)
        scores.append(
            [name, *(said[f"catalogue_{x}_10"] for x in ("hit_rate", "ndcg", "coverage"))]
        )

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    towers_model.save(out / "towers.keras")
    ranking_model.save(out / "ranking.keras")
    words.save(out / "vocabulary.json")
    some = {key: value[:64] for key, value in inputs.items()}
    first = {"history": some["history"], "seen": seen(some["history"])}
    bundles = [
        export.to_tflite(
            answer, out / "towers.tflite", inputs=first, files=out / "vocabulary.json"
        ),
        export.to_tflite(ranking, out / "ranking.tflite", inputs=some),
    ]
    text = titles.get
    shown = [
        [
            str(names[judged[i]]),
            ", ".join(str(text(words.value(x), x)) for x in test[0][i][-5:] if x > 0),
            ", ".join(str(text(words.value(x), x)) for x in final[i][:5] if x > 0),
            str(text(words.value(test[1][i]), test[1][i])),
        ]
        for i in range(min(8, len(judged)))
    ]
    columns = ["recommended by", "hit rate of 10", "NDCG of 10", "share of items shown"]
    report = [
        {
            "kind": "table",
            "title": f"The next item of {len(judged)} users, among {count - 1}",
            "columns": columns,
            "rows": scores,
        },
        {
            "kind": "table",
            "title": "Recommendations",
            "columns": ["user", "took", "is recommended", "took next"],
            "rows": shown,
        },
        {"kind": "curves", "title": "Learning of the towers", "curves": curves},
    ]
    page = export.describe(out / "report.html", "Recommendations", report)
    for row in [columns, *scores]:
        print("  ".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in row))
    for bundle in bundles:
        taken = ", ".join(x.name for x in bundle.inputs)
        print(f"{bundle.path}: {bundle.size // 1000} KB, takes {taken}")
    print(f"Files: {out}/*.keras, {out}/*.tflite, {out}/vocabulary.json, {page}")
    print(
        "Next: open the report; --data FILE.csv; a larger --candidates; ids of items are those of "
        "heads.Vocabulary.load(vocabulary.json), which lies inside towers.tflite, too"
    )


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="a file of comma-separated values: user, item, time, title")
    parser.add_argument("--out", default="runs/recommend_products")
    numbers = {"users": 1000, "length": 20, "units": 32, "candidates": 50, "epochs": 15}
    for name, default in {**numbers, "batch": 256, "seed": 0, "verbose": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
