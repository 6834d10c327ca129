"""Networks for phones, and those that came of them."""

from backbones import mobilenet_v2
from benchmarks.networks.network import Network

NETWORKS = [
    Network(
        "MobileNetV2",
        mobilenet_v2,
        twin="MobileNetV2",
        test_side=64,
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
]
