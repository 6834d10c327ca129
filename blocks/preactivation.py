"""Residual blocks that normalize and activate before they convolve."""

from keras import layers

from blocks.base import Block, check_positive, make_activation, make_norm, register
from blocks.channel_attention import make_squeeze
from blocks.conv import PADS, ConvNormAct
from blocks.scale import DropPath
from blocks.shortcut import Subsample


@register
class PreActivationBlock(Block):
    """Normalize, activate, convolve, twice or thrice, and add to the input as it came.

    The shortcut is the identity where the channels stay, subsampled by a stride. Where they
    change, it is a 1x1 convolution of the normalized and activated input. Behind the last block
    of a network belong a normalization and an activation.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the kernels, in positions; of a bottleneck's middle one.
        strides: Step of the first convolution, of a bottleneck's middle one.
        reduction: `filters` divided by the channels inside of a bottleneck, which narrows and
            widens by 1x1 convolutions; 4 in the paper. `None` for two convolutions of
            `kernel_size` without a bottleneck.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization before each convolution.
        activation: Name of a Keras activation.
        se_ratio: Channels in the bottleneck of a `SqueezeExcite` after the convolutions, as
            a share of `filters`, or a dict of its arguments; 0 for none.
        drop_path: Share of the samples whose branch is left out in training.
        use_bias: Whether the last convolution and the shortcut's add a bias. No norm follows
            them, and those of `keras.applications` have one.

    Raises:
        ValueError: If `reduction` does not divide `filters`.

    Reference: [He et al., 2016](https://arxiv.org/abs/1603.05027), figure 4 (e)

    >>> PreActivationBlock(8, strides=2)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        *,
        reduction=None,
        rank=2,
        norm="batch",
        activation="relu",
        se_ratio=0.0,
        drop_path=0.0,
        use_bias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        is_bottleneck, policy = reduction is not None, self.dtype_policy
        reduction = reduction if is_bottleneck else 1
        check_positive(
            filters=filters, kernel_size=kernel_size, strides=strides, reduction=reduction
        )
        if filters % reduction:
            raise ValueError(
                "`reduction` must divide `filters`. "
                f"Received: reduction={reduction}, filters={filters}."
            )
        inner = {
            "filters": filters // reduction,
            "rank": rank,
            "norm": norm,
            "activation": activation,
            "dtype": policy,
        }
        self.common = {
            "filters": filters,
            "rank": rank,
            "norm": "none",
            "activation": None,
            "use_bias": use_bias,
            "dtype": policy,
        }
        self.narrow = layers.Identity(dtype=policy, name="narrow")
        self.pad = layers.Identity(dtype=policy, name="pad")
        if is_bottleneck:
            self.narrow = ConvNormAct(kernel_size=1, name="narrow", **inner)
        padding = "same" if strides == 1 else "valid"
        self.conv = ConvNormAct(
            kernel_size=kernel_size, strides=strides, padding=padding, name="conv", **inner
        )
        if strides > 1:  # as many zeros on both sides, not as "same" does where sides are even
            around = ((kernel_size - 1) // 2, kernel_size // 2)
            around = around if rank == 1 else (around,) * rank
            self.pad = PADS[rank](around, dtype=policy, name="pad")
        last = 1 if is_bottleneck else kernel_size
        self.last = ConvNormAct(kernel_size=last, name="last", **self.common)
        self.act = make_activation(activation, dtype=policy)
        self.scale = make_squeeze(se_ratio, dtype=policy)
        self.drop_path = DropPath(drop_path, dtype=policy, name="drop_path")
        self.filters, self.strides, self.norm_spec = filters, strides, norm

    def build(self, input_shape):
        self.norm = make_norm(self.norm_spec, input_shape[-1], dtype=self.dtype_policy)
        self.widens = input_shape[-1] != self.filters
        self.shortcut = (
            ConvNormAct(kernel_size=1, strides=self.strides, name="shortcut", **self.common)
            if self.widens
            else Subsample(self.strides, dtype=self.dtype_policy, name="shortcut")
        )
        super().build(input_shape)

    def call(self, x):
        y = self.act(self.norm(x))
        shortcut = self.shortcut(y if self.widens else x)
        y = self.last(self.conv(self.pad(self.narrow(y))))
        return shortcut + self.drop_path(self.scale(y))
