"""Backbones: networks made of blocks, and any network as a feature pyramid."""

from backbones.alexnet import alexnet
from backbones.convnext import convnext
from backbones.densenet import densenet
from backbones.efficientnet import efficientnet
from backbones.efficientnet_v2 import efficientnet_v2
from backbones.inception import inception
from backbones.lenet import lenet
from backbones.mobilenet import mobilenet
from backbones.mobilenet_v2 import mobilenet_v2
from backbones.mobilenet_v3 import mobilenet_v3
from backbones.mobilenet_v4 import mobilenet_v4
from backbones.pyramid import pyramid
from backbones.resnet import resnet
from backbones.resnet_v2 import resnet_v2
from backbones.vgg import vgg

__all__ = [
    "alexnet",
    "convnext",
    "densenet",
    "efficientnet",
    "efficientnet_v2",
    "inception",
    "lenet",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3",
    "mobilenet_v4",
    "pyramid",
    "resnet",
    "resnet_v2",
    "vgg",
]
