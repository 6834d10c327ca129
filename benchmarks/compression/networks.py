"""The ways to a network of a part of the multiply-adds."""

import keras

import export
import tuning
from benchmarks.cifar10.networks import resnet9


def pruned(teacher, share):
    """Return the trained network without its least channels."""
    return tuning.prune(teacher, share)


def fresh(teacher, share):
    """Return the same narrow network with new weights."""
    model = pruned(teacher, share)
    return type(model).from_config(model.get_config())


def uniform(teacher, share):
    """Return the widest network, narrower by one factor everywhere, that costs no more."""
    most = share * export.measure(teacher).macs
    width = 1
    while export.measure(resnet9(width + 1)).macs <= most:
        width += 1
    keras.utils.set_random_seed(0)
    return resnet9(width)


# By name: how it is made, whether its weights are trained already, and whether it has a teacher.
WAYS = {
    "pruned": (pruned, True, False),
    "pruned, taught": (pruned, True, True),
    "same, from scratch": (fresh, False, False),
    "uniform, from scratch, taught": (uniform, False, True),
}
