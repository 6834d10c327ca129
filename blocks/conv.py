"""Convolution, normalization, activation: the unit that networks are made of."""

import keras
from keras import layers

from blocks.base import (
    Block,
    check_positive,
    check_sides,
    has_norm,
    make_activation,
    make_norm,
    register,
)
from blocks.depthwise3d import DepthwiseConv3D
from blocks.strided import PointwiseConv2D, padding_of_volumes

CONVS = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
PADS = {1: layers.ZeroPadding1D, 2: layers.ZeroPadding2D, 3: layers.ZeroPadding3D}
DEPTHWISE = {1: layers.DepthwiseConv1D, 2: layers.DepthwiseConv2D, 3: DepthwiseConv3D}


@register
class ConvNormAct(Block):
    """Convolution, normalization, activation.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up (`padding="same"`).

    Args:
        filters: Number of output channels.
        kernel_size: Side of the kernel, in positions, or one for each side.
        strides: Step between output positions.
        rank: Number of sides: 1 for signals, 2 for images, 3 for volumes.
        groups: Number of channel groups convolved separately.
        dilation_rate: Step between the positions that the kernel reads.
        padding: `"same"`, `"valid"` or, with `rank=1`, `"causal"`.
        norm: `"batch"`, `"layer"`, `"group"`, `"rms"` or `"none"`.
        activation: Name of a Keras activation, `"prelu"`, or `None` for none.
        use_bias: Whether the convolution adds a bias; by default where there is no norm.

    Raises:
        ValueError: If `rank` is not 1, 2 or 3, `groups` does not divide the channels, a dilated
            convolution is also strided, or a stride over a volume leaves out two positions.

    >>> ConvNormAct(8, strides=2)(np.ones((1, 32, 32, 3))).shape
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
        dilation_rate=1,
        padding="same",
        norm="batch",
        activation="relu",
        use_bias=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_window(CONVS, rank, kernel_size, strides, dilation_rate)
        check_positive(filters=filters)
        check_groups(groups, filters=filters)
        check_padding(padding, causal=rank == 1)
        self.groups = groups
        self.input_spec = layers.InputSpec(ndim=rank + 2)
        side, step = (max(keras.tree.flatten(x)) for x in (kernel_size, strides))
        pointwise = rank == 2 and side == 1 < step
        padding = padding_of_volumes(kernel_size, strides, padding) if rank == 3 else padding
        self.conv = (PointwiseConv2D if pointwise else CONVS[rank])(
            filters,
            kernel_size,
            strides,
            padding,
            dilation_rate=dilation_rate,
            groups=groups,
            use_bias=not has_norm(norm) if use_bias is None else use_bias,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm = make_norm(norm, filters, dtype=self.dtype_policy)
        self.act = make_activation(activation, dtype=self.dtype_policy)

    def build(self, input_shape):
        check_groups(self.groups, input_channels=input_shape[-1])
        super().build(input_shape)

    def call(self, x):
        return self.act(self.norm(self.conv(x)))


@register
class DepthwiseNormAct(Block):
    """Convolution of every channel by itself, normalization, activation.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, channels)`, with `rank`
    sides, rounded up.

    Args:
        kernel_size: Side of the kernel, in positions.
        strides: Step between output positions.
        rank: Number of sides: 1, 2 or 3.
        dilation_rate: Step between the positions that the kernel reads.
        padding: `"same"`, or `"valid"` where the zeros are added before.
        norm: `"batch"`, `"layer"`, `"group"`, `"rms"` or `"none"`.
        activation: Name of a Keras activation, `"prelu"`, or `None` for none.

    Raises:
        ValueError: If `rank` is not 1, 2 or 3, or a dilated convolution is also strided.

    >>> DepthwiseNormAct(5, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 3)
    """

    def __init__(
        self,
        kernel_size=3,
        strides=1,
        *,
        rank=2,
        dilation_rate=1,
        padding="same",
        norm="batch",
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_window(DEPTHWISE, rank, kernel_size, strides, dilation_rate)
        if isinstance(strides, (list, tuple)) and len(set(strides[-2:])) > 1:
            raise ValueError(
                "A depthwise convolution has equal strides over height and width, all that "
                f"TensorFlow and phones run. Received: strides={strides}."
            )
        check_padding(padding)
        make_norm(norm, 1)  # an unknown name is told now, the layer needs the channels
        self.norm_spec = norm
        self.input_spec = layers.InputSpec(ndim=rank + 2)
        self.conv = DEPTHWISE[rank](
            kernel_size,
            strides,
            padding,
            dilation_rate=dilation_rate,
            use_bias=not has_norm(norm),
            dtype=self.dtype_policy,
            name="conv",
        )
        self.act = make_activation(activation, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.norm = make_norm(self.norm_spec, input_shape[-1], dtype=self.dtype_policy)
        super().build(input_shape)

    def call(self, x):
        return self.act(self.norm(self.conv(x)))


@register
class DepthwiseSeparableConv(Block):
    """A depthwise convolution, then a 1x1 convolution that mixes the channels.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the depthwise kernel, in positions.
        strides: Step of the depthwise convolution.
        rank: Number of sides: 1, 2 or 3.
        dilation_rate: Step between the positions that the depthwise kernel reads.
        padding: `"same"`, or `"valid"` where the zeros are added before.
        norm: Name of the normalization after each convolution.
        activation: Name of the Keras activation after each convolution.

    Reference: [Howard et al., 2017](https://arxiv.org/abs/1704.04861)

    >>> DepthwiseSeparableConv(8, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        *,
        rank=2,
        dilation_rate=1,
        padding="same",
        norm="batch",
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        common = {"norm": norm, "activation": activation, "dtype": self.dtype_policy}
        self.depthwise = DepthwiseNormAct(
            kernel_size,
            strides,
            rank=rank,
            dilation_rate=dilation_rate,
            padding=padding,
            name="depthwise",
            **common,
        )
        self.pointwise = ConvNormAct(filters, 1, rank=rank, name="pointwise", **common)

    def call(self, x):
        return self.pointwise(self.depthwise(x))


def check_window(layers_by_rank, rank, kernel_size, strides, dilation_rate):
    """Raise where a kernel cannot move so over so many sides."""
    if isinstance(rank, bool) or not isinstance(rank, int) or rank not in layers_by_rank:
        raise ValueError(f"`rank` must be one of {[*layers_by_rank]}. Received: rank={rank!r}.")
    check_sides(rank, kernel_size=kernel_size, strides=strides, dilation_rate=dilation_rate)
    if max(keras.tree.flatten(strides)) > 1 and max(keras.tree.flatten(dilation_rate)) > 1:
        raise ValueError(
            "A convolution is strided or dilated, not both. "
            f"Received: strides={strides}, dilation_rate={dilation_rate}."
        )


def check_padding(padding, causal=False):
    """Raise where `padding` is no word for it."""
    if padding not in ("same", "valid", *["causal"] * causal):
        raise ValueError(
            '`padding` must be "same", "valid" or, in a ConvNormAct with rank=1, "causal". '
            f"Received: padding={padding!r}."
        )


def check_groups(groups, **channels):
    """Raise where `groups` is no divisor of the channels."""
    check_positive(groups=groups)
    for name, number in channels.items():
        if number % groups:
            raise ValueError(
                f"`groups` must divide the {name.replace('_', ' ')}. "
                f"Received: groups={groups}, {name}={number}."
            )
