"""Train a segmenter of several classes, and write files that say the same at every pixel.

python -m examples.segment_streets               skies, roads and digits, some minutes on 2 cores
python -m examples.segment_streets --data DIR    your images: DIR/images, DIR/masks (PNG of class
                                                 ids, 255 not counted) and DIR/names.txt, a class
                                                 a line

The test images are read once, by the trained model and its files. Everything goes to
runs/segment_streets: model.keras, the files, and report.html with pictures and scores.
"""

import argparse
import functools
from pathlib import Path

import keras
import numpy as np

import backbones
import export
import heads
import tuning
from examples import networks, scenes
from examples.folders import masks_of, split

NAMES = ["sky", "road", "even", "odd"]


def main(args):
    if args.data:
        lines = Path(args.data, "names.txt").read_text().split("\n")
        names = [line.strip() for line in lines if line.strip()]
        images, masks = masks_of(args.data, args.side, len(names))
        train, valid, test = ((images[x], masks[x]) for x in split(len(images), args.seed))
    else:
        names, counts = NAMES, (args.scenes, *[max(1, args.scenes // 5)] * 2)
        train, valid, test = (
            scenes.of_streets(count, part, args.side) for part, count in zip(scenes.PARTS, counts)
        )
    (images, masks), (test, test_y), shape = train, test, train[0].shape[1:]

    keras.utils.set_random_seed(args.seed)
    if args.data:
        backbone = backbones.mobilenet_v3(shape, size="small", include_preprocessing=True)
        head = heads.DeepLabHead(len(names), "P4", "P2", filters=96, loss=args.loss)
    else:
        backbone = networks.small(shape)
        head = heads.DeepLabHead(len(names), "P3", "P1", filters=48, loss=args.loss)
    model = heads.attach(backbone, head)
    heads.check_targets(train, head)
    steps = args.epochs * -(-len(images) // args.batch)
    model.compile(
        tuning.adamw(steps, 3e-3), loss=head.loss(), metrics=head.metrics(), jit_compile=False
    )
    history = model.fit(
        images, masks, args.batch, args.epochs, validation_data=valid, verbose=args.verbose
    )

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    model.save(out / "model.keras")
    answer = heads.deploy(model)
    rows = [["Keras", "-", *scores(answer.predict(test, verbose=0), test_y, len(names))]]
    for precision in ("float32", "int8"):
        path = out / f"classes_{precision}.tflite"
        bundle = export.to_tflite(
            answer, path, precision, calibration=images[:128], inputs=images[:8]
        )
        maps = heads.segment(functools.partial(export.predict, path), test, size=shape[:2])
        rows.append([path.name, bundle.size // 1000, *scores(maps, test_y, len(names))])
    report = [
        table := {
            "kind": "table",
            "title": f"Intersection over union on {len(test)} test images",
            "columns": ["file", "KB", "mean", *names],
            "rows": rows,
        },
        {
            "kind": "pictures",
            "title": "What the int8 file says, and what is there",
            "figures": {
                f"image {i}, {what}": heads.overlay(test[i], found[i], names=names)
                for i in range(min(3, len(test)))
                for what, found in {"found": maps, "true": test_y}.items()
            },
        },
        {"kind": "curves", "title": "Learning", "curves": history.history},
    ]
    page = export.describe(out / "report.html", "Classes of pixels", report)
    for row in [table["columns"], *rows]:
        print("  ".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in row))
    print(f"Files: {out}/model.keras, {out}/classes_*.tflite, {page}")
    print(
        "Next: open the report; --loss dice; heads.segment(model, images of any size); --data DIR"
    )


def scores(maps, targets, num_classes):
    """Return the mean of the classes' intersections over unions, and each of them."""
    metric = heads.MaskIoU(num_classes, ignore_label=255)
    metric.update_state(targets, np.eye(num_classes, dtype="float32")[maps])
    return float(metric.result()), *(float(x) for x in metric.per_class())


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of your images, masks and names")
    parser.add_argument("--out", default="runs/segment_streets")
    parser.add_argument("--loss", default="cross_entropy", help="of heads.SegmentationLoss")
    numbers = {"side": 96, "scenes": 500, "epochs": 15, "batch": 16, "seed": 0, "verbose": 2}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
