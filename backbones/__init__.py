"""Backbones: networks made of blocks, and any network as a feature pyramid."""

from backbones.alexnet import alexnet
from backbones.convnext import convnext
from backbones.densenet import densenet
from backbones.efficientnet import efficientnet
from backbones.efficientnet_v2 import efficientnet_v2
from backbones.ft_transformer import ft_transformer
from backbones.inception import inception
from backbones.lenet import lenet
from backbones.mlp import mlp
from backbones.mobilefacenet import mobilefacenet
from backbones.mobilenet import mobilenet
from backbones.mobilenet_v2 import mobilenet_v2
from backbones.mobilenet_v3 import mobilenet_v3
from backbones.mobilenet_v4 import mobilenet_v4
from backbones.pyramid import pyramid
from backbones.resnet import resnet
from backbones.resnet_v2 import resnet_v2
from backbones.tabnet import tabnet
from backbones.tokens import column_tokens
from backbones.two_towers import two_towers
from backbones.vgg import vgg
from backbones.vit import vit

__all__ = [
    "alexnet",
    "column_tokens",
    "convnext",
    "densenet",
    "efficientnet",
    "efficientnet_v2",
    "ft_transformer",
    "inception",
    "lenet",
    "mlp",
    "mobilefacenet",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3",
    "mobilenet_v4",
    "pyramid",
    "resnet",
    "resnet_v2",
    "tabnet",
    "two_towers",
    "vgg",
    "vit",
]
