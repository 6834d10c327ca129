"""Networks for phones, and those that came of them."""

from backbones import (
    convnext,
    efficientnet,
    efficientnet_v2,
    mobilenet,
    mobilenet_v2,
    mobilenet_v3,
    mobilenet_v4,
)
from benchmarks.networks.network import Network
