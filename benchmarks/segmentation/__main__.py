"""Segmenters of streets and membranes: `python -m benchmarks.segmentation` prints tables.

On CamVid all heads learn from scratch, on one backbone, at 192 x 144 pixels; the settings were
chosen on the validation frames (`--split valid`), and the test frames, every second one of
CamVid's, are read once, by the trained networks and their files. On ISBI 2012 five folds of
contiguous slices are left out in turn, with settings fixed before; the figure is that of the
membrane, the smaller class, over all slices. What is done is kept under runs/, and the same
command goes on.
"""

import argparse
import json
import os
import statistics
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by default on processors without AVX-512


def street(name, splits, names, args):
    """Return all facts of a head on CamVid."""
    import keras

    import export
    import heads
    from benchmarks.kept import settle
    from benchmarks.segmentation import networks
    from benchmarks.segmentation.data import VOID, Batches
    from benchmarks.segmentation.training import confusion, files, train

    folder = Path(args.folder, f"camvid-{plain(name)}-{args.epochs}-{args.seed}")
    settle(folder, epochs=args.epochs, batch=args.batch, peak=args.peak, seed=args.seed)
    kept = folder / f"{args.split}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    keras.utils.set_random_seed(args.seed)
    images, masks = splits["train"]
    model = networks.streets(name, images.shape[1:], len(names), VOID)
    batches = Batches(images, masks, args.batch, masks.shape[1:], (0.5, 1.0), seed=args.seed)
    model, facts = train(
        model, batches, folder, epochs=args.epochs, peak=args.peak, valid=splits["valid"]
    )
    images, masks = splits[args.split]
    images, answer = images.astype("float32"), heads.deploy(model)
    found = {"name": name, "seed": args.seed, **facts, **costs(model)}
    metric = heads.MaskIoU(len(names), ignore_label=VOID)
    samples = splits["train"][0][:128].astype("float32")
    for precision, bundle in files(answer, folder, samples).items():
        (maps,) = export.predict(bundle.path, images).values()
        confusion(metric, maps, masks)
        scores = {k: float(x) for k, x in zip(names, metric.per_class())}
        found[precision] = {"iou": float(metric.result()), "by_class": scores}
        found[precision] |= {"size": bundle.size, "ms": latency(bundle.path)}
    confusion(metric, answer.predict(images, batch_size=8, verbose=0), masks)
    found["keras"] = float(metric.result())
    kept.write_text(json.dumps(found))
    return found


def membrane(name, args):
    """Return all facts of a head on ISBI 2012: five networks, each of all slices but its fold."""
    import keras

    import export
    import heads
    from benchmarks.kept import settle
    from benchmarks.segmentation import networks
    from benchmarks.segmentation.data import FOLDS, Batches, membranes
    from benchmarks.segmentation.training import confusion, files, train

    rows, seen = [], {"float32": ([], []), "int8": ([], [])}
    for fold in range(FOLDS):
        folder = Path(args.folder, f"isbi-{plain(name)}-{args.isbi_epochs}-{args.seed}-{fold}")
        settle(folder, epochs=args.isbi_epochs, batch=args.batch, peak=args.peak, seed=args.seed)
        splits = membranes(fold)
        keras.utils.set_random_seed(args.seed)
        model = networks.membranes(name)
        options = {"turns": True, "repeats": 4, "seed": args.seed}
        batches = Batches(*splits["train"], args.batch, (128, 128), (0.8, 1.25), **options)
        model, facts = train(model, batches, folder, epochs=args.isbi_epochs, peak=args.peak)
        images, masks = splits["test"]
        images, shape = images.astype("float32"), (256, 256, 1)
        samples = splits["train"][0].astype("float32")
        bundles = files(heads.deploy(model), folder, samples, shape)
        metric, row = heads.MaskDice(1), {"fold": fold, **facts}
        for precision, bundle in bundles.items():
            (maps,) = export.predict(bundle.path, images).values()
            row[precision] = float(confusion(metric, maps, masks).result())
            for kept, x in zip(seen[precision], (maps, masks)):
                kept.extend(x)
        rows.append(row)
    found = {"name": name, "folds": rows, **costs(networks.membranes(name, shape))}
    for precision, (maps, masks) in seen.items():
        dice = float(confusion(heads.MaskDice(1), maps, masks).result())
        folds = [row[precision] for row in rows]
        found[precision] = {"dice": dice, "by_fold": folds, "deviation": statistics.stdev(folds)}
        bundle = bundles[precision]
        found[precision] |= {"size": bundle.size, "ms": latency(bundle.path)}
    return found


