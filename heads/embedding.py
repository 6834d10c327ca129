"""From a feature to one vector whose direction means something."""

from keras import layers, ops

from blocks.base import (
    Block,
    PlainArguments,
    check_positive,
    check_rate,
    has_norm,
    make_norm,
    register,
)
from heads.pooling import make_pool


@register
class Embedder(Block):
    """Pool, normalize, drop, project, normalize: one vector for an input.

    Shape: `(batch, ..., channels)` to `(batch, size)`.

    Args:
        size: Numbers in a vector.
        pool: `"average"` or `"depthwise"`, as in `MarginHead`.
        norm: Normalization of the pooled feature and of the vector.
        dropout: Share of the normalized feature that is dropped in training.

    Reference: [Deng et al., 2018](https://arxiv.org/abs/1801.07698), section 3.2 (option E)

    >>> Embedder(32)(np.ones((1, 7, 7, 16))).shape
    (1, 32)
    """

    def __init__(self, size, pool="average", *, norm="batch", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(embedding_size=size)
        check_rate(dropout=dropout)
        self.supports_masking = True
        self.norm = norm
        policy = self.dtype_policy
        self.pool = make_pool(pool, dtype=policy, name="pool")
        self.drop = layers.Dropout(dropout, dtype=policy, name="drop")
        self.project = layers.Dense(size, use_bias=not has_norm(norm), dtype=policy, name="project")
        self.after = make_norm(norm, size, dtype=policy, name="after")

    def build(self, input_shape):
        self.before = make_norm(self.norm, input_shape[-1], dtype=self.dtype_policy, name="before")
        super().build(input_shape)

    def call(self, x):
        return self.after(self.project(self.drop(self.before(self.pool(x)))))

    def compute_mask(self, inputs, previous_mask):
        return None  # a vector has no positions left that could be padding


@register
class Renamed(layers.Wrapper):
    """A head's layer, the same weights, under a name that no other head's has.

    Shape: as the layer's.

    Args:
        layer: A layer that uses up the mask of its input.

    >>> Renamed(Embedder(32), name="face_embedding")(np.ones((1, 7, 7, 16))).shape
    (1, 32)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def call(self, x):
        return self.layer(x)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)


@register
class UnitLength(PlainArguments, layers.Layer):
    """Divide vectors by their length; a vector of zeros stays one.

    Shape: `(batch, size)` to the same.

    >>> x = np.array([[3.0, 4.0]], "float32")
    >>> keras.ops.convert_to_numpy(UnitLength(dtype="float32")(x)).round(2).tolist()
    [[0.6, 0.8]]
    """

    def call(self, x):
        return unit_length(x, axis=-1)


@register
class Cosines(PlainArguments, layers.Layer):
    """Scaled cosines between a vector and the nearest centre of every class.

    Shape: `(batch, size)` to `(batch, num_classes)`.

    Args:
        num_classes: Number of classes.
        subcenters: Centres of each class.
        scale: Number by which the cosines are multiplied.

    >>> Cosines(10)(np.ones((1, 32))).shape
    (1, 10)
    """

    def __init__(self, num_classes, subcenters=1, scale=64.0, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.subcenters, self.scale = num_classes, subcenters, scale

    def build(self, input_shape):
        shape = (input_shape[-1], self.num_classes * self.subcenters)
        self.centers = self.add_weight(shape=shape, name="centers")

    def call(self, x):
        cosines = ops.matmul(unit_length(x, axis=-1), unit_length(self.centers, axis=0))
        if self.subcenters > 1:
            cosines = ops.reshape(cosines, (-1, self.num_classes, self.subcenters))
            cosines = ops.max(cosines, axis=-1)
        return self.scale * cosines

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_classes)


def unit_length(x, axis):
    """Return vectors divided by their length.

    `keras.ops.normalize` has a slope of NaN at zero, where the vectors of a batch of one row lie
    behind a batch normalization.
    """
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, 1e-12))
