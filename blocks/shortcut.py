"""Shortcuts: how the input of a residual block comes to the shape of its output."""

from keras import layers, ops

from blocks.base import PlainArguments, check_positive, register
from blocks.conv import ConvNormAct

SHORTCUTS = ("conv_norm", "conv", "pad")


@register
class Subsample(PlainArguments, layers.Layer):
    """Keep every `strides`-th position, and fill up the channels with zeros.

    The shortcut without weights of networks for small images.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, rounded up.

    Args:
        strides: Step between the positions that are kept.
        filters: Number of output channels, no fewer than the input's; `None` for as many.

    Raises:
        ValueError: If the input has more than `filters` channels.

    Reference: [He et al., 2015](https://arxiv.org/abs/1512.03385), section 3.3, option A

    >>> Subsample(2, filters=8)(np.ones((1, 32, 32, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(self, strides=1, filters=None, **kwargs):
        super().__init__(**kwargs)
        check_positive(strides=strides, **{"filters": filters} if filters is not None else {})
        self.strides, self.filters = strides, filters

    def build(self, input_shape):
        if self.filters is not None and self.filters < (input_shape[-1] or 0):
            raise ValueError(
                "Zeros can be added to the channels, but none be taken away. "
                f"Received: filters={self.filters}, input_shape={tuple(input_shape)}."
            )

    def call(self, x):
        sides = [slice(None, None, self.strides)] * (len(x.shape) - 2)
        x = x[(slice(None), *sides)]
        if self.filters in (None, x.shape[-1]):
            return x
        return ops.pad(x, [[0, 0]] * (len(x.shape) - 1) + [[0, self.filters - x.shape[-1]]])

    def compute_output_shape(self, input_shape):
        sides = [side and -(-side // self.strides) for side in input_shape[1:-1]]
        return (input_shape[0], *sides, self.filters or input_shape[-1])


def check_shortcut(shortcut):
    """Raise where there is no shortcut of this name."""
    if shortcut not in SHORTCUTS:
        raise ValueError(
            f"`shortcut` must be one of {list(SHORTCUTS)}. Received: shortcut={shortcut!r}."
        )


def make_shortcut(input_shape, filters, strides, *, shortcut="conv_norm", dtype, norm, **conv):
    """Return the identity, or where the shape changes the layer that `shortcut` names."""
    if strides == 1 and input_shape[-1] == filters:
        return layers.Identity(dtype=dtype, name="shortcut")
    if shortcut == "pad":
        return Subsample(strides, filters, dtype=dtype, name="shortcut")
    norm = norm if shortcut == "conv_norm" else "none"
    conv = {"norm": norm, "activation": None, "dtype": dtype, "name": "shortcut", **conv}
    return ConvNormAct(filters, 1, strides, **conv)
