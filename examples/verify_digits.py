"""Are these two of one kind? Embeddings for classes that nobody trained on, as for faces.

python -m examples.verify_digits          scikit-learn's digits, some minutes

Trained on the digits 0 to 6; 7, 8 and 9 are strangers: their pairs are told apart by the cosine of
two embeddings alone. --out: folder of the results; --epochs, --seed, --verbose: as of Keras's fit.
"""

import argparse
import time
from pathlib import Path

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import blocks
import export
import heads

KNOWN = 7  # digits from 0 on; the others are met in the test alone


def network():
    """Return a backbone for images of 8 x 8."""
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Rescaling(1 / 8, -1.0, name="preprocessing")(image)
    x = blocks.ConvNormAct(32, name="stem")(x)
    for i, (filters, strides) in enumerate([(32, 1), (64, 2), (64, 1), (128, 2), (128, 1)]):
        x = blocks.InvertedResidual(filters, strides, expansion=2, name=f"block{i}")(x)
    return keras.Model(image, x, name="digits")


def main(args):
    began, out = time.time(), Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(args.seed)
    digits = load_digits()
    images, labels = digits.images[..., None].astype("float32"), digits.target
    known = labels < KNOWN
    strangers = images[~known], labels[~known]
    x, val_x, y, val_y = train_test_split(
        images[known],
        labels[known],
        test_size=0.2,
        stratify=labels[known],
        random_state=args.seed,
    )
    print(f"{len(x)} images of {KNOWN} digits to train, {len(val_x)} to validate")

    # The margin is for training alone. Of few classes the scale is smaller than the papers' 64.
    head = heads.MarginHead(KNOWN, 32, loss="arcface", margin=0.3, scale=16.0, dropout=0.2)
    model = heads.attach(network(), head)
    heads.check_targets((x, y), model)
    model.compile(keras.optimizers.Adam(3e-3), loss=head.loss(), metrics=head.metrics())
    callbacks = [
        heads.VerifyPairs((val_x, val_y)),
        keras.callbacks.ReduceLROnPlateau("loss", patience=3),
        keras.callbacks.EarlyStopping(
            "val_verification", mode="max", patience=12, restore_best_weights=True
        ),
    ]
    model.fit(
        *(x, y),
        validation_data=(val_x, val_y),
        epochs=args.epochs,
        batch_size=64,
        callbacks=callbacks,
        verbose=args.verbose,
    )

    # What is deployed gives embeddings of length 1, without the classes.
    answer = heads.deploy(model)
    answer.save(out / "embedding.keras")
    bundle = export.to_tflite(answer, out / "embedding_int8.tflite", "int8", calibration=x)
    print(bundle)

    # The strangers are met once, by both.
    embeddings = {
        "float32": answer.predict(strangers[0], verbose=0),
        "int8": export.predict(bundle.path, strangers[0])["embedding"],
        "pixels": strangers[0].reshape(len(strangers[0]), -1),  # what comes without training
    }
    print(f"\nPairs of {len(strangers[0])} images of digits that were never trained on:")
    for name, e in embeddings.items():
        found = heads.verification(e, strangers[1], far=[0.01])
        print(
            f"  {name:8} accuracy {found['accuracy']:.3f} ± {found['accuracy_std']:.3f}, "
            f"EER {found['eer']:.3f}, AUC {found['auc']:.3f}, accepted at FAR 1 % "
            f"{found['tar'][0.01]:.3f}, threshold {found['threshold']:.2f}"
        )
    e, one = embeddings["int8"], strangers[1] == strangers[1][0]
    print(f"A pair of one digit: cosine {e[one][0] @ e[one][1]:.2f}", end="; ")
    print(f"of two digits: {e[one][0] @ e[~one][0]:.2f}   ({time.time() - began:.0f} s)")
    print(f"Files: {out / 'embedding.keras'}, {bundle.path}")
    print("Next: two images are of one kind where the product of their embeddings reaches the")
    print("threshold. For faces: backbones.mobilefacenet and MarginHead(…, pool='depthwise').")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="runs/verify_digits")
    for name, default in {"epochs": 60, "seed": 1, "verbose": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    main(parser.parse_args())
