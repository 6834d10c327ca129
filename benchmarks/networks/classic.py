"""Networks of the years before mobile ones."""

from backbones import alexnet, densenet, inception, lenet, resnet, resnet_v2, vgg
from benchmarks.networks.network import Network

NETWORKS = [
    Network(
        "LeNet-5", lenet, side=32, channels=1, classes=10, paper_params=61_706, paper_macs=416_520
    ),
    # Both numbers are sums over the paper's table of layers, with its two groups.
    Network("AlexNet", alexnet, side=227, paper_params=60_965_224, paper_macs=724_406_816),
    Network("VGG-16", vgg, {"depth": 16}, "VGG16", test_side=64),
    Network("VGG-19", vgg, {"depth": 19}, "VGG19"),
    Network(
        "Inception-v3",
        inception,
        twin="InceptionV3",
        side=299,
        test_side=139,
        paper_params=23_817_352,
        paper_macs=5.72e9,
    ),
    # Of small networks the papers' numbers leave out biases and statistics in different ways:
    # MLPerf Tiny counts every variable, He et al. round.
    Network(
        "ResNet-8",
        resnet,
        {"depth": 8},
        side=32,
        classes=10,
        paper_params=78_666,
        paper_macs=12.5e6,
        trained=False,
    ),
    Network(
        "ResNet-20",
        resnet,
        {"depth": 20},
        side=32,
        classes=10,
        paper_params=0.27e6,
        paper_macs=40.6e6,
    ),
    Network(
        "ResNet-56",
        resnet,
        {"depth": 56},
        side=32,
        classes=10,
        paper_params=0.85e6,
        paper_macs=125.5e6,
    ),
    Network("ResNet-18", resnet, {"depth": 18}, paper_params=11_689_512, paper_macs=1.8e9),
    Network("ResNet-34", resnet, {"depth": 34}, paper_params=21_797_672, paper_macs=3.6e9),
    Network("ResNet-50", resnet, {"depth": 50}, "ResNet50", test_side=75, paper_macs=3.8e9),
    Network("ResNet-101", resnet, {"depth": 101}, "ResNet101", paper_macs=7.6e9),
    Network("ResNet-152", resnet, {"depth": 152}, "ResNet152", paper_macs=11.3e9),
    Network("ResNet-50 v2", resnet_v2, {"depth": 50}, "ResNet50V2", test_side=75),
    Network("ResNet-101 v2", resnet_v2, {"depth": 101}, "ResNet101V2"),
    Network("ResNet-152 v2", resnet_v2, {"depth": 152}, "ResNet152V2"),
    Network(
        "DenseNet-121",
        densenet,
        {"depth": 121},
        "DenseNet121",
        test_side=75,
        paper_params=7_978_856,
        paper_macs=2.87e9,
    ),
    Network("DenseNet-161", densenet, {"depth": 161}, paper_params=28_681_000),
    Network("DenseNet-169", densenet, {"depth": 169}, "DenseNet169", paper_params=14_149_480),
    Network("DenseNet-201", densenet, {"depth": 201}, "DenseNet201", paper_params=20_013_928),
]
