"""Detectors on blood cells, and what they cost: `python -m benchmarks.detection` prints tables.

All heads learn from scratch, on one backbone, on the 205 training images of BCCD by its official
split. The settings were chosen on the 87 validation images (`--split valid`); the 72 test images
are read once, by the trained networks and their files. What is done is kept under runs/, and the
same command goes on.
"""

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on processors without AVX-512


def main(args):
    from benchmarks.detection import cost
    from benchmarks.detection.data import read
    from benchmarks.detection.networks import HEADS
    from benchmarks.detection.training import run
    from benchmarks.kept import line
    from benchmarks.timing import made

    splits, names = read()
    sizes = ", ".join(f"{len(x)} {split}" for split, (x, _) in splits.items())
    print(f"{sizes} images of 192 x 256; boxes found in the {args.split} images\n")
    header = ["head", "params (backbone)", "MMACs", "epochs", "minutes", "mAP50", "mAP"]
    header += ["int8 mAP50", "int8 mAP", "by class", "float32 file ms (network)", "int8 file ms"]
    print(line(header) + "\n" + line(["---"] * len(header)))
    rows = [run(name, splits, names, args) for name in args.heads or HEADS]
    for x in rows:
        print(line(cells(x, names)), flush=True)
    print()
    facts = {"settings": {k: rows[0][k] for k in ("batch", "peak", "seed")}} if rows else {}
    if args.rounds:
        facts["assignment"] = cost.assignment(splits, names, args.batch, args.rounds)
        facts["suppression"] = cost.suppression(args.rounds)
    print(json.dumps({**facts, "made": made()}, indent=1))


def cells(x, names):
    by_class = x["float32"]["map50_by_class"].values()
    millions = [f"{x[key] / 1e6:.2f} M" for key in ("params", "backbone_params")]

    def latency(precision):
        if "ours_ms" not in x[precision]:
            return "–"
        found = x[precision]
        share = f"{100 * (found['ratio'] - 1):+.0f} %"
        return f"{found['ours_ms']:.1f} ({found['theirs_ms']:.1f}, {share})"

    return [
        x["name"],
        f"{millions[0]} ({millions[1]})",
        f"{x['macs'] / 1e6:.0f}",
        str(x["epochs"]),
        f"{x['wall_minutes']} ({x['processor_minutes']} CPU)",
        *(f"{x[p][key]:.3f}" for p in ("float32", "int8") for key in ("map50", "map")),
        ", ".join(f"{name} {value:.2f}" for name, value in zip(names, by_class)),
        latency("float32"),
        latency("int8"),
    ]


def parse(words=None):
    from benchmarks.detection.networks import HEADS
    from benchmarks.kept import check_names

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--heads", nargs="*", help="names in networks.HEADS; all by default")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peak", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=10, help="of timing; 0 for none")
    parser.add_argument("--split", choices=("valid", "test"), default="test", help="that is scored")
    parser.add_argument("--folder", default="runs/detection", help="where models and files go")
    args = parser.parse_args(words)
    check_names(parser, args.heads, HEADS)
    return args


if __name__ == "__main__":
    main(parse())
