"""SegFormer: a head of dense layers alone."""

from keras import layers

from blocks.base import check_positive, check_rate, register
from blocks.context import ResizeTo
from blocks.conv import ConvNormAct
from heads.segmentation.base import LEVELS, SegmentationHead


@register
class SegFormerHead(SegmentationHead):
    """Logits of every position from all levels, projected, put side by side and projected again.

    Shape: a dict of `"image"` and the levels, `(batch, height, width, channels)` each, to
    `(batch, height, width, num_classes)` with the image's sides.

    Args:
        num_classes: Number of classes; 1 is a binary mask.
        levels: Names of the features, fine to coarse.
        filters: Number of channels: 256 with SegFormer's two small backbones, 768 with its others.
        dropout: Share of the channels that is dropped before the logits in training.
        norm: Name of the normalization after the second projection.
        loss: Name of a loss, or a dict of several with their weights; see `SegmentationLoss`.
        ignore_label: The id of positions that do not count, or `None`.

    Raises:
        ValueError: If an argument is out of its range, or the features are others.

    Reference: [Xie et al., 2021](https://arxiv.org/abs/2105.15203)

    >>> maps = {"image": (1, 33, 32, 3), "P2": (1, 9, 8, 8), "P3": (1, 5, 4, 16)}
    >>> SegFormerHead(5, ["P2", "P3"])({k: np.ones(shape) for k, shape in maps.items()}).shape
    (1, 33, 32, 5)
    """

    def __init__(
        self,
        num_classes,
        levels=LEVELS,
        filters=256,
        *,
        dropout=0.1,
        norm="batch",
        loss="cross_entropy",
        ignore_label=255,
        **kwargs,
    ):
        super().__init__(num_classes, levels, 2, loss=loss, ignore_label=ignore_label, **kwargs)
        check_positive(filters=filters)
        check_rate(dropout=dropout)
        policy = self.dtype_policy
        # Without biases: the norm behind the second projection takes them off again.
        self.project = [
            layers.Dense(filters, use_bias=False, dtype=policy, name=f"project{i}")
            for i in range(len(levels))
        ]
        self.resize = ResizeTo(dtype=policy, name="resize")
        self.join = layers.Concatenate(dtype=policy, name="join")
        self.mix = ConvNormAct(filters, 1, norm=norm, dtype=policy, name="mix")
        self.drop = layers.SpatialDropout2D(dropout, dtype=policy, name="drop")

    def call(self, features):
        maps = [project(x) for project, x in zip(self.project, self.maps_of(features))]
        wide = [self.resize([x, maps[0]]) for x in maps]
        x = self.join(wide) if len(wide) > 1 else wide[0]
        return self.logits_of(features, self.drop(self.mix(x)))
