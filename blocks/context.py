"""Blocks that let every position see a wide surrounding."""

from keras import layers, ops

from blocks.attend import wide
from blocks.base import Block, PlainArguments, check_positive, check_rate, register
from blocks.conv import ConvNormAct, DepthwiseSeparableConv
from blocks.embedding import between


@register
class AtrousPyramidPooling(Block):
    """Convolve with several dilations, average the whole map, and project all of it together.

    Shape: `(batch, height, width, channels)` to `(batch, height, width, filters)`.

    Args:
        filters: Number of channels of every branch and of the output.
        rates: Steps between the positions that the 3x3 kernels read, one a branch; those of
            the paper are for maps of stride 16. A 1x1 convolution and the average of the
            whole map are branches, too.
        separable: Whether the dilated convolutions are depthwise-separable, as in DeepLabV3+.
        norm: Name of the normalization after each convolution.
        activation: Name of the Keras activation after each convolution.
        dropout: Share of the outputs made zero in training.

    Reference: [Chen et al., 2017](https://arxiv.org/abs/1706.05587), section 3.3

    >>> AtrousPyramidPooling(8, [2, 4])(np.ones((1, 9, 8, 3))).shape
    (1, 9, 8, 8)
    """

    def __init__(
        self,
        filters=256,
        rates=(6, 12, 18),
        *,
        separable=False,
        norm="batch",
        activation="relu",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_counts(rates=rates)
        check_rate(dropout=dropout)
        policy = self.dtype_policy
        common = {"norm": norm, "activation": activation, "dtype": policy}
        wide = DepthwiseSeparableConv if separable else ConvNormAct
        self.point = ConvNormAct(filters, 1, name="point", **common)
        self.atrous = [
            wide(filters, 3, dilation_rate=rate, name=f"atrous{i}", **common)
            for i, rate in enumerate(rates)
        ]
        self.pool = layers.GlobalAveragePooling2D(keepdims=True, dtype=policy, name="pool")
        self.image = ConvNormAct(filters, 1, name="image", **common)
        self.resize = ResizeTo(dtype=policy, name="resize")
        self.project = ConvNormAct(filters, 1, name="project", **common)
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")
        self.input_spec = layers.InputSpec(ndim=4)

    def call(self, x):
        branches = [self.point(x), *[atrous(x) for atrous in self.atrous]]
        image = self.resize([self.image(self.pool(x)), x])
        return self.dropout(self.project(ops.concatenate([*branches, image], axis=-1)))


@register
class PyramidPooling(Block):
    """Put the averages of coarse grids over a map beside it, at its own resolution.

    Shape: `(batch, height, width, channels)` to
    `(batch, height, width, channels + len(bins) * filters)`.

    Args:
        filters: Number of channels of every grid; by default the input's divided by the
            number of grids, as in the paper.
        bins: Cells along each side of a grid, one number a grid.
        norm: Name of the normalization of every grid.
        activation: Name of the Keras activation of every grid.

    Raises:
        ValueError: If there are fewer channels than grids, and no `filters`.

    Reference: [Zhao et al., 2016](https://arxiv.org/abs/1612.01105), section 3.2

    >>> PyramidPooling(2, [1, 3])(np.ones((1, 9, 8, 3))).shape
    (1, 9, 8, 7)
    """

    def __init__(
        self, filters=None, bins=(1, 2, 3, 6), *, norm="batch", activation="relu", **kwargs
    ):
        super().__init__(**kwargs)
        check_counts(bins=bins)
        if filters is not None:
            check_positive(filters=filters)
        policy = self.dtype_policy
        self.filters, self.bins = filters, bins
        self.common = {"norm": norm, "activation": activation, "dtype": policy}
        ConvNormAct(filters or 1, 1, **self.common)  # wrong arguments are told now
        self.pools = [
            GridAverage(cells, dtype=policy, name=f"pool{i}") for i, cells in enumerate(bins)
        ]
        self.resize = ResizeTo(dtype=policy, name="resize")
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        filters = self.filters or input_shape[-1] // len(self.bins)
        if not filters:
            raise ValueError(
                "`filters` is needed where there are fewer channels than grids. "
                f"Received: input_shape={input_shape}, bins={self.bins}."
            )
        self.convs = [
            ConvNormAct(filters, 1, name=f"conv{i}", **self.common) for i in range(len(self.bins))
        ]
        super().build(input_shape)

    def call(self, x):
        grids = [conv(pool(x)) for conv, pool in zip(self.convs, self.pools)]
        return ops.concatenate([x, *[self.resize([grid, x]) for grid in grids]], axis=-1)


@register
class GridAverage(PlainArguments, layers.Layer):
    """Average a map in each cell of a square grid; cells share rows where they do not divide it.

    Shape: `(batch, height, width, channels)` to `(batch, cells, cells, channels)`.

    >>> GridAverage(3)(np.ones((1, 9, 8, 3))).shape
    (1, 3, 3, 3)
    """

    def __init__(self, cells, **kwargs):
        super().__init__(**kwargs)
        self.cells = cells

    def call(self, x):
        wider = wide(x)  # half floats lose sums over many positions
        rows, columns = (self.shares(side, wider.dtype) for side in ops.shape(x)[1:3])
        y = ops.einsum("jw,biwc->bijc", columns, ops.einsum("ih,bhwc->biwc", rows, wider))
        return ops.cast(y, x.dtype)

    def shares(self, side, dtype):
        """Return what every position, known or not, gives to every cell."""
        cell, place = ops.arange(self.cells)[:, None], ops.arange(side)[None]
        first, end = cell * side // self.cells, -(-(cell + 1) * side // self.cells)
        inside = ops.cast((place >= first) & (place < end), "float32")
        return ops.cast(inside / ops.cast(end - first, "float32"), dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.cells, self.cells, input_shape[3])


@register
class ResizeTo(PlainArguments, layers.Layer):
    """Interpolate a map linearly to the sides of another, known or not.

    Shape: a list of two, `(batch, *sides, channels)` and a map of other sides, to the first
    with the sides of the second.

    >>> ResizeTo()([np.ones((1, 2, 2, 3)), np.ones((1, 5, 4, 2))]).shape
    (1, 5, 4, 3)
    """

    def call(self, inputs):
        x, other = inputs
        have, want = x.shape[1:-1], other.shape[1:-1]
        if None not in want and have == want:
            return x
        if None not in want and len(want) == 2:
            return ops.cast(ops.image.resize(x, want, "bilinear"), x.dtype)
        # `resize` takes neither open sides nor three.
        axes = "ijk"[: len(want)]
        for axis, side, length in zip(axes, ops.shape(other)[1:-1], ops.shape(x)[1:-1]):
            shares = ops.cast(between(side, length), x.dtype)
            x = ops.einsum(f"w{axis},b{axes}c->b{axes.replace(axis, 'w')}c", shares, x)
        return x

    def compute_output_shape(self, input_shape):
        x, other = input_shape
        return (x[0], *other[1:-1], x[-1])


def check_counts(**values):
    """Raise where a value is no sequence of whole numbers above zero."""
    for name, value in values.items():
        if not isinstance(value, (list, tuple)) or not value:
            raise ValueError(
                f"`{name}` must be a list of whole numbers. Received: {name}={value!r}."
            )
        for number in value:
            check_positive(**{name: number})
