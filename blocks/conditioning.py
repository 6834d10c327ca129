"""One input changes how another is read."""

from keras import layers

from blocks.base import Block, register


@register
class FiLM(Block):
    """Scale and shift every channel of the first input by what the second says of it.

    Shape: a list of two, `(batch, ..., channels)` and `(batch, other_channels)`, to
    `(batch, ..., channels)`. A mask of the first is handed on.

    Args:
        **kwargs: Of every Keras layer, such as `name`.

    Raises:
        ValueError: If there are not two inputs, or the second has sides.

    Reference: [Perez et al., 2017](https://arxiv.org/abs/1709.07871), with the scale as a
    difference to one, as in its section 7.2

    >>> FiLM()([np.ones((1, 8, 8, 16)), np.ones((1, 5))]).shape
    (1, 8, 8, 16)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        shapes = list(input_shape)
        if (
            len(shapes) != 2
            or not isinstance(shapes[0], (list, tuple))
            or len(shapes[0]) < 2
            or len(shapes[1]) != 2
        ):
            raise ValueError(
                "A list of two is needed, a tensor and the vector that changes it: "
                "(batch, ..., channels) and (batch, other_channels). "
                f"Received: input_shape={input_shape}."
            )
        policy, sides, channels = self.dtype_policy, len(shapes[0]) - 2, shapes[0][-1]
        for name in ("scale", "shift"):
            setattr(self, name, layers.Dense(channels, dtype=policy, name=name))
        self.spread = layers.Reshape((1,) * sides + (channels,), dtype=policy, name="spread")
        super().build(input_shape)

    def call(self, inputs):
        x, condition = inputs
        return x * (1 + self.spread(self.scale(condition))) + self.spread(self.shift(condition))

    def compute_mask(self, inputs, previous_mask):
        return previous_mask and previous_mask[0]
