"""The columns of a table as vectors."""

import math

import numpy as np
from keras import initializers, layers, ops

from blocks.base import (
    Block,
    PlainArguments,
    check_above_zero,
    check_positive,
    make_activation,
    register,
)


@register
class FeatureTokenizer(PlainArguments, layers.Layer):
    """Make a vector of every column: of a number along its direction, of a category its own.

    Category 0 is the unknown one, and ids outside of a column's categories are read as that.

    Shape: a dict of `"numeric"`, `(batch, columns)`, and `"categorical"`,
    `(batch, other_columns)`, whole numbers, of which one may be absent, to
    `(batch, columns + other_columns, units)`; with a class token one more, the first.

    Args:
        units: Length of a vector.
        categories: Number of categories of every categorical column, the unknown one included.
        class_token: Whether a learned vector is put before all others.

    Raises:
        ValueError: If the columns are not those of `categories`, or there are none.

    Reference: [Gorishniy et al., 2021](https://arxiv.org/abs/2106.11959), section 3.3

    >>> columns = {"numeric": np.ones((1, 3)), "categorical": np.array([[1, 4]])}
    >>> FeatureTokenizer(8, [3, 5])(columns).shape
    (1, 5, 8)
    """

    def __init__(self, units, categories=(), *, class_token=False, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units)
        for count in categories:
            check_positive(categories=count)
        self.units, self.categories, self.class_token = units, list(categories), class_token

    def build(self, input_shape):
        shapes = dict(input_shape) if isinstance(input_shape, dict) else {}
        numeric, categorical = (shapes.pop(key, (None, 0)) for key in ("numeric", "categorical"))
        if (
            not isinstance(input_shape, dict)
            or shapes
            or len(numeric) != 2
            or len(categorical) != 2
            or categorical[-1] != len(self.categories)
            or not numeric[-1]
            and not self.categories
        ):
            raise ValueError(
                "A dict of 'numeric', (batch, columns), and 'categorical', "
                f"(batch, {len(self.categories)}), is needed. Received: input_shape={input_shape}."
            )
        options = {"initializer": initializers.RandomUniform(*self.range_of(self.units))}
        if numeric[-1]:
            self.directions = self.add_weight(
                name="directions", shape=(numeric[-1], self.units), **options
            )
        if self.categories:
            rows = sum(self.categories)
            self.vectors = self.add_weight(name="vectors", shape=(rows, self.units), **options)
        count = numeric[-1] + len(self.categories)
        self.offsets = self.add_weight(name="offsets", shape=(count, self.units), **options)
        if self.class_token:
            self.token = self.add_weight(name="token", shape=(1, 1, self.units), **options)

    @staticmethod
    def range_of(units):
        """Return the range of the first weights, as the authors' code draws them."""
        return -1 / math.sqrt(units), 1 / math.sqrt(units)

    def call(self, inputs):
        tokens = []
        if "numeric" in inputs:
            tokens.append(inputs["numeric"][:, :, None] * self.directions)
        if self.categories:
            ids = known(ops.cast(inputs["categorical"], "int32"), self.categories)
            tokens.append(ops.take(self.vectors, ids, axis=0))
        x = (tokens[0] if len(tokens) == 1 else ops.concatenate(tokens, axis=1)) + self.offsets
        if not self.class_token:
            return x
        return ops.concatenate([ops.zeros_like(x[:, :1]) + self.token, x], axis=1)

    def compute_output_shape(self, input_shape):
        count = sum(shape[-1] for shape in input_shape.values()) + self.class_token
        return (next(iter(input_shape.values()))[0], count, self.units)


def known(ids, categories):
    """Return the rows of ids in a table of all columns' categories; unknown ids are 0."""
    counts = ops.convert_to_tensor(categories, "int32")
    starts = [sum(categories[:i]) for i in range(len(categories))]
    inside = ops.logical_and(ids >= 0, ids < counts)
    return ops.where(inside, ids, 0) + ops.convert_to_tensor(starts, "int32")


@register
class PeriodicEmbedding(Block):
    """Make a vector of every number by sines and cosines of learned frequencies, and a projection.

    Shape: `(batch, columns)` to `(batch, columns, units)`.

    Args:
        units: Length of a vector; 24 in the authors' package.
        frequencies: Number of frequencies of a column; 48 there.
        scale: Standard deviation of the first frequencies; 0.01 there, to be tuned.
        activation: Name of the Keras activation behind the projection, or `None`.

    Reference: [Gorishniy et al., 2022](https://arxiv.org/abs/2203.05556), section 3.3

    >>> PeriodicEmbedding(8)(np.ones((1, 3))).shape
    (1, 3, 8)
    """

    def __init__(self, units=24, frequencies=48, scale=0.01, *, activation="relu", **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units, frequencies=frequencies)
        check_above_zero(scale=scale)
        policy = self.dtype_policy
        self.waves = Waves(frequencies, scale, dtype=policy, name="waves")
        self.project = ColumnDense(units, dtype=policy, name="project")
        self.act = make_activation(activation, dtype=policy)
        self.input_spec = layers.InputSpec(ndim=2)

    def call(self, x):
        return self.act(self.project(self.waves(x)))


