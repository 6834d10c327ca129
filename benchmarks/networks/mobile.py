"""Networks for phones, and those that came of them."""

from backbones import mobilenet, mobilenet_v2, mobilenet_v3, mobilenet_v4
from benchmarks.networks.network import Network


def hidden(filters, **kwargs):
    return {"filters": filters, **kwargs}


HARD = {"norm": "none", "activation": "hard_swish"}

NETWORKS = [
    Network(
        "MobileNet",
        mobilenet,
        twin="MobileNet",
        paper_params=4_231_976,
        paper_macs=569e6,
    ),
    Network(
        "MobileNet 0.25",
        mobilenet,
        {"alpha": 0.25},
        "MobileNet",
        {"alpha": 0.25},
        test_side=75,
        paper_params=0.5e6,
        paper_macs=41e6,
    ),
    Network(
        "MobileNetV2",
        mobilenet_v2,
        twin="MobileNetV2",
        paper_params=3_504_872,
        paper_macs=300e6,
    ),
    Network(
        "MobileNetV2 0.35",
        mobilenet_v2,
        {"alpha": 0.35},
        "MobileNetV2",
        {"alpha": 0.35},
        test_side=75,
        paper_macs=59e6,
    ),
    Network(
        "MobileNetV3-Large",
        mobilenet_v3,
        twin="MobileNetV3Large",
        paper_params=5_483_032,
        paper_macs=217e6,
        preprocesses=True,
        hidden=hidden(1280, **HARD),
    ),
    Network(
        "MobileNetV3-Large 0.75",
        mobilenet_v3,
        {"alpha": 0.75},
        "MobileNetV3Large",
        {"alpha": 0.75},
        paper_params=4.0e6,
        paper_macs=155e6,
        preprocesses=True,
        hidden=hidden(1280, **HARD),
    ),
    Network(
        "MobileNetV3-Large minimalistic",
        mobilenet_v3,
        {"minimalistic": True},
        "MobileNetV3Large",
        {"minimalistic": True},
        paper_params=3.9e6,
        paper_macs=209e6,
        preprocesses=True,
        hidden=hidden(1280, norm="none"),
    ),
    Network(
        "MobileNetV3-Small",
        mobilenet_v3,
        {"size": "small"},
        "MobileNetV3Small",
        test_side=75,
        paper_params=2_542_856,
        paper_macs=56e6,
        preprocesses=True,
        hidden=hidden(1024, **HARD),
    ),
    Network(
        "MobileNetV3-Small minimalistic",
        mobilenet_v3,
        {"size": "small", "minimalistic": True},
        "MobileNetV3Small",
        {"minimalistic": True},
        test_side=32,
        paper_params=2.0e6,
        preprocesses=True,
        hidden=hidden(1024, norm="none"),
    ),
    # Figures of timm's networks of these names, which it read off the authors' code; the paper
    # has 3.8 M and 0.2 G, 9.2 M and 1.0 G (at 256), 31 M and 5.9 G (at 384).
    Network(
        "MobileNetV4-Conv-Small",
        mobilenet_v4,
        paper_params=3.77e6,
        paper_macs=0.19e9,
        hidden=hidden(1280),
    ),
    Network(
        "MobileNetV4-Conv-Medium",
        mobilenet_v4,
        {"size": "conv_medium"},
        side=256,
        paper_params=9.72e6,
        paper_macs=1.1e9,
        hidden=hidden(1280),
    ),
    Network(
        "MobileNetV4-Conv-Large",
        mobilenet_v4,
        {"size": "conv_large"},
        side=384,
        paper_params=32.59e6,
        paper_macs=6.4e9,
        hidden=hidden(1280),
    ),
]
