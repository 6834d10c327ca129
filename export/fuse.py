"""Models as they run: every layer that offers `fuse()` replaced by what it returns."""

import keras

from blocks import flatten
from blocks.graph import offers_fuse, scoped
from export import signature


def fused(model):
    """Return `model`, or where a layer of it offers `fuse()` a flat, fused copy.

    The copy has the inputs of `model`, and its outputs by their names.
    """
    if not any(map(offers_fuse, model._flatten_layers(include_self=False))):
        return model
    return named_as(model, flatten(model, fuse=True))


def named_as(model, flat):
    """Return a flat copy of `model` whose outputs have the names of those of `model`."""
    outputs = dict(zip(signature.output_names(model), flat.outputs))
    return keras.Model(flat._inputs_struct, outputs, name=scoped(model.name))
