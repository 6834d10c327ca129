"""Backbones: networks made of blocks, and any network as a feature pyramid."""

from backbones.mobilenet_v2 import mobilenet_v2
from backbones.pyramid import pyramid
from backbones.resnet import resnet

__all__ = ["mobilenet_v2", "pyramid", "resnet"]
