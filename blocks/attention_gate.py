"""A coarse map that says where to look in a fine one."""

from keras import layers, ops

from blocks.base import Block, check_positive, register
from blocks.context import ResizeTo
from blocks.conv import ConvNormAct


@register
class AttentionGate(Block):
    """Scale each position of a map by a gate computed from it and a coarser map.

    Other than in the paper, the coarse map is resized before the gate is computed, not the gate
    after.

    Shape: a list of two, `(batch, *sides, channels)` and a coarser map, with `rank` sides, to
    the first.

    Args:
        filters: Number of channels that the gate is computed from.
        rank: Number of sides: 2 or 3.
        norm: Name of the normalization after the convolution of each map.

    Reference: [Oktay et al., 2018](https://arxiv.org/abs/1804.03999)

    >>> AttentionGate(4)([np.ones((1, 8, 8, 6)), np.ones((1, 4, 4, 12))]).shape
    (1, 8, 8, 6)
    """

    def __init__(self, filters, *, rank=2, norm="batch", **kwargs):
        super().__init__(**kwargs)
        check_positive(filters=filters)
        check_rank(rank)
        common = {"rank": rank, "norm": norm, "dtype": self.dtype_policy}
        self.fine = ConvNormAct(filters, 1, activation=None, name="fine", **common)
        self.coarse = ConvNormAct(filters, 1, activation=None, name="coarse", **common)
        self.resize = ResizeTo(dtype=self.dtype_policy, name="resize")
        self.act = layers.Activation("relu", dtype=self.dtype_policy, name="act")
        self.gate = ConvNormAct(
            1, 1, rank=rank, norm="none", activation="sigmoid", dtype=self.dtype_policy, name="gate"
        )

    def build(self, input_shape):
        shapes = input_shape if isinstance(input_shape, (list, tuple)) else []
        if len(shapes) != 2 or not all(isinstance(x, (list, tuple)) for x in shapes):
            raise ValueError(
                "A gate reads a list of two, a map and a coarser one. "
                f"Received: input_shape={input_shape}."
            )
        super().build(input_shape)

    def call(self, inputs):
        x, coarse = inputs
        both = ops.add(self.fine(x), self.resize([self.coarse(coarse), x]))
        return x * self.gate(self.act(both))


def check_rank(rank):
    """Raise where maps of so many sides are neither images nor volumes."""
    if rank not in (2, 3):
        raise ValueError(f"`rank` must be 2 or 3. Received: rank={rank!r}.")
