"""The columns of a table as vectors."""

import math

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
