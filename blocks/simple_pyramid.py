"""A pyramid from a single map, for transformers that keep one resolution."""

import math

from keras import layers, ops

from blocks.base import Block, PlainArguments, check_positive, make_activation, register


@register
class SimpleFeaturePyramid(Block):
    """Make maps of four resolutions from one: four times, twice, once and half its sides.

    Shape: `(batch, height, width, channels)` to a list of four maps with `filters` channels,
    fine to coarse, the last rounded up.

    Args:
        filters: Number of channels of every output level; 256 in the paper.

    Reference: [Li et al., 2022](https://arxiv.org/abs/2203.16527), section 3

    >>> [y.shape for y in SimpleFeaturePyramid(5)(np.ones((1, 3, 2, 8)))][1:]
    [(1, 6, 4, 5), (1, 3, 2, 5), (1, 2, 1, 5)]
    """

    def __init__(self, filters=256, **kwargs):
        super().__init__(**kwargs)
        check_positive(filters=filters)
        policy = self.dtype_policy

        def norm(name):
            return layers.LayerNormalization(epsilon=1e-6, dtype=policy, name=name)

        def convs(kernel_size, name):
            return [
                layers.Conv2D(
                    filters,
                    kernel_size,
                    padding="same",
                    use_bias=False,
                    dtype=policy,
                    name=f"{name}{i}",
                )
                for i in range(4)
            ]

        self.up_norm, self.act = norm("up_norm"), make_activation("gelu", dtype=policy)
        self.halve = layers.MaxPooling2D(2, padding="same", dtype=policy, name="halve")
        self.laterals, self.outputs = convs(1, "lateral"), convs(3, "output")
        self.lateral_norms = [norm(f"lateral_norm{i}") for i in range(4)]
        self.output_norms = [norm(f"output_norm{i}") for i in range(4)]
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        def double(share, name):
            units = max(1, input_shape[-1] // share)
            return layers.Conv2DTranspose(units, 2, 2, dtype=self.dtype_policy, name=name)

        self.up2, self.up4 = double(2, "up2"), double(4, "up4")
        self.up = double(2, "up")
        super().build(input_shape)

    def call(self, x):
        finest = self.up4(self.act(self.up_norm(self.up2(x))))
        maps = [finest, self.up(x), x, self.halve(x)]
        maps = [norm(conv(y)) for conv, norm, y in zip(self.laterals, self.lateral_norms, maps)]
        return [norm(conv(y)) for conv, norm, y in zip(self.outputs, self.output_norms, maps)]


@register
class FoldLike(PlainArguments, layers.Layer):
    """Lay tokens out as the map that they were, known or not; tokens before them are left out.

    Shape: a list of two, `(batch, length, channels)` and a map of as many positions or fewer,
    to a map of the tokens' channels with the sides of the other.

    >>> FoldLike()([np.ones((1, 7, 3)), np.ones((1, 2, 3, 5))]).shape
    (1, 2, 3, 3)
    """

    def call(self, inputs):
        x, like = inputs
        sides = ops.shape(like)[1:-1]
        return ops.reshape(x[:, ops.shape(x)[1] - math.prod(sides) :], (-1, *sides, x.shape[-1]))

    def compute_output_shape(self, input_shape):
        x, like = input_shape
        return (*like[:-1], x[-1])
