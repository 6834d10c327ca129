"""Which channels of a network can only be cut together, read from its flat graph."""

import math
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import layers

from blocks.depthwise3d import DepthwiseConv3D
from blocks.graph import nodes_between, path_of
from tuning.channel_trials import activation_is_alone, trial

DENSE = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D, DepthwiseConv3D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
MAKERS = (*DENSE, *TRANSPOSED, *SEPARABLE)
OURS = ("keras.", "blocks.")  # a class from elsewhere may compute something else


@dataclass
class Channels:
    """Every channel of every tensor as a label; labels of one root are cut together.

    Attributes:
        labels: Array of labels by id of a tensor of the flat graph.
        slices: By id of a weight, what its axes stand for: a dict of arrays of labels by axis.
        makers: `(layer, weight, axis)` of each layer that makes new channels: they lie along that
            axis of its weight.
        norms: Each batch normalization, and the labels that it scales.
        outputs: Labels of what a layer makes, by its id, where its configuration counts them.
        reasons: Why a label stays, by label.
        trials: What was found by trying operations.
    """

    labels: dict = field(default_factory=dict)
    slices: dict = field(default_factory=dict)
    makers: list = field(default_factory=list)
    norms: list = field(default_factory=list)
    outputs: dict = field(default_factory=dict)
    reasons: dict = field(default_factory=dict)
    parents: list = field(default_factory=list)
    trials: dict = field(default_factory=dict)

    def new(self, count):
        first = len(self.parents)
        self.parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, label):
        while self.parents[label] != label:
            self.parents[label] = label = self.parents[self.parents[label]]
        return label

    def join(self, *several):
        """Let the labels at each place of several arrays be cut together."""
        first, *others = several
        for other in others:
            for a, b in zip(first.tolist(), other.tolist(), strict=True):
                self.parents[self.root(b)] = self.root(a)

    def keep(self, labels, reason):
        for label in labels.tolist():
            self.reasons.setdefault(label, reason)

    def slice(self, weight, axes):
        """Say what the axes of a weight stand for, and join it with what was said before."""
        known = self.slices.setdefault(id(weight), axes)
        for axis, labels in axes.items():
            self.join(known[axis], labels)

    def roots(self):
        """Return the root of every label, and the reason why by root that stays."""
        found = np.array([self.root(i) for i in range(len(self.parents))], int)
        return found, {found[label]: reason for label, reason in reversed(self.reasons.items())}


def read(flat, originals, within, stays):
    """Return the `Channels` of a flat graph.

    Args:
        flat: The flat copy of a model.
        originals: Layers of the model by the id of their copies.
        within: Ids of layers that keep the channels they make, though not those they read.
        stays: Ids of layers that keep what they read, too.
    """
    channels = Channels()
    for x in flat.inputs:
        channels.labels[id(x)] = new = channels.new(_count(x))
        channels.keep(new, "an input")
    for node in nodes_between(flat.outputs, channels.labels):
        operation = originals.get(id(node.operation), node.operation)
        given = [channels.labels[id(x)] for x in node.input_tensors]
        made = None
        if id(operation) not in stays:
            made = _known(channels, operation, node, given)
        if made is None:
            reason = f"{path_of(operation)} ({type(operation).__name__})"
            for labels in given:
                channels.keep(labels, reason)
            made = [channels.new(_count(x)) for x in node.outputs]
            for labels in made:
                channels.keep(labels, reason)
        if id(operation) in within and isinstance(operation, MAKERS):
            channels.keep(made[0], "part of a head")
        channels.labels.update((id(x), labels) for x, labels in zip(node.outputs, made))
    for x in flat.outputs:
        channels.keep(channels.labels[id(x)], "an output")
    return channels


def _known(channels, operation, node, given):
    """Return the labels of each output where the operation is understood, or `None`."""
    ours = type(operation).__module__.startswith(OURS)
    first = getattr(operation, "data_format", None) == "channels_first"
    if not ours or first or len(node.outputs) != 1:
        return _by_trial(channels, operation, node, given)
    if isinstance(operation, (*MAKERS, *DEPTHWISE)):
        make = _depthwise if isinstance(operation, DEPTHWISE) else _maker
        made = make(channels, operation, given[0])
        if not activation_is_alone(operation):
            channels.keep(made, f"{path_of(operation)} ({type(operation).__name__})")
        return [made]
    shape, before = node.outputs[0].shape, node.input_tensors[0].shape
    kind = type(operation).__name__
    if kind == "Concatenate" and operation.axis in (-1, len(shape) - 1):
        return [np.concatenate(given)]
    if kind == "Flatten" and None not in before[1:]:
        return [np.tile(given[0], math.prod(before[1:-1]))]
    if isinstance(operation, layers.Reshape) and operation.target_shape[-1] == before[-1]:
        # In rows, so the last axis stays the last.
        channels.join(channels.outputs.setdefault(id(operation), given[0]), given[0])
        return [given[0]]
    return _by_trial(channels, operation, node, given)


def _maker(channels, layer, given):
    filters = layer.units if isinstance(layer, layers.Dense) else layer.filters
    if id(layer) not in channels.outputs:
        channels.outputs[id(layer)] = channels.new(filters)
    made = channels.outputs[id(layer)]
    kernel, axes = layer.weights[0], {-2: given, -1: made}
    groups = getattr(layer, "groups", 1)
    if isinstance(layer, TRANSPOSED):
        axes = {-2: made, -1: given}
    elif isinstance(layer, SEPARABLE):
        channels.slice(kernel, {-2: given})
        kernel = layer.weights[1]
        axes = {-2: np.repeat(given, layer.depth_multiplier), -1: made}
    elif groups > 1:  # whole groups are cut
        ids = [*given.reshape(groups, -1).T, *made.reshape(groups, -1).T]
        channels.join(*ids)
        axes = {-1: made}
    channels.slice(kernel, axes)
    if layer.use_bias:
        channels.slice(layer.weights[-1], {-1: made})
    axis = -2 if isinstance(layer, TRANSPOSED) else -1
    if all(layer is not each for each, _, _ in channels.makers):
        channels.makers.append((layer, kernel, axis))
    return made


def _depthwise(channels, layer, given):
    made = np.repeat(given, layer.depth_multiplier)
    channels.slice(layer.weights[0], {-2: given})
    if layer.use_bias:
        channels.slice(layer.weights[1], {-1: made})
    return made


def _by_trial(channels, operation, node, given):
    """Return the labels of the output where narrower inputs give a narrower output."""
    found = trial(operation, node, channels.trials)
    if found is None:
        return None
    width, narrowed, kept = found
    for i in kept:
        channels.keep(given[i], f"{path_of(operation)} ({type(operation).__name__})")
    channels.join(*(given[i] for i in narrowed))
    made = given[narrowed[0]]
    if isinstance(operation, keras.Layer):
        for weight in operation.weights:
            if len(weight.shape) and weight.shape[-1] == width:
                channels.slice(weight, {-1: made})
    if isinstance(operation, layers.BatchNormalization) and operation.scale:
        channels.norms.append((operation, made))
    return [made]


def _count(x):
    """Return the channels of a tensor: one where it has none, or they are open."""
    return (x.shape[-1] or 1) if len(x.shape) > 1 else 1
