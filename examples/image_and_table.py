"""Classify a picture that comes with a row of a table, also where one of both is missing.

python -m examples.image_and_table                  halves of digits beside a table, two minutes
python -m examples.image_and_table --data FILE.csv  columns: image (a path), target, others

Each is read by a network of its own, and both are fused in several ways, trained with inputs left
out. A tenth of the rows says which fusion is best, a fifth tests it once. Everything goes to
runs/image_and_table: model.keras, table.json, which reads rows, the file, and report.html.
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
from examples import pairs
from examples.tabular import split

BOTH = (1.0, 1.0)
CASES = {"both": BOTH, "without the picture": (0.0, 1.0), "without the row": (1.0, 0.0)}


def network(kind, shape, columns, classes):
    """Return a model of a picture, of a row, or of both fused."""
    picture = keras.Input(shape, name="picture")
    x = keras.layers.Rescaling(1 / 127.5, -1.0, name="normalization")(picture)
    for i, filters in enumerate((16, 32, 64)):
        strides = 2 if i and min(x.shape[1:3]) > 4 else 1
        x = blocks.ResidualBlock(filters, strides=strides, name=f"stage{i}")(x)
    image = keras.layers.GlobalAveragePooling2D(name="image")(x)
    table = backbones.mlp(columns, 64, 2)
    row = table.output["features"]
    there = keras.Input((2,), name="there")
    inputs = {"picture": picture, **table.input, "there": there}
    head = heads.ClassificationHead(classes, name="kind")
    if kind == "picture":
        return heads.attach(keras.Model({"picture": picture}, image), head)
    if kind == "row":
        return heads.attach(keras.Model(table.input, row), head)
    if kind == "late":
        parts = {"image": head, "row": heads.ClassificationHead(classes, name="row_kind")}
        features = {"image": image, "row": row, "there": there}
        fused = heads.LateFusionHead(parts, may_miss=True, rate=0.3)
        return heads.attach(keras.Model(inputs, features), fused)
    image, row = blocks.ModalityDropout(0.3, name="missing")([image, row, there])
    fuse = {
        "concatenated": blocks.ConcatFusion(64, name="fuse"),
        "gated": blocks.GatedFusion(64, name="fuse"),
        "bilinear": blocks.BilinearFusion(64, name="fuse"),
    }[kind]
    return heads.attach(keras.Model(inputs, fuse([image, row])), head)


KINDS = ("picture", "row", "concatenated", "gated", "bilinear", "late")


def given(model, images, x, there=BOTH):
    """Return what a model takes, of all that there is."""
    names = [tensor.name for tensor in model.inputs]
    have = {"picture": images, **x, "there": np.tile(np.float32([there]), (len(images), 1))}
    return {name: have[name] for name in names}


def main(args):
    images, rows, y, names = pairs.read(args.data, args.side)
    parts = split({"": images, **rows}, y, args.seed)
    data = {}
    for part, (columns, targets) in parts.items():
        data[part] = (columns.pop(""), columns, targets)
    table = heads.Table.of(data["train"][1])
    data = {part: (pictures, table(columns), t) for part, (pictures, columns, t) in data.items()}
    (pictures, x, targets), (test_pictures, test_x, test_y) = data["train"], data["test"]
    steps, found = args.epochs * -(-len(targets) // args.batch), {}
    for kind in args.kinds:
        keras.utils.set_random_seed(args.seed)
        model = network(kind, images.shape[1:], table.columns, len(names))
        heads.check_targets(targets, model)
        model.compile(
            tuning.adamw(steps, 3e-3), loss=heads.losses(model), metrics=heads.metrics(model)
        )
        print(f"{kind}:", flush=True)
        history = model.fit(
            given(model, pictures, x),
            targets,
            args.batch,
            args.epochs,
            validation_data=(given(model, *data["valid"][:2]), data["valid"][2]),
            verbose=args.verbose,
        )
        found[kind] = model, history.history
    fused = [kind for kind in args.kinds if kind not in ("picture", "row")]
    best = min(fused, key=lambda kind: found[kind][1]["val_loss"][-1])
    scores = []
    for kind, (model, _) in found.items():
        answer, score = heads.deploy(model), {}
        for case, there in CASES.items() if kind in fused else [("both", BOTH)]:
            said = answer.predict(given(model, test_pictures, test_x, there), verbose=0)
            score[case] = float((said.argmax(-1) == test_y).mean())
        scores.append([kind, *(score.get(case, "–") for case in CASES)])

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    model, curves = found[best]
    model.save(out / "model.keras")
    table.save(out / "table.json")
    samples = {key: value[:256] for key, value in given(model, pictures, x).items()}
    samples["there"] = np.resize(np.float32([*CASES.values()]), (len(samples["there"]), 2))
    bundle = export.to_tflite(
        heads.deploy(model),
        out / "model.tflite",
        inputs=samples,
        labels=names,
        files=out / "table.json",
    )
    said = export.predict(bundle.path, given(model, test_pictures, test_x), missing=True)
    (said,) = said.values()
    scores.append([f"{best}, file", float((said.argmax(-1) == test_y).mean()), "–", "–"])
    title = f"Share of {len(test_y)} test rows that are right"
    columns = ["network", *CASES]
    report = [
        {"kind": "table", "title": title, "columns": columns, "rows": scores},
        {"kind": "curves", "title": f"Learning of {best}", "curves": curves},
    ]
    page = export.describe(out / "report.html", "A picture and a table", report)
    for row in [columns, *scores]:
        print("  ".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in row))
    taken = ", ".join(sorted(x.name for x in bundle.inputs))
    print(f"{bundle.path}: {bundle.size // 1000} KB, takes {taken}")
    print(f"Files: {out}/model.keras, {out}/table.json, {bundle.path}, {page}")
    print(
        "Next: open the report; --data FILE.csv; `there` says which inputs a sample has: "
        "[[1, 0]] is a picture alone"
    )


def parse(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="comma-separated values: image, target, and the table")
    parser.add_argument("--out", default="runs/image_and_table")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    numbers = {"side": 32, "epochs": 30, "batch": 64, "seed": 0, "verbose": 2}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args(words)
    if not set(args.kinds) - {"picture", "row"}:
        parser.error("--kinds must name a fusion: " + ", ".join(KINDS[2:]))
    return args


if __name__ == "__main__":
    main(parse())
