"""Branches side by side."""

from keras import layers, ops

from blocks.base import Block, check_positive, register
from blocks.conv import ConvNormAct

POOLS = {
    ("avg", 1): layers.AveragePooling1D,
    ("avg", 2): layers.AveragePooling2D,
    ("avg", 3): layers.AveragePooling3D,
    ("max", 1): layers.MaxPooling1D,
    ("max", 2): layers.MaxPooling2D,
    ("max", 3): layers.MaxPooling3D,
}


@register
class InceptionBlock(Block):
    """Send the input through branches of convolutions and pools, and put them side by side.

    Shape: `(batch, *sides, channels)` to `(batch, *sides / strides, filters)`, with `rank`
    sides, rounded up (`padding="same"`), and the channels of all branches' last steps.

    Args:
        branches: A list of branches, each a list of steps. A step is `(filters, kernel_size)`, a
            convolution, the kernel a number or one for each side; `"avg"` or `"max"`, a pool
            of 3 positions a side; or, at the end, a list of branches, into which it splits.
        strides: Step of the last step of each branch.
        padding: Padding of the last steps where they are strided: `"same"`, or `"valid"` as in
            the paper.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization after each convolution.
        activation: Name of the Keras activation after each normalization.

    Raises:
        ValueError: If a step is none of these, or a branch is empty.

    Reference: [Szegedy et al., 2015](https://arxiv.org/abs/1512.00567), figures 5 to 7

    >>> block = InceptionBlock([[(4, 1)], [(2, 1), (6, 5)], ["max", (3, 1)]])
    >>> block(np.ones((1, 8, 8, 6))).shape
    (1, 8, 8, 13)
    """

    def __init__(
        self,
        branches,
        *,
        strides=1,
        padding="same",
        rank=2,
        norm="batch",
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(strides=strides)
        if rank not in (1, 2, 3) or padding not in ("same", "valid"):
            raise ValueError(
                '`rank` must be 1, 2 or 3, and `padding` "same" or "valid". '
                f"Received: rank={rank!r}, padding={padding!r}."
            )
        if not _is_list(branches) or not all(_is_list(b) and b for b in branches) or not branches:
            raise ValueError(
                f"`branches` must be a list of lists of steps. Received: branches={branches!r}."
            )
        self.input_spec = layers.InputSpec(ndim=rank + 2)
        self.rank = rank
        self.conv = {"norm": norm, "activation": activation}
        self.branches = [
            [
                self.step(
                    step,
                    *((strides, padding if strides > 1 else "same") if j == len(steps) - 1 else ()),
                    name=f"branch{i}_step{j}",
                )
                for j, step in enumerate(steps)
            ]
            for i, steps in enumerate(branches)
        ]

    def step(self, step, strides=1, padding="same", *, name):
        """Return the layer of one step."""
        common = {"dtype": self.dtype_policy, "name": name}
        if step in ("avg", "max"):
            return POOLS[step, self.rank](3, strides, padding, **common)
        if _is_list(step) and step and all(map(_is_list, step)):
            return InceptionBlock(
                step, strides=strides, padding=padding, rank=self.rank, **self.conv, **common
            )
        if not _is_list(step) or len(step) != 2:
            raise ValueError(
                'A step must be (filters, kernel_size), "avg", "max" or, at the end, a list of '
                f"branches. Received: {step!r}."
            )
        return ConvNormAct(*step, strides, padding=padding, rank=self.rank, **self.conv, **common)

    def call(self, x):
        outputs = []
        for steps in self.branches:
            y = x
            for step in steps:
                y = step(y)
            outputs.append(y)
        return ops.concatenate(outputs, axis=-1)


def _is_list(value):
    return isinstance(value, (list, tuple))