@register
class Waves(PlainArguments, layers.Layer):
    """Sines and cosines of a column's numbers: `(batch, columns)` to `(…, 2 * frequencies)`."""

    def __init__(self, frequencies, scale, **kwargs):
        super().__init__(**kwargs)
        self.frequencies, self.scale = frequencies, scale

    def build(self, input_shape):
        self.coefficients = self.add_weight(
            name="coefficients",
            shape=(input_shape[-1], self.frequencies),
            initializer=initializers.TruncatedNormal(stddev=self.scale),
        )

    def call(self, x):
        turns = 2 * math.pi * self.coefficients * x[:, :, None]
        return ops.concatenate([ops.cos(turns), ops.sin(turns)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape, 2 * self.frequencies)


@register
class ColumnDense(PlainArguments, layers.Layer):
    """A projection of its own for every column: `(batch, columns, …)` to `(…, units)`."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        _, columns, width = input_shape
        bound = 1 / math.sqrt(width)
        options = {"initializer": initializers.RandomUniform(-bound, bound)}
        self.kernel = self.add_weight(name="kernel", shape=(columns, width, self.units), **options)
        self.bias = self.add_weight(name="bias", shape=(columns, self.units), **options)

    def call(self, x):
        return ops.einsum("bcw,cwu->bcu", x, self.kernel) + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


@register
class PiecewiseLinear(PlainArguments, layers.Layer):
    """Scale every column of numbers by a curve of straight lines, and say where one is missing.

    Between two points it is linear; a number beyond the outermost, infinite ones included,
    counts as these. What is missing, NaN, is scaled to 0.

    Shape: `(batch, columns)` to `(batch, columns + gaps)`: after the scaled numbers, 1 where one
    is missing and else 0, of the columns in `gaps`.

    Args:
        points: Of every column a list of pairs, a number and what it becomes, the numbers rising,
            as `heads.Table` makes them of quantiles.
        gaps: Places of the columns that may have no number.

    In int8 files a number cannot be missing.

    Raises:
        ValueError: If numbers do not rise, or there are not as many lists as columns.

    >>> scale = PiecewiseLinear([[[0.0, -1.0], [10.0, 0.0], [100.0, 1.0]]], gaps=[0])
    >>> x = scale(np.array([[5.0], [np.inf], [np.nan]]))
    >>> np.array(x).tolist()
    [[-0.5, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """

    takes_missing = True  # in files of floats

    def __init__(self, points, gaps=(), **kwargs):
        super().__init__(autocast=False, **kwargs)  # large numbers in half precision are none
        for row in points:
            numbers = [number for number, _ in row]
            if not numbers or not all(a < b for a, b in zip(numbers, numbers[1:])):
                raise ValueError(f"The numbers of points rise. Received: {numbers[:9]}.")
        if any(not isinstance(i, int) or not 0 <= i < len(points) for i in gaps):
            raise ValueError(
                f"`gaps` must be places of the {len(points)} columns. Received: {list(gaps)}."
            )
        self.points, self.gaps = points, list(gaps)
        self.input_spec = layers.InputSpec(ndim=2)

    def build(self, input_shape):
        if input_shape[-1] != len(self.points):
            raise ValueError(
                f"There are points for {len(self.points)} columns. "
                f"Received: input_shape={tuple(input_shape)}."
            )

    def lines(self):
        """Return where each column's lines begin, their width and rise, and the first values."""
        most = max(2, *map(len, self.points))
        low, width, rise = np.zeros((3, len(self.points), most - 1), "float32")
        width += 1
        for i, row in enumerate(self.points):
            (x, y), last = np.array(row, "float32").T, len(row) - 1
            low[i, :last], width[i, :last], rise[i, :last] = x[:-1], np.diff(x), np.diff(y)
        start = np.array([row[0][1] for row in self.points], "float32")
        return low, width, rise, start

    def call(self, x):
        low, width, rise, start = self.lines()
        x = ops.cast(x, "float32")
        missing = ops.not_equal(x, x)
        known = ops.where(missing, 0.0, x)[:, :, None]
        y = start + ops.sum(rise * ops.clip((known - low) / width, 0.0, 1.0), axis=-1)
        y = [ops.cast(ops.where(missing, 0.0, y), self.compute_dtype)]
        if self.gaps:
            flags = ops.take(missing, ops.convert_to_tensor(self.gaps, "int32"), axis=1)
            y.append(ops.cast(flags, self.compute_dtype))
        return ops.concatenate(y, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], len(self.points) + len(self.gaps))
