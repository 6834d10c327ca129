"""Branches of convolutions side by side, as the Inception networks have them."""

from keras import ops

from blocks.base import Block, check_positive, register
from blocks.conv import CONVS, ConvNormAct, check_window
from blocks.window import make_pool

WINDOW = 3  # of the poolings, in every Inception network


@register
class InceptionBlock(Block):
    """Convolve and pool in branches, and put what they give side by side.

    Shape: `(batch, *sides, channels)` to `(batch, *sides, filters)`, with `rank` sides and the
    channels of all branches together. With `strides`, a side becomes `(side - k) // strides
    + 1`, where `k` is the window that all branches end with.

    Args:
        branches: A list of branches. A branch is a list of steps, each `(filters, kernel_size)`,
            a convolution with normalization and activation; `"avg"` or `"max"`, a pooling of 3
            positions to a side; or a list of branches again, at which the branch splits. The
            kernel's size is a number or one for each side.
        strides: Step of the last window of each branch. Where it is not 1, that window does
            not reach over the border (`"valid"`), and the block makes maps smaller.
        rank: Number of sides: 1, 2 or 3.
        norm: Name of the normalization after each convolution.
        activation: Name of a Keras activation.

    Raises:
        ValueError: If `branches` is no such list, or with `strides` its branches end with
            windows of unlike sizes or the map is smaller than they.

    Reference: [Szegedy et al., 2015](https://arxiv.org/abs/1512.00567)

    >>> InceptionBlock([[(8, 1)], [(4, 1), (8, 5)], ["avg", (4, 1)]])(np.ones((1, 9, 9, 3))).shape
    (1, 9, 9, 20)
    """

    def __init__(self, branches, *, strides=1, rank=2, norm="batch", activation="relu", **kwargs):
        super().__init__(**kwargs)
        check_window(CONVS, rank, 1, 1, 1)
        check_positive(strides=strides)
        check_branches(branches)
        windows = {tuple(window) for window in ends(branches, rank)} if strides > 1 else {(1,)}
        if len(windows) > 1:
            raise ValueError(
                "With `strides`, all branches must end with windows of one size. "
                f"Received: branches={branches}, strides={strides}."
            )
        (self.window,) = windows
        self.options = {"rank": rank, "norm": norm, "activation": activation}
        self.options["dtype"] = self.dtype_policy
        self.lengths = [len(branch) for branch in branches]
        self.steps = [
            self.step(step, strides if j == len(branch) - 1 else 1, f"branch{i}_{j}")
            for i, branch in enumerate(branches)
            for j, step in enumerate(branch)
        ]

    def build(self, input_shape):
        if any(side and side < k for side, k in zip(input_shape[1:-1], self.window)):
            raise ValueError(
                f"With `strides`, maps must be no smaller than the last windows, {self.window}. "
                f"Received: input_shape={tuple(input_shape)}."
            )
        super().build(input_shape)

    def step(self, step, strides, name):
        """Return the layer of one step."""
        if is_split(step):
            return InceptionBlock(step, strides=strides, name=name, **self.options)
        padding = "same" if strides == 1 else "valid"
        if isinstance(step, str):
            return make_pool(
                step,
                WINDOW,
                strides,
                padding,
                rank=self.options["rank"],
                dtype=self.dtype_policy,
                name=name,
            )
        return ConvNormAct(*step, strides, padding=padding, name=name, **self.options)

    def call(self, x):
        steps, outputs = iter(self.steps), []
        for length in self.lengths:
            y = x
            for _ in range(length):
                y = next(steps)(y)
            outputs.append(y)
        return ops.concatenate(outputs, axis=-1)


def is_split(step):
    """Return whether a step is a list of branches."""
    return isinstance(step, (list, tuple)) and all(isinstance(x, (list, tuple)) for x in step)


def check_branches(branches):
    """Raise where `branches` is no list of lists of steps."""

    def is_step(step):
        if isinstance(step, str):
            return step in ("avg", "max")
        if not isinstance(step, (list, tuple)) or not step:
            return False
        return are_branches(step) if is_split(step) else len(step) == 2

    def are_branches(value):
        return (
            isinstance(value, (list, tuple))
            and len(value) > 0
            and all(isinstance(branch, (list, tuple)) and branch for branch in value)
            and all(is_step(step) for branch in value for step in branch)
        )

    if not are_branches(branches):
        raise ValueError(
            "`branches` must be a list of lists of steps: (filters, kernel_size), "
            f'"avg", "max", or a list of branches. Received: branches={branches!r}. '
            "As [[(64, 1)], [(48, 1), (64, 5)]]."
        )


def ends(branches, rank):
    """Return the window with which each branch ends, one number for each side."""
    found = []
    for *_, step in branches:
        if is_split(step):
            found += ends(step, rank)
        else:
            size = WINDOW if isinstance(step, str) else step[1]
            found.append(size if isinstance(size, (list, tuple)) else [size] * rank)
    return found
