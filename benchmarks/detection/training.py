"""One detector from scratch to its files."""

import json
from pathlib import Path

import keras

import export
import heads
import tuning
from benchmarks.clock import trained
from benchmarks.detection.data import Batches
from benchmarks.detection.networks import detector, network_of
from benchmarks.kept import settle
from benchmarks.timing import LOOSE, compared, files_in_turn

SCORE = 0.01  # least score of boxes that average precision counts
CHECKS = 4  # of the validation images, in a training
# Which of two proposals of nearly equal scores is looked at is rounding's choice, in Keras, too: of
# float32 files the average precision is compared.
PROPOSED = {"float32": {"relative": 1.0, "equal": 0.0}}


def train(name, splits, names, folder, *, epochs, batch, peak, seed):
    """Return a trained detector and what its training took; one that was stopped goes on."""
    keras.utils.set_random_seed(seed)
    model = detector(name, len(names))
    images, targets = splits["train"]
    steps = epochs * (len(images) // batch)
    optimizer = tuning.adamw(steps, peak, weight_decay=0.05, clip=10.0, ema=0.99)
    model.compile(optimizer, loss=heads.losses(model), jit_compile=False)
    valid = (splits["valid"][0].astype("float32"), splits["valid"][1])
    scores = heads.CocoScores(valid, every=max(1, epochs // CHECKS), score=SCORE)
    batches = Batches(images, targets, batch, seed=seed)
    model, facts = trained(model, batches, folder, epochs=epochs, callbacks=[scores])
    return model, {"peak": peak, "seed": seed, **facts}


def score(model, splits, split, folder, rounds):
    """Write float32 and int8 files and return how they find the boxes of a split, and how fast."""
    images, targets = splits[split]
    images, samples = images.astype("float32"), splits["train"][0][:128].astype("float32")
    answer = heads.deploy(model, score=SCORE, max_detections=100)
    (head,) = heads.graph.heads_of(model).values()
    loose = LOOSE | (PROPOSED if isinstance(head, heads.RCNNHead) else {})
    found = {
        "params": model.count_params(),
        "macs": export.measure(model).macs,
        "keras": scores(answer.predict(images, batch_size=16, verbose=0), targets),
    }
    for precision in ("float32", "int8"):
        files = {"whole": answer, "network": network_of(answer)}
        paths = {key: Path(folder, f"{key}-{precision}.tflite") for key in files}
        for key, each in files.items():
            options = {"inputs": samples[:16], "measure": False}
            options["tolerance"] = loose.get(precision)
            export.to_tflite(each, paths[key], precision, calibration=samples, **options)
        found[precision] = scores(export.predict(paths["whole"], images), targets)
        found[precision] |= {"size": paths["whole"].stat().st_size}
        if rounds:
            found[precision] |= compared(*files_in_turn(paths.values(), rounds, runs=20))
    return found


def scores(answers, targets):
    found = heads.coco_scores(answers, targets)
    by_class = {name: x["map50"] for name, x in found["by_class"].items()}
    return {"map": found["map"], "map50": found["map50"], "map50_by_class": by_class}


def of_backbone(model):
    """Return the number of a detector's weights that are not its head's."""
    (head,) = heads.graph.heads_of(model).values()
    return model.count_params() - head.count_params()


def run(name, splits, names, args):
    """Return all facts of one detector, kept in its folder."""
    plain = name.replace(", ", "-").replace(" ", "-")
    folder = Path(args.folder, f"{plain}-{args.epochs}-{args.seed}")
    settings = {key: getattr(args, key) for key in ("epochs", "batch", "peak", "seed")}
    settle(folder, **settings)
    kept = folder / f"{args.split}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    model, facts = train(name, splits, names, folder, **settings)
    found = {"name": name, "backbone_params": of_backbone(model), **facts}
    found |= score(model, splits, args.split, folder, args.rounds)
    kept.write_text(json.dumps(found))
    return found
