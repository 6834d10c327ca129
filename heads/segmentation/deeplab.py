"""DeepLab: wide surroundings by dilation."""

from keras import layers

from blocks.base import check_positive, register
from blocks.context import AtrousPyramidPooling, ResizeTo
from blocks.conv import ConvNormAct, DepthwiseSeparableConv
from heads.segmentation.base import SegmentationHead


@register
class DeepLabHead(SegmentationHead):
    """Logits of every position from dilated convolutions of a coarse map, and a fine one beside it.

    Without a fine map it is DeepLabV3, with one DeepLabV3+. The papers' rates, 6, 12 and 18, are
    for maps of stride 16; the default ones see as many pixels of a map of stride 32.

    Shape: a dict of `"image"` and the levels, `(batch, height, width, channels)` each, to
    `(batch, height, width, num_classes)` with the image's sides.

    Args:
        num_classes: Number of classes; 1 is a binary mask.
        level: Name of the coarse feature.
        low_level: Name of the fine feature; `None` for DeepLabV3.
        filters: Number of channels.
        rates: Dilations of the coarse map's convolutions.
        separable: Whether the convolutions are depthwise-separable.
        dropout: Share of the pooled map that is dropped in training.
        norm: Name of the normalization after each convolution.
        loss: Name of a loss, or a dict of several with their weights; see `SegmentationLoss`.
        ignore_label: The id of positions that do not count, or `None`.

    Raises:
        ValueError: If an argument is out of its range, or the features are others.

    Reference: [Chen et al., 2017](https://arxiv.org/abs/1706.05587) (V3);
        [Chen et al., 2018](https://arxiv.org/abs/1802.02611) (V3+)

    >>> maps = {"image": (1, 33, 32, 3), "P2": (1, 9, 8, 8), "P5": (1, 2, 1, 16)}
    >>> DeepLabHead(5, filters=8)({k: np.ones(shape) for k, shape in maps.items()}).shape
    (1, 33, 32, 5)
    """

    def __init__(
        self,
        num_classes,
        level="P5",
        low_level="P2",
        filters=256,
        rates=(3, 6, 9),
        *,
        separable=True,
        dropout=0.1,
        norm="batch",
        loss="cross_entropy",
        ignore_label=255,
        **kwargs,
    ):
        levels = [level] if low_level is None else [low_level, level]
        super().__init__(num_classes, levels, 2, loss=loss, ignore_label=ignore_label, **kwargs)
        check_positive(filters=filters)
        common = {"norm": norm, "dtype": self.dtype_policy}
        conv = DepthwiseSeparableConv if separable else ConvNormAct
        self.context = AtrousPyramidPooling(
            filters, rates, separable=separable, dropout=dropout, name="context", **common
        )
        self.conv = conv(filters, 3, name="conv", **common)
        if low_level is not None:
            self.fine = ConvNormAct(48, 1, name="fine", **common)  # 48: the paper's, table 1
            self.resize = ResizeTo(dtype=self.dtype_policy, name="resize")
            self.join = layers.Concatenate(dtype=self.dtype_policy, name="join")
            self.refine = conv(filters, 3, name="refine", **common)

    def call(self, features):
        *low, high = self.maps_of(features)
        x = self.context(high)
        for fine in low:
            x = self.refine(self.join([self.resize([x, fine]), self.fine(fine)]))
        return self.logits_of(features, self.conv(x))