def costs(model):
    import export

    return {"params": model.count_params(), "macs": export.measure(model).macs}


def latency(path):
    import export

    return export.measure(path, runs=20, threads=(1,)).latency[0]["median_ms"]


def plain(name):
    return name.lower().replace(", ", "-").replace(" ", "-").replace("+", "plus")


def main(args):
    from benchmarks.kept import line
    from benchmarks.segmentation import data, networks
    from benchmarks.timing import made

    if args.streets is None or args.streets:
        splits, names = data.streets()
        sizes = ", ".join(f"{len(x)} {split}" for split, (x, _) in splits.items())
        print(f"CamVid, {sizes} frames of 192 x 144; mean IoU of 11 classes, {args.split}\n")
        header = ["head", "params", "MMACs", "epochs", "minutes", "IoU Keras", "IoU float32 file"]
        header += ["IoU int8 file", "KB int8", "ms float32", "ms int8"]
        print(line(header) + "\n" + line(["---"] * len(header)))
        for name in args.streets or networks.STREETS:
            x = street(name, splits, names, args)
            cells = [f"{x['keras']:.4f}", *(f"{x[p]['iou']:.4f}" for p in ("float32", "int8"))]
            print(line([*general(x, x), *cells, *files_of(x)]), flush=True)
        print()
    if args.membranes is None or args.membranes:
        print("ISBI 2012, five folds of contiguous slices; Dice of the membrane\n")
        header = ["head", "params", "MMACs", "epochs", "minutes, five folds", "Dice float32 file"]
        header += ["of each fold", "Dice int8 file", "KB int8", "ms float32", "ms int8"]
        print(line(header) + "\n" + line(["---"] * len(header)))
        for name in args.membranes or networks.MEMBRANES:
            x = membrane(name, args)
            facts = {
                key: round(sum(row[key] for row in x["folds"]), 1)
                for key in ("wall_minutes", "processor_minutes")
            }
            folds = ", ".join(f"{value:.3f}" for value in x["float32"]["by_fold"])
            cells = [f"{x['float32']['dice']:.4f}", folds, f"{x['int8']['dice']:.4f}"]
            facts["epochs"] = args.isbi_epochs
            print(line([*general(x, facts), *cells, *files_of(x)]), flush=True)
        print()
    print(json.dumps({"batch": args.batch, "peak": args.peak, "seed": args.seed, "made": made()}))


def general(x, facts):
    minutes = f"{facts['wall_minutes']} ({facts['processor_minutes']} CPU)"
    params, macs = f"{x['params'] / 1e6:.2f} M", f"{x['macs'] / 1e6:.0f}"
    return [x["name"], params, macs, str(facts["epochs"]), minutes]


def files_of(x):
    sizes = [f"{x['int8']['size'] / 1000:.0f}"]
    return sizes + [f"{x[precision]['ms']:.1f}" for precision in ("float32", "int8")]


def parse(words=None):
    from benchmarks.kept import check_names
    from benchmarks.segmentation.networks import MEMBRANES, STREETS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streets", nargs="*", help="names in networks.STREETS; all by default")
    parser.add_argument(
        "--membranes", nargs="*", help="names in networks.MEMBRANES; all by default"
    )
    parser.add_argument("--epochs", type=int, default=100, help="on CamVid")
    parser.add_argument("--isbi-epochs", type=int, default=50, help="of each fold, four times over")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--peak", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=("valid", "test"), default="test", help="of CamVid")
    parser.add_argument("--folder", default="runs/segmentation", help="where models and files go")
    args = parser.parse_args(words)
    for given, known in ((args.streets, STREETS), (args.membranes, MEMBRANES)):
        check_names(parser, given, known)
    return args


if __name__ == "__main__":
    main(parse())
