"""Trained networks, from pixels to logits, and how they were trained on."""

from pathlib import Path

import keras
import numpy as np

import backbones
import heads
from benchmarks.cifar10.data import Batches
from benchmarks.clock import trained
from export.files import aside
from tuning import adamw

MODELS = Path(__file__).parents[1] / "models"
MOBILENET = MODELS / "cifar10_mobilenet_v3.npz"
SIDES = {"mobilenet_v3": 64, "resnet8": 32, "resnet9": 32}
FILES = {"resnet8": "cifar10_resnet8_taught_state.keras", "resnet9": "cifar10_resnet9.keras"}
PEAKS = {"mobilenet_v3": 1e-3, "resnet8": 3e-4, "resnet9": 3e-4}  # learning rates of aware training
EPOCHS = {"mobilenet_v3": 8, "resnet8": 2, "resnet9": 2}  # of it
BATCH, CUT, SEED = 128, 8, 0
EMA = 0.999  # of the weights that are kept


def mobilenet_v3():
    """Return MobileNetV3-small for images of 64 x 64, 944,890 parameters, not trained."""
    backbone = backbones.mobilenet_v3((64, 64, 3), "small", include_preprocessing=True)
    return heads.attach(backbone, heads.ClassificationHead(10))


def network(name):
    """Return a trained network by name."""
    if name in FILES:
        return keras.saving.load_model(MODELS / FILES[name], compile=False)
    if not MOBILENET.exists():
        raise SystemExit(f"{MOBILENET} is missing: python -m benchmarks.quantization train")
    model = mobilenet_v3()
    with np.load(MOBILENET) as kept:
        model.set_weights([kept[key].astype("float32") for key in kept.files])
    return model


def keep(model, path=MOBILENET):
    """Write weights in half precision, which makes the file less than 2 MiB."""
    weights = {f"w{i:03}": x.astype("float16") for i, x in enumerate(model.get_weights())}
    if not all(np.isfinite(x).all() for x in weights.values()):
        raise SystemExit("A weight is too large for half precision.")
    with aside(Path(path)) as (part,), open(part, "wb") as file:
        np.savez_compressed(file, **weights)


def enlarged(images, side):
    """Return images as float32 of that side, between the pixels a straight line."""
    if images.shape[1] == side:
        return images.astype("float32")
    parts = [images[i : i + 1000] for i in range(0, len(images), 1000)]
    whole = [keras.ops.image.resize(x.astype("float32"), (side, side)) for x in parts]
    return np.concatenate([keras.ops.convert_to_numpy(x) for x in whole])


class Drawn(Batches):
    """Batches of crops for `clock.trained`, enlarged."""

    def __init__(self, images, labels, side):
        super().__init__(images, labels, seed=SEED, epoch=0, batch=BATCH, cut=CUT)
        self.side = side

    def draw(self, epoch):
        self.key = SEED, epoch
        self.order = np.random.default_rng(self.key).permutation(len(self.images))

    def __getitem__(self, index):
        images, labels = super().__getitem__(index)
        return enlarged(images, self.side), labels


def train(model, splits, side, folder, *, epochs, peak, loss):
    """Train a network, or go on; return it with averaged weights, and facts of its training."""
    keras.utils.set_random_seed(SEED)
    (images, labels), (others, known) = splits
    batches = Drawn(images, labels, side)
    optimizer = adamw(len(batches) * epochs, peak, weight_decay=0.05, ema=EMA)
    # XLA's convolutions are slower than oneDNN's on a processor.
    model.compile(optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)
    validation = enlarged(others, side), known
    return trained(model, batches, Path(folder), epochs=epochs, validation_data=validation)
