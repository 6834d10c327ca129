"""Dense layers with what goes around them."""

from keras import layers

from blocks.base import (
    Block,
    check_above_zero,
    check_positive,
    check_rate,
    make_activation,
    make_norm,
    register,
)


@register
class GatedLinearUnit(Block):
    """A dense layer, multiplied by an activation of another.

    Shape: `(batch, ..., channels)` to `(batch, ..., units)`.

    Args:
        units: Number of output channels.
        activation: Name of the Keras activation of the gate: `"sigmoid"` is the first paper's
            GLU, `"silu"` the second's SwiGLU, `"relu"` its ReGLU.
        dropout: Share of the outputs made zero in training.

    Reference: [Dauphin et al., 2016](https://arxiv.org/abs/1612.08083);
    [Shazeer, 2020](https://arxiv.org/abs/2002.05202)

    >>> GatedLinearUnit(6)(np.ones((1, 4))).shape
    (1, 6)
    """

    def __init__(self, units, *, activation="sigmoid", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        check_rate(dropout=dropout)
        policy = self.dtype_policy
        self.value = layers.Dense(units, dtype=policy, name="value")
        self.gate = layers.Dense(units, dtype=policy, name="gate")
        self.act = make_activation(activation, dtype=policy)
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")
        self.supports_masking = True

    def call(self, x):
        return self.dropout(self.value(x) * self.act(self.gate(x)))


@register
class ResidualMLP(Block):
    """Normalization and two dense layers, added to the input.

    Shape: `(batch, ..., channels)` to the same.

    Args:
        expansion: Units of the first dense layer, as a multiple of the channels.
        norm: Name of the normalization; `"batch"` in the paper.
        activation: Name of the Keras activation between the layers; `"relu"` in the paper.
        dropout: Share of each layer's outputs made zero in training.

    Reference: [Gorishniy et al., 2021](https://arxiv.org/abs/2106.11959), section 3.2

    >>> ResidualMLP()(np.ones((1, 4))).shape
    (1, 4)
    """

    def __init__(self, expansion=2, *, norm="batch", activation="relu", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_above_zero(expansion=expansion)
        check_rate(dropout=dropout)
        make_norm(norm, 1)  # an unknown name is told now, the layers need the channels
        policy = self.dtype_policy
        self.expansion, self.norm = expansion, norm
        self.act = make_activation(activation, dtype=policy)
        self.dropout1 = layers.Dropout(dropout, dtype=policy, name="dropout1")
        self.dropout2 = layers.Dropout(dropout, dtype=policy, name="dropout2")

    def build(self, input_shape):
        policy, channels = self.dtype_policy, input_shape[-1]
        self.before = make_norm(self.norm, channels, dtype=policy)
        units = max(1, round(channels * self.expansion))
        self.widen = layers.Dense(units, dtype=policy, name="widen")
        self.narrow = layers.Dense(channels, dtype=policy, name="narrow")
        super().build(input_shape)

    def call(self, x):
        y = self.dropout1(self.act(self.widen(self.before(x))))
        return x + self.dropout2(self.narrow(y))
