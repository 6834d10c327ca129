"""Write the golden files: models of today that every later version must load and answer alike.

`python -m tests.golden.write` adds the files that are missing. A file that exists is never
written again: a changed format has to keep reading it.
"""

import pathlib
import zipfile

import keras
import numpy as np
from keras import layers

import heads

FOLDER = pathlib.Path(__file__).parent
HEADS = {
    "classification": lambda: heads.ClassificationHead(3, name="head"),
    "classification_options": lambda: heads.ClassificationHead(
        2,
        one_hot=True,
        class_weights=[1.0, 3.0],
        label_smoothing=0.1,
        focal_gamma=2.0,
        dropout=0.2,
        name="head",
    ),
    "multi_label": lambda: heads.ClassificationHead(4, multi_label=True, name="head"),
    "regression": lambda: heads.RegressionHead(
        2, loss="huber", mean=[10.0, -3.0], std=[2.0, 0.5], name="head"
    ),
    "margin": lambda: heads.MarginHead(3, 8, scale=16.0, subcenters=2, dropout=0.2, name="head"),
    "margin_options": lambda: heads.MarginHead(
        4, 8, loss="cosface", margin=0.2, pool="depthwise", norm="none", name="head"
    ),
    "unet": lambda: heads.UNetHead(3, ["P1", "P2"], 4, loss="dice", name="head"),
    "unet_options": lambda: heads.UNetHead(
        1,
        ["P1", "P2"],
        4,
        block="residual",
        attention=True,
        nested=True,
        norm="group",
        loss={"focal": {"gamma": 1.5}, "boundary": {"weight": 0.5, "tolerance": 1}},
        ignore_label=None,
        name="head",
    ),
    "deeplab": lambda: heads.DeepLabHead(3, "P2", "P1", 4, [2], name="head"),
    "lraspp": lambda: heads.LRASPPHead(3, "P2", "P1", 4, loss="lovasz", name="head"),
    "semantic_pyramid": lambda: heads.PyramidSegmentationHead(
        3, ["P1", "P2"], 4, pyramid_filters=4, loss="tversky", name="head"
    ),
    "segformer": lambda: heads.SegFormerHead(3, ["P1", "P2"], 4, name="head"),
    "detection": lambda: heads.DetectionHead(
        2, levels=["P1", "P2"], filters=4, depth=1, bins=4, name="head"
    ),
    "detection_nms_free": lambda: heads.DetectionHead(
        3,
        levels=["P1", "P2"],
        filters=4,
        depth=1,
        neck="bifpn",
        bins=1,
        nms_free=True,
        separable=True,
        class_loss="cross_entropy",
        box_loss="giou",
        loss_weights={"box": 2.0},
        activation="relu6",
        name="head",
    ),
    "ssd": lambda: heads.SSDHead(2, levels=["P1", "P2"], filters=4, depth=1, name="head"),
    "ssd_options": lambda: heads.SSDHead(
        3,
        levels=["P1", "P2"],
        filters=4,
        depth=1,
        neck="bifpn",
        anchor_size=2.0,
        octaves=1,
        ratios=[1.0, 2.0],
        separable=True,
        class_loss="hard_negatives",
        matching=0.4,
        activation="relu",
        name="head",
    ),
    "rcnn": lambda: heads.RCNNHead(
        2, levels=["P1", "P2"], filters=4, proposals=6, pool=2, hidden=4, name="head"
    ),
    "several": lambda: {
        "kind": heads.ClassificationHead(2, name="kind"),
        "age": heads.RegressionHead(loss="mae", mean=40.0, std=12.0, name="age"),
    },
}
OPTIONS = {
    "classification_options": {"threshold": 0.3},
    "multi_label": {"threshold": [0.2, 0.4, 0.5, 0.6]},
    "margin_options": {"normalize": False},
    "unet_options": {"threshold": 0.4, "probabilities": True},
    "segformer": {"probabilities": True},
    "detection": {"score": 0.0, "max_detections": 5, "iou": 0.4},
    "detection_nms_free": {"score": 0.01, "max_detections": 30},
    "ssd": {"score": 0.0, "max_detections": 5, "iou": 0.4},
    "ssd_options": {"score": 0.01, "max_detections": 30, "agnostic": True},
    "rcnn": {"score": 0.0, "max_detections": 5, "iou": 0.4},
    "several": {"kind": {"threshold": 0.4}},
}


def tiny_backbone():
    """Return a backbone of two plain convolutions."""
    image = keras.Input((8, 8, 3), name="image")
    levels, x = {}, image
    for i in (1, 2):
        x = layers.Conv2D(4 * i, 3, 2, padding="same", activation="relu", name=f"conv{i}")(x)
        levels[f"P{i}"] = x
    return keras.Model(image, levels, name="tiny")


def as_dict(outputs):
    """Return a model's outputs as a dict of arrays, a single one as `"output"`."""
    outputs = outputs if isinstance(outputs, dict) else {"output": outputs}
    return {key: keras.ops.convert_to_numpy(value) for key, value in outputs.items()}


def save(model, path):
    """Save a model and pack the archive: its parts are Keras's, a sixth of the size."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)


def write(name):
    """Write the model, the model that answers, and inputs with outputs of both."""
    keras.utils.set_random_seed(len(name))
    model = heads.attach(tiny_backbone(), HEADS[name]())
    for w in model.trainable_variables:  # biases too
        w.assign(w + np.random.normal(scale=0.1, size=w.shape))
    model.compile("sgd", loss=heads.losses(model), metrics=heads.metrics(model))
    answer = heads.deploy(model, **OPTIONS.get(name, {}))
    x = np.random.normal(size=(4, 8, 8, 3)).astype("float32")
    arrays = {f"raw/{key}": value for key, value in as_dict(model(x)).items()}
    arrays |= {f"answer/{key}": value for key, value in as_dict(answer(x)).items()}
    save(model, FOLDER / f"{name}.keras")
    save(answer, FOLDER / f"{name}.deployed.keras")
    np.savez_compressed(FOLDER / f"{name}.npz", inputs=x, **arrays)


if __name__ == "__main__":
    for name in HEADS:
        if not (FOLDER / f"{name}.npz").exists():
            write(name)
            print("wrote", name)
