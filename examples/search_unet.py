"""Search for a U-Net, and compare what is found with one made by hand that costs as much.

python -m examples.search_unet               pale strokes in noise, some minutes on 2 cores
python -m examples.search_unet --data DIR    your images: DIR/images and DIR/masks, black and white

The one by hand has blocks of residual convolutions and the plain decoder of U-Net. What is searched
may take as many multiply-accumulates and no more, and is trained as long, with the same schedule:
encoder, decoder, attention gates, nested levels, up-sampling, deep supervision, loss and rate
are open. Both are trained from several seeds on all images but the test's, which are read once.
A search that was stopped goes on: run the same command again. Files go to runs/search_unet.
"""

import argparse
import statistics
from pathlib import Path

import keras
import keras_tuner
import numpy as np

import export
import heads
import tuning
from examples.folders import begun_with, tissue

BATCH = 16
BY_HAND = {  # the row of the space that its parts would be
    "encoder": {"blocks": {"width": 16, "depth": 1, "block": "residual", "stem": 1, "stages": 4}},
    "filters": 16,
    "block": "conv",
    "attention": False,
    "nested": False,
    "upsample": "linear",
    "deep_supervision": False,
    "loss": {"cross_entropy": 1.0, "dice": 1.0},
    "learning_rate": 3e-3,
    "weight_decay": 0.01,
}


def main(args):
    train, val, test = tissue(args)
    shape, steps = train[0].shape[1:], -(-len(train[0]) // BATCH)
    pixels = {"mean": float(train[0].mean()), "std": float(train[0].std())}
    space = {"steps": args.epochs * steps, **pixels}
    by_hand = tuning.unet_space(shape, 1, choices=BY_HAND, **space)
    hand = export.measure(by_hand(keras_tuner.HyperParameters()))
    print(f"U-Net by hand: {hand.macs:,} MACs, {hand.params:,} parameters")

    out = Path(args.out)
    begun_with(out, args.overwrite, (train, val, test), epochs=args.epochs)
    search = tuning.ParetoSearch(
        tuning.unet_space(shape, 1, choices={"norm": "batch"}, **space),
        ["val_dice", "macs"],
        tuning.Budget(macs=hand.macs),
        max_trials=args.trials,
        halving=tuning.Halving(min_epochs=max(1, args.epochs // 9)),
        seed=args.seed,
        directory=out,
        project_name="search",
        overwrite=args.overwrite,
    )
    search.search(*train, BATCH, args.epochs, validation_data=val)
    best = search.best()
    print(f"Found: {best.hyperparameters.values}")

    # As many steps an epoch as in the search, for the schedule: larger batches of more images.
    both = [np.concatenate(parts) for parts in zip(train, val)]
    batch = -(-len(both[0]) // steps)
    fit = {"batch_size": batch, "epochs": args.epochs, "verbose": 0}
    (found,) = search.retrain(*both, **fit, test=test, trials=[best], seeds=args.seeds)
    theirs = [tested(by_hand, both, test, fit, seed) for seed in range(args.seeds)]
    rows = [
        ["by hand", hand.macs, hand.params, *spread([score["dice"] for score in theirs])],
        ["found", found.facts["macs"], found.facts["params"], *spread(found.scores["dice"])],
    ]

    answer = heads.deploy(keras.saving.load_model(found.files[0]))  # the first: the test chose none
    bundle = export.to_tflite(answer, out / "mask_int8.tflite", "int8", calibration=both[0][:128])
    page = search.report(out / "report.html")
    print(bundle)
    print(f"\nDice of {len(test[0])} test images, {args.seeds} seeds each")
    for name, macs, params, mean, deviation in rows:
        print(f"{name:8} {mean:.4f} ± {deviation:.4f}  {macs:,.0f} MACs, {params:,.0f} parameters")
    print(f"Files: {page}, {bundle.path}, {', '.join(found.files)}")
    print("Next: open the page; --trials 60 to search on; --data DIR for images of your own.")


def tested(build, both, test, fit, seed):
    """Return the test's scores of a model that is trained from a seed."""
    keras.utils.set_random_seed(seed)
    model = build(keras_tuner.HyperParameters())
    model.fit(*both, **fit)
    return model.evaluate(*test, return_dict=True, verbose=0)


def spread(scores):
    """Return mean and standard deviation, 0 of one."""
    return statistics.mean(scores), statistics.stdev(scores) if len(scores) > 1 else 0.0


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of your images and masks")
    parser.add_argument("--out", default="runs/search_unet")
    parser.add_argument("--overwrite", action="store_true", help="begin anew")
    numbers = {"side": 64, "scenes": 300, "trials": 16, "epochs": 9, "seeds": 3, "seed": 0}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args(words)


if __name__ == "__main__":
    main(parse())
