"""ConvNeXt's block, and the response normalization of its second version."""

from keras import layers, ops

from blocks.base import (
    Block,
    PlainArguments,
    check_above_zero,
    make_activation,
    make_norm,
    register,
)
from blocks.conv import CONVS, DEPTHWISE, check_window
from blocks.inverted import check_expansion
from blocks.scale import DropPath
from blocks.universal import make_layer_scale

NORM = {"type": "layer", "epsilon": 1e-6}


@register
class GlobalResponseNorm(PlainArguments, layers.Layer):
    """Scale each channel by its strength over all positions, in relation to the others'.

    A channel's strength is the root of its mean square; the input is added. It starts as the
    identity.

    Shape: `(batch, *sides, channels)` to the same.

    Args:
        epsilon: Added to the mean strength that is divided by; the authors' 1e-6.

    Raises:
        ValueError: If `epsilon` is not above 0, or there are no sides.

    Reference: [Woo et al., 2023](https://arxiv.org/abs/2301.00808), algorithm 1

    >>> GlobalResponseNorm()(np.ones((2, 8, 8, 4))).shape
    (2, 8, 8, 4)
    """

    def __init__(self, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        check_above_zero(epsilon=epsilon)
        self.epsilon = epsilon
        self.input_spec = layers.InputSpec(min_ndim=3)

    def build(self, input_shape):
        self.sides = tuple(range(1, len(input_shape) - 1))
        self.gamma = self.add_weight(name="gamma", shape=input_shape[-1:], initializer="zeros")
        self.beta = self.add_weight(name="beta", shape=input_shape[-1:], initializer="zeros")

    def call(self, x):
        y = ops.cast(x, "float32")  # squares leave the range of half floats
        square = ops.mean(ops.square(y), self.sides, keepdims=True)
        strength = ops.sqrt(ops.maximum(square, 1e-12))  # the root of 0 has no slope
        share = strength / (ops.mean(strength, -1, keepdims=True) + self.epsilon)
        return x * (ops.cast(share, x.dtype) * self.gamma + 1) + self.beta

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class ConvNeXtBlock(Block):
    """A wide depthwise convolution, normalization, widen, narrow; added to the input.

    Shape: `(batch, *sides, channels)` to the same, with `rank` sides.

    Args:
        kernel_size: Side of the depthwise kernel, in positions; 7 in the paper. XNNPACK is slow
            above 5, most of all in int8.
        rank: Number of sides: 1, 2 or 3.
        expansion: Channels inside, as a multiple of the input's.
        norm: As `ConvNormAct` takes it; by default `"layer"` with the paper's epsilon.
            `"batch"` becomes part of the convolution in a file.
        activation: Name of the Keras activation of what is wide.
        response_norm: Whether a `GlobalResponseNorm` stands behind the activation, as in the
            second version, which has no layer scale.
        layer_scale: First value of the `LayerScale` of the branch; 0 for none. By default the
            paper's: 1e-6, and none beside `response_norm`.
        drop_path: Share of the samples whose branch is left out in training.

    Reference: [Liu et al., 2022](https://arxiv.org/abs/2201.03545) and
    [Woo et al., 2023](https://arxiv.org/abs/2301.00808)

    >>> ConvNeXtBlock()(np.ones((1, 32, 32, 8))).shape
    (1, 32, 32, 8)
    """

    def __init__(
        self,
        kernel_size=7,
        *,
        rank=2,
        expansion=4,
        norm=NORM,
        activation="gelu",
        response_norm=False,
        layer_scale=None,
        drop_path=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_window(DEPTHWISE, rank, kernel_size, 1, 1)
        check_expansion(expansion)
        policy = self.dtype_policy
        self.depthwise = DEPTHWISE[rank](
            kernel_size, padding="same", dtype=policy, name="depthwise"
        )
        self.act = make_activation(activation, dtype=policy)
        self.response = (
            GlobalResponseNorm(dtype=policy, name="response")
            if response_norm
            else layers.Identity(dtype=policy, name="response")
        )
        if layer_scale is None:
            layer_scale = 0.0 if response_norm else 1e-6
        self.scale = make_layer_scale(layer_scale, dtype=policy)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")
        make_norm(norm, 1)  # before there are channels
        self.rank, self.expansion, self.norm_spec = rank, expansion, norm
        self.input_spec = layers.InputSpec(ndim=rank + 2)

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        self.norm = make_norm(self.norm_spec, channels, dtype=policy)
        conv = CONVS[self.rank]
        self.widen = conv(round(channels * self.expansion), 1, dtype=policy, name="widen")
        self.narrow = conv(channels, 1, dtype=policy, name="narrow")
        super().build(input_shape)

    def call(self, x):
        y = self.act(self.widen(self.norm(self.depthwise(x))))
        return x + self.drop_path(self.scale(self.narrow(self.response(y))))
