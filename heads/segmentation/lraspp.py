"""LR-ASPP: the light head of MobileNetV3."""

from keras import layers

from blocks.base import check_positive, register
from blocks.context import ResizeTo
from blocks.conv import ConvNormAct
from heads.segmentation.base import SegmentationHead


@register
class LRASPPHead(SegmentationHead):
    """Logits of every position from a coarse map, gated by its mean, and from a fine one.

    Shape: a dict of `"image"` and the levels, `(batch, height, width, channels)` each, to
    `(batch, height, width, num_classes)` with the image's sides.

    Args:
        num_classes: Number of classes; 1 is a binary mask.
        level: Name of the coarse feature.
        low_level: Name of the fine feature.
        filters: Number of channels.
        norm: Name of the normalization after the convolution.
        loss: Name of a loss, or a dict of several with their weights; see `SegmentationLoss`.
        ignore_label: The id of positions that do not count, or `None`.

    Raises:
        ValueError: If an argument is out of its range, or the features are others.

    Reference: [Howard et al., 2019](https://arxiv.org/abs/1905.02244), section 6.4, with the mean
        of the whole map, as in torchvision

    >>> maps = {"image": (1, 33, 32, 3), "P3": (1, 5, 4, 8), "P5": (1, 2, 1, 16)}
    >>> LRASPPHead(5)({k: np.ones(shape) for k, shape in maps.items()}).shape
    (1, 33, 32, 5)
    """

    def __init__(
        self,
        num_classes,
        level="P5",
        low_level="P3",
        filters=128,
        *,
        norm="batch",
        loss="cross_entropy",
        ignore_label=255,
        **kwargs,
    ):
        super().__init__(
            num_classes, [low_level, level], 2, loss=loss, ignore_label=ignore_label, **kwargs
        )
        check_positive(filters=filters)
        policy = self.dtype_policy
        self.conv = ConvNormAct(filters, 1, norm=norm, dtype=policy, name="conv")
        self.pool = layers.GlobalAveragePooling2D(keepdims=True, dtype=policy, name="pool")
        self.gate = layers.Conv2D(
            filters, 1, use_bias=False, activation="sigmoid", dtype=policy, name="gate"
        )
        self.resize = ResizeTo(dtype=policy, name="resize")
        self.fine = layers.Conv2D(num_classes, 1, use_bias=False, dtype="float32", name="fine")

    def call(self, features):
        low, high = self.maps_of(features)
        x = self.resize([self.conv(high) * self.gate(self.pool(high)), low])
        return self.to_image([self.logits(x) + self.fine(low), features["image"]])
