"""From a feature of any rank to one vector."""

from keras import layers, ops

from blocks.base import register


@register
class GlobalAverage(layers.Layer):
    """Average over all positions; positions that a mask calls padding do not count.

    Shape: `(batch, ..., channels)` to `(batch, channels)`.

    >>> GlobalAverage()(np.ones((2, 4, 5, 3))).shape
    (2, 3)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                "A head takes features (batch, ..., channels) with a fixed number of channels. "
                f"Received: features of shape {tuple(input_shape)}."
            )

    def call(self, x, mask=None):
        positions = tuple(range(1, len(x.shape) - 1))
        if not positions:
            return x
        if mask is None:
            return ops.mean(x, axis=positions)
        mask = ops.expand_dims(ops.cast(mask, "bool"), -1)
        count = ops.sum(ops.cast(mask, x.dtype), axis=positions)
        # A row of padding alone gives zeros, not 0 / 0.
        return ops.sum(ops.where(mask, x, 0.0), axis=positions) / ops.maximum(count, 1.0)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])
