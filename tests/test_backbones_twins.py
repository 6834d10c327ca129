"""Every network with a twin in keras.applications, with the twin's weights read from a file."""

import keras
import pytest

from benchmarks.networks import NETWORKS
from benchmarks.networks.network import compare

TWINS = [network for network in NETWORKS if network.twin and network.test_side]


@pytest.mark.parametrize("network", TWINS, ids=lambda network: network.name)
def test_equals_the_network_of_keras_applications(network, tmp_path):
    """Every level, parameters, multiply-adds; pixels as published go into both."""
    ours, theirs, differences = compare(network, network.test_side, tmp_path)
    assert ours == theirs
    assert max(differences.values()) <= 1e-4, differences
    keras.backend.clear_session()
