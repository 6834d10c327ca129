"""Backbones: networks made of blocks, and any network as a feature pyramid."""

from backbones.convnext import convnext
from backbones.efficientnet import efficientnet
from backbones.efficientnet_v2 import efficientnet_v2
from backbones.mobilenet import mobilenet
from backbones.mobilenet_v2 import mobilenet_v2
from backbones.mobilenet_v3 import mobilenet_v3
from backbones.mobilenet_v4 import mobilenet_v4
from backbones.pyramid import pyramid
from backbones.resnet import resnet

__all__ = [
    "convnext",
    "efficientnet",
    "efficientnet_v2",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3",
    "mobilenet_v4",
    "pyramid",
    "resnet",
]
