"""The rows: a model for each function of `backbones`, and one for each head."""

import keras

import backbones
import heads

CLASSES = 10
SIDE = 64
IMAGE = (SIDE, SIDE, 3)
COLUMNS = 12
LEVELS = ["P3", "P4", "P5"]


def classifier(backbone):
    return heads.attach(backbone, heads.ClassificationHead(CLASSES))


def towers():
    """Return a user's and an item's network as one."""
    parts = [
        keras.Sequential([keras.Input((8,), name=name), keras.layers.Dense(16, "relu")], name=name)
        for name in ("user", "item")
    ]
    return backbones.two_towers(*parts)


def small_pyramid():
    app = keras.applications.MobileNetV2(IMAGE, 0.35, include_top=False, weights=None)
    return backbones.pyramid(app)


# At the smallest of a family's usual sizes, the quickest first.
BACKBONES = {
    "lenet": lambda: classifier(backbones.lenet()),
    "mlp": lambda: classifier(backbones.mlp(COLUMNS)),
    "tabnet": lambda: classifier(backbones.tabnet(COLUMNS)),
    "column_tokens": lambda: heads.attach(
        backbones.column_tokens(COLUMNS), heads.RankingHead("fm", [16])
    ),
    "ft_transformer": lambda: classifier(backbones.ft_transformer(COLUMNS)),
    "two_towers": lambda: heads.attach(towers(), heads.RetrievalHead(8)),
    "mobilenet": lambda: classifier(backbones.mobilenet(IMAGE)),
    "mobilenet_v2": lambda: classifier(backbones.mobilenet_v2(IMAGE)),
    "mobilenet_v3": lambda: classifier(backbones.mobilenet_v3(IMAGE, "small")),
    "mobilenet_v4": lambda: classifier(backbones.mobilenet_v4(IMAGE)),
    "mobilefacenet": lambda: classifier(backbones.mobilefacenet(IMAGE)),
    "pyramid": lambda: classifier(small_pyramid()),
    "efficientnet": lambda: classifier(backbones.efficientnet(IMAGE)),
    "efficientnet_v2": lambda: classifier(backbones.efficientnet_v2(IMAGE)),
    "alexnet": lambda: classifier(backbones.alexnet(IMAGE, dense_layers=False)),
    "resnet": lambda: classifier(backbones.resnet(IMAGE, 18)),
    "vit": lambda: classifier(backbones.vit(IMAGE, "tiny")),
    "vgg": lambda: classifier(backbones.vgg(IMAGE, 11)),
    "resnet_v2": lambda: classifier(backbones.resnet_v2(IMAGE)),
    "densenet": lambda: classifier(backbones.densenet(IMAGE)),
    "convnext": lambda: classifier(backbones.convnext(IMAGE)),
    "inception": lambda: classifier(backbones.inception((96, 96, 3))),
}


def on_images(head):
    return heads.attach(backbones.mobilenet_v2(IMAGE, 0.35), head)


def tasks():
    parts = {"kind": heads.ClassificationHead(CLASSES), "age": heads.RegressionHead()}
    return heads.MultiTaskHead(parts, 16)


def fusion():
    features = {name: keras.Input((8,), name=name) for name in ("first", "second")}
    parts = {name: heads.RegressionHead() for name in features}
    return heads.attach(keras.Model(features, features), heads.LateFusionHead(parts))


def sequence():
    ids = keras.Input((12,), dtype="int32", name="ids")
    return heads.attach(keras.Model(ids, ids), heads.SequentialHead(200, 16, negatives=5))


# Heads of images on MobileNetV2 0.35; the others on what they take.
HEADS = {
    "ClassificationHead": lambda: on_images(heads.ClassificationHead(CLASSES)),
    "RegressionHead": lambda: on_images(heads.RegressionHead(2)),
    "MarginHead": lambda: on_images(heads.MarginHead(CLASSES, 64)),
    "MultiTaskHead": lambda: heads.attach(backbones.mlp(COLUMNS), tasks()),
    "LateFusionHead": fusion,
    "RetrievalHead": BACKBONES["two_towers"],
    "RankingHead": BACKBONES["column_tokens"],
    "SequentialHead": sequence,
    "UNetHead": lambda: on_images(heads.UNetHead(CLASSES)),
    "DeepLabHead": lambda: on_images(heads.DeepLabHead(CLASSES)),
    "LRASPPHead": lambda: on_images(heads.LRASPPHead(CLASSES)),
    "PyramidSegmentationHead": lambda: on_images(heads.PyramidSegmentationHead(CLASSES)),
    "SegFormerHead": lambda: on_images(heads.SegFormerHead(CLASSES)),
    "DetectionHead": lambda: on_images(
        heads.DetectionHead(CLASSES, levels=LEVELS, filters=32, depth=1)
    ),
    "SSDHead": lambda: on_images(heads.SSDHead(CLASSES, levels=LEVELS, filters=32, depth=1)),
    "RCNNHead": lambda: on_images(heads.RCNNHead(CLASSES, levels=LEVELS, filters=32)),
}
ROWS = BACKBONES | HEADS
# What `heads.deploy` is given: an untrained detector is sure of nothing.
OPTIONS = dict.fromkeys(("DetectionHead", "SSDHead", "RCNNHead"), {"score": 1e-3})
