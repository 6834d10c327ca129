"""Residual blocks that normalize and activate before they convolve."""

from keras import layers

from blocks.base import Block, check_positive, make_activation, make_norm, register
from blocks.conv import ConvNormAct
from blocks.scale import DropPath

PADS = {1: layers.ZeroPadding1D, 2: layers.ZeroPadding2D, 3: layers.ZeroPadding3D}
POOLS = {1: layers.MaxPooling1D, 2: layers.MaxPooling2D, 3: layers.MaxPooling3D}


@register
class PreActivationBlock(Block):
    """Normalize, activate, convolve, and add to the input, on which nothing else acts.

    Where the channels change, the shortcut is a 1x1 convolution of what was normalized and
    activated; where only the sides do, every second position of the input.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        strides: Step of the convolution that has the kernel, in the basic form the first.
        kernel_size: Side of the kernel, odd.
        reduction: `filters` divided by the channels inside; 4 in the paper's bottleneck. With 1
            it is the basic form, two convolutions with the kernel.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization before each convolution.
        activation: Name of the Keras activation behind each normalization.
        drop_path: Share of the samples whose branch is left out in training.

    Raises:
        ValueError: If `reduction` does not divide `filters`, or `kernel_size` is even.

    Reference: [He et al., 2016](https://arxiv.org/abs/1603.05027)

    >>> PreActivationBlock(8, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        strides=1,
        *,
        kernel_size=3,
        reduction=4,
        rank=2,
        norm="batch",
        activation="relu",
        drop_path=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(
            filters=filters, strides=strides, kernel_size=kernel_size, reduction=reduction
        )
        if filters % reduction or kernel_size % 2 == 0:
            raise ValueError(
                "`reduction` must divide `filters`, and `kernel_size` must be odd. "
                f"Received: reduction={reduction}, filters={filters}, kernel_size={kernel_size}."
            )
        policy = self.dtype_policy
        common = {"rank": rank, "dtype": policy}
        inside = {**common, "norm": norm, "activation": activation}
        last = {**common, "norm": "none", "activation": None}
        moving = {"strides": strides, "padding": "valid" if strides > 1 else "same"}
        width, bottleneck = filters // reduction, reduction > 1
        self.narrow = (
            ConvNormAct(width, 1, name="narrow", **inside)
            if bottleneck
            else layers.Identity(dtype=policy, name="narrow")
        )
        self.conv = ConvNormAct(width, kernel_size, name="conv", **moving, **inside)
        # Zeros on both sides alike, which "same" does not add where a stride meets even sides.
        self.pad = (
            PADS[rank](kernel_size // 2, dtype=policy, name="pad")
            if strides > 1
            else layers.Identity(dtype=policy, name="pad")
        )
        self.widen = ConvNormAct(filters, 1 if bottleneck else kernel_size, name="widen", **last)
        self.act = make_activation(activation, dtype=policy)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")
        self.filters, self.strides, self.rank = filters, strides, rank
        self.norm_spec, self.last = norm, last

    def build(self, input_shape):
        policy, channels = self.dtype_policy, input_shape[-1]
        self.norm = make_norm(self.norm_spec, channels, dtype=policy)
        self.projects = channels != self.filters
        if self.projects:
            self.shortcut = ConvNormAct(self.filters, 1, self.strides, name="shortcut", **self.last)
        elif self.strides > 1:
            self.shortcut = POOLS[self.rank](1, self.strides, dtype=policy, name="shortcut")
        else:
            self.shortcut = layers.Identity(dtype=policy, name="shortcut")
        super().build(input_shape)

    def call(self, x):
        y = self.act(self.norm(x))
        shortcut = self.shortcut(y if self.projects else x)
        return shortcut + self.drop_path(self.widen(self.conv(self.pad(self.narrow(y)))))
