"""Networks of the years before mobile ones."""

from backbones import resnet
from benchmarks.networks.network import Network

NETWORKS = [
    Network(
        "ResNet-18",
        resnet,
        {"depth": 18},
        paper_params=11_689_512,
        paper_macs=1.8e9,
    ),
    Network(
        "ResNet-34",
        resnet,
        {"depth": 34},
        paper_params=21_797_672,
        paper_macs=3.6e9,
    ),
    Network("ResNet-50", resnet, {"depth": 50}, "ResNet50", test_side=75, paper_macs=3.8e9),
    Network("ResNet-101", resnet, {"depth": 101}, "ResNet101", paper_macs=7.6e9),
    Network("ResNet-152", resnet, {"depth": 152}, "ResNet152", paper_macs=11.3e9),
]
