"""The towers of a detector: distances and logits at every position."""

import math

from keras import initializers, layers, ops

from blocks import ConvNormAct, DepthwiseSeparableConv
from blocks.base import Block, register
from blocks.pyramid import maps_of

PRIOR = 0.01  # probability that an untrained head gives every class, as RetinaNet's


@register
class Tower(Block):
    """Convolutions, then predictions at every position, in float32.

    Shape: `(batch, height, width, channels)` to `(batch, height * width * each, size)`.

    Args:
        size: Numbers in a prediction.
        filters: Channels of the convolutions.
        depth: Number of convolutions before the prediction.
        bias: First bias of the prediction.
        each: Predictions at a position.
        separable: Whether the convolutions are depthwise-separable.
        norm: Normalization of the convolutions.
        activation: Activation of the convolutions.

    >>> Tower(4, 8, 2, bias=0.0)(np.ones((1, 3, 5, 8))).shape
    (1, 15, 4)
    """

    def __init__(
        self,
        size,
        filters,
        depth,
        *,
        bias,
        each=1,
        separable=False,
        norm="batch",
        activation="silu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        conv = DepthwiseSeparableConv if separable else ConvNormAct
        common = {"norm": norm, "activation": activation, "dtype": self.dtype_policy}
        self.convs = [conv(filters, 3, name=f"conv{i}", **common) for i in range(depth)]
        self.predict = layers.Conv2D(
            size * each,
            1,
            bias_initializer=initializers.Constant(bias),
            dtype="float32",
            name="predict",
        )
        self.flatten = layers.Reshape((-1, size), dtype="float32", name="flatten")

    def call(self, x):
        for conv in self.convs:
            x = conv(x)
        return self.flatten(self.predict(x))


@register
class Branch(Block):
    """Distances and logits at every position of every level, by towers of each level's own.

    Shape: a list or dict of `(batch, height_i, width_i, channels)` to a dict of `"boxes"`,
    `(batch, points, 4 * bins)`, and `"logits"`, `(batch, points, num_classes)`. There are `each`
    points at a position.

    Args:
        num_classes: Number of classes.
        bins: Logits of a distance.
        filters: Channels of the towers.
        depth: Convolutions in a tower.
        levels: Number of maps.
        each: Predictions at a position.
        bias: First bias of the boxes.
        **kwargs: `separable`, `norm` and `activation` of the towers, and those of every layer.

    >>> maps = [np.ones((1, 4, 4, 8)), np.ones((1, 2, 2, 8))]
    >>> {key: x.shape for key, x in Branch(3, 16, 8, 1, 2)(maps).items()}
    {'boxes': (1, 20, 64), 'logits': (1, 20, 3)}
    """

    def __init__(
        self,
        num_classes,
        bins,
        filters,
        depth,
        levels,
        *,
        each=1,
        bias=1.0,
        separable=False,
        norm="batch",
        activation="silu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        common = {"separable": separable, "norm": norm, "activation": activation, "each": each}
        common["dtype"] = self.dtype_policy

        def towers(size, bias, name):
            return [
                Tower(size, filters, depth, bias=bias, name=f"{name}{i}", **common)
                for i in range(levels)
            ]

        self.boxes = towers(4 * bins, bias, "boxes")
        self.logits = towers(num_classes, math.log(PRIOR / (1 - PRIOR)), "logits")

    def call(self, features):
        maps = maps_of(features)
        return {
            "boxes": ops.concatenate([f(x) for f, x in zip(self.boxes, maps)], axis=1),
            "logits": ops.concatenate([f(x) for f, x in zip(self.logits, maps)], axis=1),
        }
