"""The detectors, all on one mobile backbone."""

import backbones
import heads

SHAPE = (192, 256, 3)
COMMON = {"filters": 64, "separable": True, "activation": "relu6"}
HEADS = {
    "anchor-free": lambda n: heads.DetectionHead(n, **COMMON),
    "anchor-free, no NMS": lambda n: heads.DetectionHead(n, nms_free=True, **COMMON),
    "SSD": lambda n: heads.SSDHead(n, anchor_size=3.0, **COMMON),
    "RCNN": lambda n: heads.RCNNHead(n, filters=64, anchor_size=3.0, octaves=2, pool=5),
}


def detector(name, classes):
    """Return an untrained detector."""
    backbone = backbones.mobilenet_v4(SHAPE, size="conv_small", include_preprocessing=True)
    return heads.attach(backbone, HEADS[name](classes))


def network_of(answer):
    """Return a deployed detector without its decoder: what a phone computes before boxes."""
    import keras

    from heads.detection.decode import BoxDecoder

    (decoder,) = [x for x in answer.layers if isinstance(x, BoxDecoder)]
    parts = decoder._inbound_nodes[0].arguments.args[0]
    return keras.Model(answer.input, {key: parts[key] for key in ("boxes", "logits")})
