"""A network rebuilt with some of its channels."""

import keras
import numpy as np
from keras import layers, ops, tree

from blocks.copies import copied, hand_on
from blocks.graph import nodes_between

TOLERANCE = 1e-3  # of the largest output, of what is only rounded otherwise
OPEN = 64  # stands in for sides of an input that are not known


def narrowed(half, channels, alive):
    """Return a copy of a graph without the channels whose label is not alive.

    Args:
        half: A functional model, whose layers are leaves or heads.
        channels: Its `Channels`.
        alive: Whether a label stays, by label.

    Raises:
        WrongWidth: If a layer made anew has other weights than those that are left.
    """
    inputs = [
        keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x._keras_history.operation.name)
        for x in half.inputs
    ]
    copies = {id(old): new for old, new in zip(half.inputs, inputs)}
    made = {}
    for node in nodes_between(half.outputs, copies):
        old = node.operation
        if id(old) not in made:
            made[id(old)] = old, _copy(old, channels, alive)
        args, kwargs = node.arguments.fill_in(copies)
        try:
            results = made[id(old)][1](*args, **kwargs)
        except ValueError as error:  # a head of this width cannot be
            raise WrongWidth(old.name) from error
        copies.update((id(x), y) for x, y in zip(node.outputs, tree.flatten(results)))
    for old, new in made.values():
        if _is_cut(old, channels):
            weights = [part(w, channels, alive) for w in old.weights]
            if [x.shape for x in weights] != [tuple(w.shape) for w in new.weights]:
                raise WrongWidth(old.name)
            new.set_weights(weights)
        else:
            hand_on(old, new)
    outputs = tree.map_structure(lambda x: copies[id(x)], half._outputs_struct)
    inputs = tree.pack_sequence_as(half._inputs_struct, inputs)
    return keras.Model(inputs, outputs, name=half.name)


def part(weight, channels, alive, fill=False):
    """Return what is left of a weight, or with `fill` all of it with zeros for what is not."""
    value = np.array(weight)
    for axis, labels in channels.slices.get(id(weight), {}).items():
        stays = alive[labels]
        if fill:
            shape = [1] * value.ndim
            shape[axis] = -1
            value = value * stays.reshape(shape)
        else:
            value = np.compress(stays, value, axis)
    return value


def check(half, model, channels, alive):
    """Raise where a narrower model computes something else than the whole one without channels.

    Raises:
        WrongWidth: If it does. The weights of `half` are what they were.
    """
    before = half.get_weights()
    given = random_inputs(half)
    try:
        half.set_weights([part(w, channels, alive, fill=True) for w in half.weights])
        expected = tree.flatten(half(given, training=False))
    finally:
        half.set_weights(before)
    for a, b in zip(expected, tree.flatten(model(given, training=False))):
        a, b = (np.asarray(ops.convert_to_numpy(x), "float64") for x in (a, b))
        # Of NaN nothing is known, so that it is no proof.
        if a.shape != b.shape or not np.abs(a - b).max() <= TOLERANCE * max(1e-6, np.abs(a).max()):
            raise WrongWidth(model.name)


class WrongWidth(Exception):
    """Something does not follow where what it reads gets narrower."""


def _copy(old, channels, alive):
    if not isinstance(old, keras.Layer) or isinstance(old, layers.Lambda):
        return copied(old, old.name)
    if old.weights and not _is_cut(old, channels):
        return copied(old, old.name)
    config = {**old.get_config(), "name": old.name}
    if id(old) in channels.outputs:
        labels = channels.outputs[id(old)]
        count = int(alive[labels].sum())
        if "target_shape" in config:
            config["target_shape"] = (*config["target_shape"][:-1], count)
        else:
            config["units" if "units" in config else "filters"] = count
        if config.get("groups", 1) > 1:
            config["groups"] = config["groups"] * count // len(labels)
    return type(old).from_config(config)


def _is_cut(layer, channels):
    return any(id(w) in channels.slices for w in getattr(layer, "weights", ()))


def random_inputs(graph):
    """Return a sample of what a graph takes, numbers from 0 to 1, and ids of 0."""
    rng = np.random.default_rng(0)

    def sample(x):
        shape = [1 if i == 0 else size or OPEN for i, size in enumerate(x.shape)]
        values = rng.uniform(size=shape) if "float" in x.dtype else np.zeros(shape)
        return ops.convert_to_tensor(values, x.dtype)

    return tree.pack_sequence_as(graph._inputs_struct, [sample(x) for x in graph.inputs])
