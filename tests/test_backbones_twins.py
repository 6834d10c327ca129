"""Every network with a twin in keras.applications, with the twin's weights read from a file."""

import keras
import pytest

from benchmarks.networks import NETWORKS
from benchmarks.networks.network import compare
from tests.slow import some_slow

TWINS = [network for network in NETWORKS if network.twin and network.test_side]


HEAVY = {
    "DenseNet-121",
    "Inception-v3",
    "EfficientNet-B0",
    "EfficientNetV2-B0",
    "ResNet-50V2",
    "MobileNetV2 0.35",
    "MobileNetV3-Small minimalistic",
}


@pytest.mark.parametrize(
    "network",
    some_slow(TWINS, *(x for x in TWINS if x.name in HEAVY), name=lambda network: network.name),
)
def test_equals_the_network_of_keras_applications(network, tmp_path):
    """Every level, parameters, multiply-adds; pixels as published go into both."""
    ours, theirs, differences = compare(network, network.test_side, tmp_path)
    assert ours == theirs
    assert max(differences.values()) <= 1e-4, differences
    keras.backend.clear_session()
