"""Blocks over feature maps of several resolutions."""

from keras import layers, ops

from blocks.base import Block, check_positive, register


@register
class FeaturePyramid(Block):
    """Add every coarse map, doubled in size, to the next finer one.

    Shape: a list of `(batch, height_i, width_i, channels_i)`, fine to coarse, each half the
    one before, or a dict of them (`{"P3": …, "P4": …}`), to the same with `filters` channels.

    Args:
        filters: Number of channels of every output level.

    Raises:
        ValueError: If there are fewer than two levels, or one is larger than the one before.

    Reference: [Lin et al., 2016](https://arxiv.org/abs/1612.03144)

    >>> maps = [np.ones((1, 8, 8, 4)), np.ones((1, 4, 4, 6))]
    >>> [y.shape for y in FeaturePyramid(5)(maps)]
    [(1, 8, 8, 5), (1, 4, 4, 5)]
    """

    def __init__(self, filters=256, **kwargs):
        super().__init__(**kwargs)
        check_positive(filters=filters)
        self.filters = filters
        self.double = layers.UpSampling2D(2, dtype=self.dtype_policy, name="double")

    def build(self, input_shape):
        shapes = [input_shape[key] for key in levels_of(input_shape)]
        sides = [shape[1:3] for shape in shapes]
        if len(shapes) < 2 or any(
            a is not None and b is not None and a < b
            for fine, coarse in zip(sides, sides[1:])
            for a, b in zip(fine, coarse)
        ):
            raise ValueError(
                "At least two maps are needed, from fine to coarse. "
                f"Received: input_shape={input_shape}."
            )

        def convs(kernel_size, name):
            return [
                layers.Conv2D(
                    self.filters,
                    kernel_size,
                    padding="same",
                    dtype=self.dtype_policy,
                    name=f"{name}{i}",
                )
                for i in range(len(shapes))
            ]

        self.laterals, self.outputs = convs(1, "lateral"), convs(3, "output")
        super().build(input_shape)

    def call(self, features):
        levels = levels_of(features)
        merged = [lateral(features[key]) for lateral, key in zip(self.laterals, levels)]
        for i in reversed(range(len(merged) - 1)):
            merged[i] = merged[i] + self.fit(self.double(merged[i + 1]), merged[i])
        outputs = [output(x) for output, x in zip(self.outputs, merged)]
        return dict(zip(levels, outputs)) if isinstance(features, dict) else outputs

    def fit(self, coarse, fine):
        """Cut or continue the edges of a doubled map: sides are odd, or lost to 'valid'."""
        for axis in (1, 2):
            have, need = coarse.shape[axis], fine.shape[axis]
            if None not in (have, need) and have < need:
                edge = coarse[:, -1:] if axis == 1 else coarse[:, :, -1:]
                coarse = ops.concatenate([coarse] + [edge] * (need - have), axis=axis)
        if None not in fine.shape[1:3] and coarse.shape[1:3] == fine.shape[1:3]:
            return coarse
        height, width = ops.shape(fine)[1:3]
        return coarse[:, :height, :width]


def levels_of(features):
    """Return the keys of a list or dict of levels, fine to coarse."""
    return sorted(features) if isinstance(features, dict) else range(len(features))
