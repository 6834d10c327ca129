"""Write the golden files: models of today that every later version must load and answer alike.

`python -m tests.golden.write` adds the files that are missing. A file that exists is never
written again: a changed format has to keep reading it.
"""

import pathlib
import zipfile

import keras
import numpy as np
from keras import layers

import backbones
import blocks
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
    "retrieval": lambda: heads.RetrievalHead(
        4, temperature=0.1, hard_negatives=2, bias=True, name="head"
    ),
    "retrieval_items": lambda: heads.RetrievalHead(3, normalize=False, name="head"),
    "ranking": lambda: heads.RankingHead("cross", [6], depth=2, rank=2, experts=2, name="head"),
    "ranking_list": lambda: heads.RankingHead("fm", [6], loss="listwise", name="head"),
    "sequential": lambda: heads.SequentialHead(
        9, 8, 1, num_heads=2, length=5, negatives=4, name="head"
    ),
    "sequential_gru": lambda: heads.SequentialHead(
        9, 8, 1, kind="gru", length=5, negatives=None, dropout=0.0, name="head"
    ),
    "multi_task": lambda: heads.MultiTaskHead(
        {
            "age": heads.RegressionHead(loss="mae", mean=40.0, std=12.0, name="age"),
            "kind": heads.ClassificationHead(2, name="kind"),
        },
        6,
        3,
        name="head",
    ),
    "late_fusion": lambda: heads.LateFusionHead(
        {
            "image": heads.ClassificationHead(3, name="image_kind"),
            "table": heads.ClassificationHead(3, name="table_kind"),
        },
        may_miss=True,
        rate=0.3,
        seed=3,  # so that the same features are left out whenever it is trained
        name="head",
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
    "retrieval_items": {"items": np.arange(7), "k": 3, "seen": 2},
    "sequential": {"k": 3},
    "sequential_gru": {"k": 2, "again": True},
    "several": {"kind": {"threshold": 0.4}},
}
IDS = {"dtype": "int32", "name": "ids"}
NUMBERS = {"image": (5,), "table": (3,), "there": (2,)}


def vectors(*names):
    """Return a backbone that hands on its inputs."""
    inputs = {name: keras.Input(NUMBERS[name], name=name) for name in names}
    return keras.Model(inputs, inputs, name="vectors")


def towers():
    """Return a tower of ids beside one of others."""
    user = [keras.Input((), dtype="int32", name="user"), blocks.IdEmbedding(9, 5, name="users")]
    item = [keras.Input((), dtype="int32", name="item"), blocks.IdEmbedding(7, 4, name="items")]
    return backbones.two_towers(keras.Sequential(user), keras.Sequential(item))


def embedded(*shape):
    """Return a backbone of the vectors of ids."""
    ids = keras.Input(shape, **IDS)
    return keras.Model(ids, {"tokens": blocks.IdEmbedding(9, 4, name="vectors")(ids)})


def histories():
    """Return a backbone that hands on histories."""
    ids = keras.Input((5,), **IDS)
    return keras.Model(ids, ids)


BACKBONES = {
    "retrieval": towers,
    "retrieval_items": towers,
    "ranking": lambda: embedded(3),
    "ranking_list": lambda: embedded(4, 3),
    "sequential": histories,
    "sequential_gru": histories,
    "late_fusion": lambda: vectors("image", "table", "there"),
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


def inputs_of(model):
    """Return four samples for a model's inputs: numbers, ids from 0 to 6, or who is there."""
    found = {}
    for x in model.inputs:
        numbers = np.random.normal(size=(4, *x.shape[1:])).astype("float32")
        ids = np.random.randint(0, 7, numbers.shape).astype("int32")
        found[x.name] = ids if x.dtype == "int32" else numbers
    if "there" in found:
        found["there"] = np.float32([[1, 1], [1, 0], [0, 1], [1, 1]])
    return found if isinstance(model.input, dict) else next(iter(found.values()))


def of(model, x):
    """Return what a deployed model takes of a model's inputs, and nothing to leave out."""
    if not isinstance(model.input, dict):
        return x
    given = {"seen": np.int32([[-1, 2]] * 4), **x}
    return {name: given[name] for name in model.input}


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
    model = heads.attach(BACKBONES.get(name, tiny_backbone)(), HEADS[name]())
    for w in model.trainable_variables:  # biases too
        w.assign(w + np.random.normal(scale=0.1, size=w.shape))
    model.compile("sgd", loss=heads.losses(model), metrics=heads.metrics(model))
    answer = heads.deploy(model, **OPTIONS.get(name, {}))
    x = inputs_of(model)
    arrays = {f"raw/{key}": value for key, value in as_dict(model(x)).items()}
    arrays |= {f"answer/{key}": value for key, value in as_dict(answer(of(answer, x))).items()}
    save(model, FOLDER / f"{name}.keras")
    save(answer, FOLDER / f"{name}.deployed.keras")
    inputs = {f"inputs/{k}": v for k, v in x.items()} if isinstance(x, dict) else {"inputs": x}
    np.savez_compressed(FOLDER / f"{name}.npz", **inputs, **arrays)


if __name__ == "__main__":
    for name in HEADS:
        if not (FOLDER / f"{name}.npz").exists():
            write(name)
            print("wrote", name)
