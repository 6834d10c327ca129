"""Train a U-Net for binary masks, choose its threshold, and read images larger than it was taught.

python -m examples.segment_medical               pale strokes in noise, some minutes on 2 cores
python -m examples.segment_medical --data DIR    your images: DIR/images and DIR/masks, black and
                                                 white

It learns by cross-entropy and Dice together. The threshold is chosen on the validation images; the
test images are read once, by the trained model and its files. Everything goes to
runs/segment_medical: model.keras, the files, and report.html with pictures and scores.
"""

import argparse
import functools
from pathlib import Path

import keras
import numpy as np

import export
import heads
import tuning
from examples import networks
from examples.folders import tissue

THRESHOLDS = np.linspace(0.2, 0.8, 13)


def main(args):
    train, valid, test = tissue(args)
    (images, masks), (test, test_y), shape = train, test, train[0].shape[1:]

    keras.utils.set_random_seed(args.seed)
    head = heads.UNetHead(1, ["P1", "P2", "P3", "P4"], 16, loss={"cross_entropy": 1.0, "dice": 1.0})
    model = heads.attach(networks.small(shape), head)
    heads.check_targets(train, head)
    steps = args.epochs * -(-len(images) // args.batch)
    model.compile(
        tuning.adamw(steps, 3e-3), loss=head.loss(), metrics=head.metrics(), jit_compile=False
    )
    history = model.fit(
        images, masks, args.batch, args.epochs, validation_data=valid, verbose=args.verbose
    )

    shares = heads.deploy(model, probabilities=True).predict(valid[0], verbose=0)["probabilities"]
    found = [dice(shares[..., 0] >= threshold, valid[1]) for threshold in THRESHOLDS]
    threshold = float(THRESHOLDS[int(np.argmax(found))])
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    model.save(out / "model.keras")
    answer = heads.deploy(model, threshold=threshold)
    rows = [["Keras", "-", dice(answer.predict(test, verbose=0), test_y)]]
    for precision in ("float32", "int8"):
        path = out / f"mask_{precision}.tflite"
        bundle = export.to_tflite(
            answer, path, precision, calibration=images[:128], inputs=images[:8]
        )
        file = functools.partial(export.predict, path)
        maps = heads.segment(file, test, size=shape[:2])
        rows.append([path.name, bundle.size // 1000, dice(maps, test_y)])
    four = test[np.arange(4) % len(test)]
    large = np.concatenate([np.concatenate(four[i : i + 2], axis=1) for i in (0, 2)])
    tiled = heads.segment(file, large, size=shape[:2], tile=True)
    report = [
        {"kind": "facts", "title": "Result", "facts": {"threshold": threshold}},
        table := {
            "kind": "table",
            "title": f"Dice of the foreground on {len(test)} test images",
            "columns": ["file", "KB", "Dice"],
            "rows": rows,
        },
        {
            "kind": "pictures",
            "title": "What the int8 file says, and what is there",
            "figures": {
                f"image {i}, {what}": heads.overlay(test[i], seen[i], names=["rest", "found"])
                for i in range(min(3, len(test)))
                for what, seen in {"found": maps, "true": test_y}.items()
            },
        },
        {
            "kind": "pictures",
            "title": f"An image of {large.shape[0]} x {large.shape[1]}, read in tiles",
            "figures": [heads.overlay(large, tiled, names=["rest", "found"])],
        },
        {"kind": "curves", "title": "Learning", "curves": history.history},
    ]
    page = export.describe(out / "report.html", "Masks", report)
    print(f"Threshold {threshold:.2f}")
    for row in [table["columns"], *rows]:
        print("  ".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in row))
    print(f"Files: {out}/model.keras, {out}/mask_*.tflite, {page}")
    print("Next: open the report; heads.segment(…, tile=True) for images of any size; --data DIR")


def dice(maps, targets):
    """Return twice the shared area of the foregrounds by the sum of both."""
    metric = heads.MaskDice(1, ignore_label=255)
    metric.update_state(targets, np.where(maps, 10.0, -10.0)[..., None])
    return float(metric.result())


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of your images and masks")
    parser.add_argument("--out", default="runs/segment_medical")
    numbers = {"side": 96, "scenes": 400, "epochs": 15, "batch": 16, "seed": 0, "verbose": 2}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
