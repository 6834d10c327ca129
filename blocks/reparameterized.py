"""Convolutions that train as several branches and run as one."""

import keras
import numpy as np
from keras import layers

from blocks.base import Block, check_positive, make_activation, make_norm, register
from blocks.conv import CONVS, PADS, ConvNormAct, check_groups, check_window


@register
class RepConv(Block):
    """Add a full convolution, a 1x1 convolution and the input, each batch-normalized.

    What trains as three branches is one convolution: `fuse()` returns it, with the same
    outputs at inference. The input is a branch where the shape stays. All sides are padded
    alike, so that the branches read the same places at any stride.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the full kernel, in positions, an odd number.
        strides: Step between output positions.
        rank: Number of sides: 1, 2 or 3.
        groups: Number of channel groups convolved separately.
        activation: Name of the Keras activation of the sum.

    Raises:
        ValueError: If `kernel_size` is even, or `groups` does not divide the channels.

    Reference: [Ding et al., 2021](https://arxiv.org/abs/2101.03697)

    >>> RepConv(8, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        *,
        rank=2,
        groups=1,
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_window(CONVS, rank, kernel_size, strides, 1)
        check_positive(filters=filters, kernel_size=kernel_size, strides=strides)
        check_groups(groups, filters=filters)
        if kernel_size % 2 == 0:
            raise ValueError(
                "`kernel_size` must be odd: an even kernel has no middle for the other branches. "
                f"Received: kernel_size={kernel_size}."
            )
        policy = self.dtype_policy
        self.form = {"strides": strides, "rank": rank, "groups": groups}
        self.filters, self.kernel_size, self.activation = filters, kernel_size, activation
        common = {**self.form, "activation": None, "dtype": policy}
        self.pad = make_pad(kernel_size, rank, dtype=policy)
        self.full = ConvNormAct(filters, kernel_size, padding="valid", name="full", **common)
        self.point = ConvNormAct(filters, 1, name="point", **common)
        self.act = make_activation(activation, dtype=policy)

    def build(self, input_shape):
        channels = input_shape[-1]
        keeps_shape = self.form["strides"] == 1 and channels == self.filters
        self.same = [make_norm("batch", channels, dtype=self.dtype_policy, name="same")]
        self.same = self.same if keeps_shape else []
        super().build(input_shape)

    def call(self, x):
        y = self.full(self.pad(x)) + self.point(x)
        return self.act(sum((same(x) for same in self.same), y))

    def fuse(self):
        """Return the `PaddedConv` that gives this layer's outputs at inference.

        Raises:
            ValueError: If the layer has no weights yet.
        """
        if not self.built:
            raise ValueError(
                "A layer is fused once it has weights. "
                f"Received: {self.name!r}, not yet built. Call it, or build(input_shape)."
            )
        kernel, bias = _folded(self.full.conv.kernel, self.full.norm)
        point, point_bias = _folded(self.point.conv.kernel, self.point.norm)
        middle = (self.kernel_size // 2,) * self.form["rank"]
        kernel[middle] += point[(0,) * len(middle)]
        bias += point_bias
        for same in self.same:
            inside = self.filters // self.form["groups"]
            one_each = np.tile(np.eye(inside), self.form["groups"])
            one_each, same_bias = _folded(one_each, same)
            kernel[middle] += one_each
            bias += same_bias
        fused = PaddedConv(
            self.filters,
            self.kernel_size,
            activation=self.activation,
            dtype=self.dtype_policy,
            name=self.name,
            **self.form,
        )
        channels = kernel.shape[-2] * self.form["groups"]
        fused.build((None,) * (len(middle) + 1) + (channels,))
        fused.conv.kernel.assign(kernel)
        fused.conv.bias.assign(bias)
        for own, copy in zip(self.act.weights, fused.act.weights):  # the slopes of PReLU
            copy.assign(own)
        return fused


@register
class PaddedConv(Block):
    """A convolution that pads all sides alike, then an activation: a `RepConv`, fused.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, rounded up.

    >>> PaddedConv(8, 3, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size,
        *,
        strides=1,
        rank=2,
        groups=1,
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        stays = strides == 1  # there "same" pads alike, and no layer of its own is needed
        self.pad = make_pad(1 if stays else kernel_size, rank, dtype=policy)
        self.conv = CONVS[rank](
            filters,
            kernel_size,
            strides,
            "same" if stays else "valid",
            groups=groups,
            dtype=policy,
            name="conv",
        )
        self.act = make_activation(activation, dtype=policy)

    def call(self, x):
        return self.act(self.conv(self.pad(x)))


def make_pad(kernel_size, rank, **kwargs):
    """Return the layer of zeros around a map that leave an odd kernel its middle."""
    if kernel_size == 1:
        return layers.Identity(name="pad", **kwargs)
    return PADS[rank](kernel_size // 2, name="pad", **kwargs)


def _folded(kernel, norm):
    """Return kernel and bias of a convolution and the batch normalization after it."""
    kernel, gamma, beta, mean, variance = (
        np.array(keras.ops.convert_to_numpy(w), "float64")
        for w in (kernel, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return kernel * scale, beta - mean * scale
