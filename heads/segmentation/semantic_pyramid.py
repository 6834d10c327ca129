"""Semantic FPN: every level of a feature pyramid, added up at the finest."""

from blocks.base import check_positive, register
from blocks.context import ResizeTo
from blocks.conv import ConvNormAct
from blocks.pyramid import FeaturePyramid
from heads.segmentation.base import LEVELS, SegmentationHead


@register
class PyramidSegmentationHead(SegmentationHead):
    """Logits of every position from a `FeaturePyramid` whose levels are added up at the finest.

    Every level is convolved and doubled until it has the finest one's sides.

    Shape: a dict of `"image"` and the levels, `(batch, height, width, channels)` each, to
    `(batch, height, width, num_classes)` with the image's sides.

    Args:
        num_classes: Number of classes; 1 is a binary mask.
        levels: Names of the features, fine to coarse, each half the one before.
        filters: Number of channels of what is added up.
        pyramid_filters: Number of channels of the pyramid.
        norm: Name of the normalization after each convolution.
        loss: Name of a loss, or a dict of several with their weights; see `SegmentationLoss`.
        ignore_label: The id of positions that do not count, or `None`.

    Raises:
        ValueError: If an argument is out of its range, or the features are others.

    Reference: [Kirillov et al., 2019](https://arxiv.org/abs/1901.02446)

    >>> maps = {"image": (1, 33, 32, 3), "P2": (1, 9, 8, 8), "P3": (1, 5, 4, 16)}
    >>> PyramidSegmentationHead(5, ["P2", "P3"])({k: np.ones(s) for k, s in maps.items()}).shape
    (1, 33, 32, 5)
    """

    def __init__(
        self,
        num_classes,
        levels=LEVELS,
        filters=128,
        *,
        pyramid_filters=256,
        norm="group",
        loss="cross_entropy",
        ignore_label=255,
        **kwargs,
    ):
        super().__init__(num_classes, levels, 2, loss=loss, ignore_label=ignore_label, **kwargs)
        check_positive(filters=filters, pyramid_filters=pyramid_filters)
        if len(levels) < 2:
            raise ValueError(f"A pyramid needs at least two levels. Received: levels={levels!r}.")
        policy = self.dtype_policy
        self.pyramid = FeaturePyramid(pyramid_filters, dtype=policy, name="pyramid")
        self.resize = ResizeTo(dtype=policy, name="resize")
        self.branches = [
            [
                ConvNormAct(filters, 3, norm=norm, dtype=policy, name=f"branch{i}_{j}")
                for j in range(max(1, i))
            ]
            for i in range(len(levels))
        ]

    def call(self, features):
        maps = self.pyramid(self.maps_of(features))
        return self.logits_of(features, sum(self.upward(maps, i) for i in range(len(maps))))

    def upward(self, maps, i):
        """Return a level, convolved before each step to the sides of the next finer one."""
        x = maps[i]
        for step, conv in enumerate(self.branches[i], start=1):
            x = conv(x)
            x = self.resize([x, maps[i - step]]) if i else x
        return x
