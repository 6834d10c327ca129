"""Train a detector, score it as COCO does, and write files that find the same boxes.

python -m examples.detect_cells               digits in scenes made of them, some minutes on 2 cores
python -m examples.detect_cells --data DIR    your images: DIR/images, and DIR/boxes.json (COCO),
                                              DIR/xml (VOC), or DIR/labels and DIR/names.txt (YOLO)

The test images are read once, by the trained model and its files. Everything goes to
runs/detect_cells: model.keras, the files, and report.html with pictures, curves and scores.
"""

import argparse
import functools
from pathlib import Path

import keras

import backbones
import export
import heads
import tuning
from examples import networks, scenes
from examples.folders import boxes_of, split

# Weak boxes, which average precision counts, come and go: its scores judge the int8 file.
LOOSE = {"float32": None, "int8": {"agreement": 0.7}}


def batches(images, targets, batch, seed):
    """Return a data set, half of it mosaics."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((images, targets)).shuffle(len(images), seed=seed)
    return data.batch(batch, drop_remainder=True).map(heads.Mosaic(0.5, seed=seed)).prefetch(2)


def main(args):
    if args.data:
        images, targets, names = boxes_of(args.data, args.side)
        train, valid, test = ((images[x], targets[x]) for x in split(len(images), args.seed))
    else:
        names, counts = list("0123456789"), (args.scenes, *[max(1, args.scenes // 5)] * 2)
        train, valid, test = (
            digits(count, part, args.side) for part, count in zip(scenes.PARTS, counts)
        )
    (images, targets), (test, test_y) = train, test

    keras.utils.set_random_seed(args.seed)
    shape = images.shape[1:]
    backbone = (
        backbones.mobilenet_v4(shape, size="conv_small", include_preprocessing=True)
        if args.data
        else networks.small(shape)
    )
    levels = ["P3", "P4", "P5"] if args.data else ["P2", "P3", "P4"]
    head = heads.DetectionHead(len(names), levels=levels, filters=48, depth=1, activation="relu6")
    model = heads.attach(backbone, head)
    heads.check_targets(train, head)
    data = batches(images, targets, min(args.batch, len(images)), args.seed)
    optimizer = tuning.adamw(args.epochs * len(data), 4e-3, clip=10.0, ema=0.98)
    model.compile(optimizer, loss=head.loss(), jit_compile=False)
    callbacks = [
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        heads.CocoScores(valid, every=max(1, args.epochs // 5)),
    ]
    history = model.fit(
        data, epochs=args.epochs, shuffle=False, callbacks=callbacks, verbose=args.verbose
    )

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    model.save(out / "model.keras")
    answer = heads.deploy(model, score=0.01)
    every = answer.predict(test, verbose=0)
    rows = [["Keras", "-", *scores(every, test_y)]]
    for precision in ("float32", "int8"):
        path = out / f"boxes_{precision}.tflite"
        options = {
            "calibration": images[:128],
            "inputs": images[:32],
            "tolerance": LOOSE[precision],
        }
        bundle = export.to_tflite(answer, path, precision, **options)
        rows.append([path.name, bundle.size // 1000, *scores(export.predict(path, test), test_y)])
    file = functools.partial(export.predict, out / "boxes_int8.tflite")
    shown = heads.detect(file, test[:6], size=shape[:2])
    curves = {str(k): x for k, x in heads.precision_recall(every, test_y, names=names).items()}
    report = [
        table := {
            "kind": "table",
            "title": f"Average precision on {len(test)} test images",
            "columns": ["file", "KB", "mAP", "mAP50"],
            "rows": rows,
        },
        {
            "kind": "pictures",
            "title": "Found by the int8 file, and what is there, dashed",
            "figures": [
                heads.draw_boxes(image, found, truth, names=names, score=0.3)
                for image, found, truth in zip(test, shown, test_y)
            ],
        },
        {
            "kind": "pictures",
            "title": "Precision and recall",
            "figures": [heads.draw_precision_recall(curves)],
        },
        {"kind": "curves", "title": "Learning", "curves": history.history},
    ]
    page = export.describe(out / "report.html", "Boxes", report)
    for row in [table["columns"], *rows]:
        print("  ".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in row))
    print(f"Files: {out}/model.keras, {out}/boxes_*.tflite, {page}")
    print("Next: open the report; heads.detect(model, images of any size); --data DIR, --epochs 60")


def digits(count, part, side):
    """Return images of scenes and their targets."""
    images, boxes, labels = scenes.of_boxes(count, part, side)
    return images, heads.pack_boxes(boxes, labels, max_boxes=6)


def scores(answers, targets):
    found = heads.coco_scores(answers, targets)
    return found["map"], found["map50"]


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of your images and boxes")
    parser.add_argument("--out", default="runs/detect_cells")
    numbers = {"side": 96, "scenes": 800, "epochs": 20, "batch": 16, "seed": 0, "verbose": 2}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
