"""Blocks that weigh channels by what the whole map holds."""

from keras import layers

from blocks.base import Block, check_above_zero, check_positive, make_activation, register
from blocks.channels import round_channels
from blocks.conv import CONVS

POOLS = {
    1: layers.GlobalAveragePooling1D,
    2: layers.GlobalAveragePooling2D,
    3: layers.GlobalAveragePooling3D,
}


@register
class SqueezeExcite(Block):
    """Scale each channel by a gate computed from all of them.

    Shape: `(batch, *sides, channels)` to the same, with one, two or three sides.

    Args:
        ratio: Channels of the gate's bottleneck, as a share of the input's; 1/16 in the
            paper, a quarter in mobile networks.
        activation: Name of the Keras activation of the bottleneck.
        gate: Name of the Keras activation of the gate; `"hard_sigmoid"` in MobileNetV3.
        divisor: The bottleneck's channels are rounded to a multiple of it, 8 in MobileNetV3;
            with 1 they are rounded down.

    Raises:
        ValueError: If `ratio` is not above 0 or `divisor` no whole number above 0.

    Reference: [Hu et al., 2018](https://arxiv.org/abs/1709.01507)

    >>> SqueezeExcite(0.25)(np.ones((1, 8, 8, 16))).shape
    (1, 8, 8, 16)
    """

    def __init__(self, ratio=0.25, *, activation="relu", gate="sigmoid", divisor=1, **kwargs):
        super().__init__(**kwargs)
        check_above_zero(ratio=ratio)
        check_positive(divisor=divisor)
        self.ratio, self.divisor = ratio, divisor
        self.act = make_activation(activation, dtype=self.dtype_policy)
        self.gate = make_activation(gate, dtype=self.dtype_policy, name="gate")
        self.input_spec = layers.InputSpec(min_ndim=3, max_ndim=5)

    def build(self, input_shape):
        rank, channels, policy = len(input_shape) - 2, input_shape[-1], self.dtype_policy
        share = channels * self.ratio + 1e-6  # 96 * (0.25 / 6) may fall short of 4
        inner = max(1, int(share)) if self.divisor == 1 else round_channels(share, self.divisor)
        self.pool = POOLS[rank](keepdims=True, dtype=policy, name="pool")
        self.reduce = CONVS[rank](inner, 1, dtype=policy, name="reduce")
        self.expand = CONVS[rank](channels, 1, dtype=policy, name="expand")
        super().build(input_shape)

    def call(self, x):
        return x * self.gate(self.expand(self.act(self.reduce(self.pool(x)))))


def make_squeeze(ratio, **kwargs):
    """Return a `SqueezeExcite`, or nothing at all where `ratio` is 0.

    Args:
        ratio: Its ratio, or a dict of its arguments: `{"ratio": 0.25, "gate": "hard_sigmoid"}`.
        **kwargs: Arguments of the layer, such as `dtype`.
    """
    if ratio == 0:
        return layers.Identity(name="scale", **kwargs)
    options = ratio if isinstance(ratio, dict) else {"ratio": ratio}
    if set(options) - {"ratio", "activation", "gate", "divisor"}:
        raise ValueError(
            "`se_ratio` must be a number, or a dict of the arguments of SqueezeExcite: ratio, "
            f"activation, gate, divisor. Received: se_ratio={ratio!r}."
        )
    return SqueezeExcite(name="scale", **options, **kwargs)
