"""Networks of the years before mobile ones."""

import functools

from backbones import alexnet, densenet, inception, lenet, resnet, resnet_v2, vgg
from benchmarks.networks.network import Network

# Depth: blocks as PyTorch's networks have them, trained parameters; multiply-adds of the paper.
VGG = {11: 132_863_336, 13: 133_047_848, 16: 138_357_544, 19: 143_667_240}
DENSENET = {121: (7_978_856, 2.83e9), 169: (14_149_480, 3.36e9), 201: (20_013_928, 4.29e9)}
# The paper rounds to 0.27 M … 1.7 M parameters. These follow from its section 4.2, and are what
# its reimplementations count, with 10 classes.
CIFAR = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}

small = functools.partial(Network, make=resnet, side=32, classes=10)

NETWORKS = [
    # The paper has 60,000 parameters and 340,908 connections: its C3 does not read all maps.
    Network("LeNet-5", lenet, side=32, channels=1, classes=10, paper_params=61_706),
    # The multiply-adds of the convolutions alone are 0.67e9.
    Network("AlexNet", alexnet, paper_params=60_965_224, paper_macs=0.72e9),
    *(
        Network(
            f"VGG-{depth}",
            vgg,
            {"depth": depth},
            f"VGG{depth}" if depth > 13 else None,
            test_side=32 if depth == 16 else None,
        )
        for depth in VGG
    ),
    *(
        Network(
            f"VGG-{depth} with its dense layers",
            vgg,
            {"depth": depth, "dense_layers": True},
            paper_params=params,
            paper_macs={11: 7.6e9, 13: 11.3e9, 16: 15.5e9, 19: 19.6e9}[depth],
        )
        for depth, params in VGG.items()
    ),
    Network(
        "Inception-v3",
        inception,
        twin="InceptionV3",
        side=299,
        test_side=75,
        paper_params=23_817_352,
        paper_macs=5.7e9,
    ),
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
    *(
        Network(
            f"ResNet-{depth}V2",
            resnet_v2,
            {"depth": depth},
            f"ResNet{depth}V2",
            test_side=64 if depth == 50 else None,
        )
        for depth in (50, 101, 152)
    ),
    *(
        Network(
            f"DenseNet-{depth}",
            densenet,
            {"depth": depth},
            f"DenseNet{depth}",
            test_side=32 if depth == 121 else None,
            paper_params=params,
            paper_macs=macs,
        )
        for depth, (params, macs) in DENSENET.items()
    ),
    # MLPerf Tiny counts all parameters and convolutions and the dense layer.
    small("ResNet-8", args={"depth": 8}, paper_params=78_666, paper_macs=12.5e6, trained=False),
    *(
        small(
            f"ResNet-{depth} for small images",
            args={"depth": depth},
            paper_params=params,
            paper_macs={20: 40.8e6, 56: 127e6}.get(depth),
        )
        for depth, params in CIFAR.items()
    ),
]
