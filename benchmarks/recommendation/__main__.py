"""Recommenders on games, films and apps: `python -m benchmarks.recommendation` prints tables.

Settings were chosen on validation events (`--split valid`); the test events are read once. What is
done is kept in runs/recommendation.jsonl, and the same command goes on.
"""

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on processors without AVX-512

PARTS = ("sequential", "retrieval", "ranking", "files", "speed", "nearest")


def sequential(args, once):
    from benchmarks.recommendation.sequential import MODELS, run

    header = ["what comes next, games", "params", "epoch", "minutes", "HR@10 of 100"]
    header += ["NDCG@10 of 100", "HR@10 of all", "NDCG@10 of all"]
    names = [f"{p}_{x}_10" for p in ("sampled100", "catalogue") for x in ("hit_rate", "ndcg")]
    yield header
    for name in ("popularity", *MODELS):
        x = once(f"{name} {args.epochs}", lambda n=name: run(n, args))
        yield [x["name"], *costs(x), *(f"{x[key]:.4f}" for key in names)]


def retrieval(args, once):
    from benchmarks.recommendation.retrieval import MODELS, run

    header = ["from the whole catalogue", "params", "epoch", "minutes", "users", "recall@10"]
    names = [f"catalogue_{x}_10" for x in ("recall", "ndcg", "mrr", "coverage")]
    yield [*header, "NDCG@10", "MRR@10", "coverage"]
    for data in ("films", "games"):
        for name in MODELS:
            x = once(f"{data} {name}", lambda d=data, n=name: run(d, n, args))
            scores = [f"{x[key]:.4f}" for key in names]
            yield [f"{data}, {name}", *costs(x), str(x["users"]), *scores]


def ranking(args, once):
    from benchmarks.recommendation.ranking import KINDS, run

    yield ["clicks on apps", "params", "epoch", "minutes", "validation AUC", "AUC", "log loss"]
    for kind in KINDS:
        x = once(f"{kind} {args.ranking_epochs}", lambda k=kind: run(k, args))
        scores = [f"{x[key]:.4f}" for key in ("valid_auc", "auc", "log_loss")]
        yield [x["name"], *costs(x), *scores]


def files(args, once):
    from benchmarks.recommendation.files import run

    yield ["clicks on apps, files of one network", "AUC", "log loss", "KB", "ms"]
    for x in once(f"files {args.ranking_epochs}", lambda: run(args))["rows"]:
        size, ms = (f"{x['kb']:.0f}", f"{x['ms']:.3f}") if "kb" in x else ("–", "–")
        yield [x["name"], f"{x['auc']:.4f}", f"{x['log_loss']:.4f}", size, ms]


def speed(args, once):
    from benchmarks.recommendation.speed import NETWORKS, run

    header = ["training beside keras-rs", "weights, ours / theirs", "examples/s, ours / theirs"]
    yield [*header, "ratio", "quartiles", "peak memory, ours / theirs"]
    for name in NETWORKS:
        x = once(name, lambda n=name: run(n, args))
        pairs = [" / ".join(f"{n:,.0f}" for n in x[key]) for key in ("weights", "rates", "peaks")]
        yield [x["name"], *pairs[:2], f"{x['ratio']:.2f}", x["quartiles"], f"{pairs[2]} MB"]


def nearest(args, once):
    from benchmarks.recommendation.nearest import CASES, run

    yield ["ten of a million items of 64 numbers", "users", "ms", "against this", "quartiles"]
    for name in CASES:
        for x in once(name, lambda n=name: run(n, args))["rows"]:
            yield [x["name"], str(x["users"]), f"{x['ms']:.1f}", x["ratio"], x["quartiles"]]


def costs(x):
    params = f"{x['params'] / 1e6:.2f} M" if "params" in x else "–"
    return [params, str(x.get("epoch", "–")), f"{x['minutes']:.1f}" if "minutes" in x else "–"]


def main(args):
    from benchmarks.kept import Kept, table
    from benchmarks.timing import made

    kept = Kept("recommendation")
    done = kept.all()
    for part in args.parts or PARTS:

        def once(name, find, part=part):
            key = f"{part} {args.split} {args.seed} {name}"
            if key not in done:
                done[key] = found = find()
                kept.add({**found, "title": found.get("name"), "name": key})
            found = done[key]
            return {**found, "name": found.get("title") or found["name"]}

        header, *rows = globals()[part](args, once)
        table(header, rows)
        print()
    print(json.dumps({"seed": args.seed, "split": args.split, "made": made()}))


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--epochs", type=int, default=100, help="of what comes next")
    parser.add_argument("--retrieval-epochs", type=int, default=15)
    parser.add_argument("--ranking-epochs", type=int, default=8)
    parser.add_argument("--decay", type=float, default=1e-2, help="of weights, in ranking")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=("valid", "test"), default="test")
    args = parser.parse_args(words)
    if unknown := sorted(set(args.parts) - set(PARTS)):
        parser.error(f"{', '.join(unknown)}: there are {', '.join(PARTS)}")
    return args


if __name__ == "__main__":
    main(parse())
