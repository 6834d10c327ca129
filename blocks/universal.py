"""The inverted bottleneck that MobileNetV4 was searched with: four blocks in one."""

from keras import layers

from blocks.base import Block, check_above_zero, check_positive, make_activation, register
from blocks.channels import round_channels
from blocks.conv import ConvNormAct, DepthwiseNormAct
from blocks.inverted import check_expansion
from blocks.scale import DropPath, LayerScale


@register
class UniversalInvertedBottleneck(Block):
    """Widen and narrow, with a depthwise convolution before, between, at both places or none.

    With the one between it is an inverted residual, with the one before a ConvNeXt-like
    block, with both the paper's ExtraDW, with none a feed-forward network. The one between
    carries the stride, if there is one. The input is added where the shape stays.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        strides: Step of the last depthwise convolution.
        expansion: Channels inside, as a multiple of the input's; 2 to 6 in the paper.
        kernel_size: Side of the depthwise kernel between widening and narrowing, in
            positions; `None` for none.
        start_kernel_size: Side of the depthwise kernel before, in positions; `None` for none.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization after each convolution.
        activation: Name of the Keras activation of what is wide.
        divisor: The channels inside are rounded to a multiple of it; 8 in the authors' code.
        layer_scale: First value of a `LayerScale` of the branch, where there is an input to
            add, 1e-5 in the paper's hybrid networks; 0 for none.
        drop_path: Share of the samples whose branch is left out in training, where there is
            an input to add.

    Raises:
        ValueError: If there are strides, but no depthwise convolution to take them.

    Reference: [Qin et al., 2024](https://arxiv.org/abs/2404.10518), figure 4

    >>> UniversalInvertedBottleneck(8, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        strides=1,
        *,
        expansion=4,
        kernel_size=3,
        start_kernel_size=None,
        rank=2,
        norm="batch",
        activation="relu",
        divisor=8,
        layer_scale=0.0,
        drop_path=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(filters=filters, strides=strides, divisor=divisor)
        check_expansion(expansion)
        make_activation(activation)  # an unknown name is told now, the layer needs the channels
        if strides > 1 and kernel_size is None and start_kernel_size is None:
            raise ValueError(
                "`strides` need a depthwise convolution: `kernel_size` or `start_kernel_size`. "
                f"Received: strides={strides} and neither."
            )
        policy = self.dtype_policy
        common = {"rank": rank, "norm": norm, "dtype": policy}
        before, between = (strides, 1) if kernel_size is None else (1, strides)
        self.start = _depthwise(
            start_kernel_size, strides=before, activation=None, name="start", **common
        )
        self.depthwise = _depthwise(
            kernel_size, strides=between, activation=activation, name="depthwise", **common
        )
        self.project = ConvNormAct(filters, 1, activation=None, name="project", **common)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")
        make_layer_scale(layer_scale)  # a wrong value is told now
        self.filters, self.strides, self.layer_scale = filters, strides, layer_scale
        self.expansion, self.divisor = expansion, divisor
        self.common = {**common, "activation": activation}

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        self.adds_input = self.strides == 1 and channels == self.filters
        inner = round_channels(channels * self.expansion, self.divisor)
        self.expand = ConvNormAct(inner, 1, name="expand", **self.common)
        self.scale = make_layer_scale(self.layer_scale * self.adds_input, dtype=policy)
        super().build(input_shape)

    def call(self, x):
        y = self.project(self.depthwise(self.expand(self.start(x))))
        return x + self.drop_path(self.scale(y)) if self.adds_input else y


def _depthwise(kernel_size, *, name, dtype, **options):
    if kernel_size is None:
        return layers.Identity(name=name, dtype=dtype)
    return DepthwiseNormAct(kernel_size, name=name, dtype=dtype, **options)


def make_layer_scale(start, **kwargs):
    """Return a `LayerScale` that starts at `start`, or nothing at all where it is 0."""
    if start == 0:
        return layers.Identity(name="scale", **kwargs)
    check_above_zero(layer_scale=start)
    return LayerScale(start, name="scale", **kwargs)
