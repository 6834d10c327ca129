"""Quantization-aware training: a model that learns under the rounding of its int8 file."""

import keras
from keras import ops, tree

from blocks import flatten
from export import samples as data
from export import signature
from export.aware_layers import FakeQuant
from export.float32 import rebuilt
from export.rounder import Rounder

BATCH = 32


def quantize_aware(model, calibration, *, weight_bits=8, input_shape=None):
    """Return a copy of a model that computes as its int8 file will, to be trained on with `fit`.

    Batch normalization is folded into the convolution or dense layer before it, weights are
    rounded, of convolutions to a range a channel, and what flows to a range each, as in a file of 8
    bits.
    The ranges begin at those of `calibration` and follow the training. Train it for a few epochs
    with a hundredth to a tenth of the learning rate; `to_tflite(…, "int8")` then makes a file that
    needs no calibration and answers as the trained copy does.

    Layers of other kinds compute in floats, in the file, too: normalization but that in the layer
    before it, the products of attention, recurrent layers, convolutions of volumes. In 8 bits
    normalization and attention would take up to ten times as long and answer worse.

    Args:
        model: A trained functional or `Sequential` `keras.Model`, whatever it is made of; or a list
            of what trains and of what answers, `[model, heads.deploy(model)]`, on shared layers.
            What only the others have stays in floats, as training does not reach it.
        calibration: Typical samples, as for `to_tflite`.
        weight_bits: Bits of the weights, 8 or 4.
        input_shape: Sizes of open axes, as in `to_tflite`.

    Returns:
        A `keras.Model` with the inputs, outputs and name of `model`, not compiled; of a list, one
        each, which share their layers.

    Raises:
        ValueError: If an argument is wrong.

    Reference: [Jacob et al., 2018](https://arxiv.org/abs/1712.05877)

    >>> image = keras.Input((8, 8, 1))
    >>> x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(image)
    >>> x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    >>> model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    >>> aware = quantize_aware(model, keras.random.uniform((16, 8, 8, 1), seed=0))
    >>> type(aware.get_layer("conv")).__name__
    'QuantizedConv2D'
    """
    if weight_bits not in (8, 4):
        raise ValueError(f"`weight_bits` must be 8 or 4. Received: weight_bits={weight_bits!r}.")
    several = isinstance(model, (list, tuple))
    models = list(model) if several else [model]
    for each in models:
        signature.graph_of(each)
        if signature.knows_ranges(each):
            raise ValueError(f"A model is made aware once: train it. Received: {each.name!r}.")
    tensors = signature.inputs_of(models[0], input_shape)
    known = data.take(calibration, tensors)
    whole = _together(models)
    flat = flatten(rebuilt(whole), fuse=True)
    trained = len(signature.graph_of(models[0]).outputs)
    rewriter = Rounder(flat, weight_bits, flat.outputs[:trained])
    outputs = tree.flatten(rewriter.outputs())
    made, first = [], 0
    for each in models:
        graph = signature.graph_of(each)
        some = outputs[first : first + len(graph.outputs)]
        first += len(some)
        inputs = rewriter.inputs_struct
        made.append(
            keras.Model(inputs, tree.pack_sequence_as(graph._outputs_struct, some), name=each.name)
        )
    _observe(keras.Model(rewriter.inputs_struct, outputs), known)
    return made if several else made[0]


def _together(models):
    """Return a model of all outputs of several models that have the same inputs."""
    if len(models) == 1:
        return models[0]
    graphs = [signature.graph_of(each) for each in models]
    if any([id(x) for x in graph.inputs] != [id(x) for x in graphs[0].inputs] for graph in graphs):
        raise ValueError(
            "Several models are made aware together that share their inputs and layers, as a "
            f"model and what heads.deploy makes of it. Received: {[x.name for x in models]}."
        )
    outputs = [x for graph in graphs for x in graph.outputs]
    return keras.Model(graphs[0]._inputs_struct, outputs, name=models[0].name)


def _observe(model, samples):
    """Set the ranges of a model to what passes for these samples."""
    ranges = [x for x in model._flatten_layers() if isinstance(x, FakeQuant)]
    graph = signature.graph_of(model)
    count = len(next(iter(samples.values())))
    for each in ranges:
        each.observing = True
    try:
        for start in range(0, count, BATCH):
            batch = [ops.convert_to_tensor(x[start : start + BATCH]) for x in samples.values()]
            model(tree.pack_sequence_as(graph._inputs_struct, batch), training=False)
    finally:
        for each in ranges:
            each.observing = False
