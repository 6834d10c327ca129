"""U-Net: up again, beside what was seen on the way down."""

from keras import layers, ops

from blocks.attention_gate import AttentionGate, check_rank
from blocks.base import Block, PlainArguments, check_positive, register
from blocks.context import ResizeTo
from blocks.conv import ConvNormAct, DepthwiseSeparableConv
from blocks.residual import ResidualBlock
from heads.segmentation.base import SegmentationHead, check_names

BLOCKS = {
    "conv": (ConvNormAct, ConvNormAct),
    "residual": (ResidualBlock,),
    "separable": (DepthwiseSeparableConv, DepthwiseSeparableConv),
}


@register
class UNetHead(SegmentationHead):
    """Logits of every position: from coarse to fine, beside the backbone's maps of each size.

    With `nested` it is UNet++, with `attention` Attention U-Net. Where the finest level is
    coarser than the image, the logits are interpolated.

    With `deep_supervision` earlier maps of the decoder learn the targets, too: while it is trained,
    their logits lie behind the others, `(batch, *sides, maps * num_classes)`, and the loss of each
    counts half as much as that of the one after it. What is not trained has none of it.

    Shape: a dict of `"image"` and the levels, `(batch, *sides, channels)` each, to
    `(batch, *sides, num_classes)` with the image's sides.

    Args:
        num_classes: Number of classes; 1 is a binary mask.
        levels: Names of the features, fine to coarse.
        filters: Number of channels at the finest level; every coarser one has twice as many.
        block: What mixes the channels of a level: `"conv"`, two convolutions; `"residual"`, a
            `ResidualBlock`; `"separable"`, two depthwise-separable convolutions.
        attention: Whether the coarser map gates what comes from the backbone.
        nested: Whether there are levels between the backbone's and the decoder's (UNet++).
        upsample: How a coarser map is brought to the sides of a finer one: `"linear"`, or
            `"transposed"`, a convolution of 2 x 2 with weights, of half its channels.
        deep_supervision: Whether earlier maps of the decoder are trained as well: those of coarser
            levels, with `nested` those of the finest.
        rank: Number of sides: 2 for images, 3 for volumes.
        norm: Name of the normalization after each convolution.
        loss: Name of a loss, or a dict of several with their weights; see `SegmentationLoss`.
        ignore_label: The id of positions that do not count, or `None`.

    Raises:
        ValueError: If an argument is out of its range, or the features are others.

    Reference: [Ronneberger et al., 2015](https://arxiv.org/abs/1505.04597);
        [Oktay et al., 2018](https://arxiv.org/abs/1804.03999) (attention);
        [Zhou et al., 2018](https://arxiv.org/abs/1807.10165) (UNet++);
        [Isensee et al., 2021](https://doi.org/10.1038/s41592-020-01008-z) (weights of the maps)

    >>> maps = {"image": (1, 33, 32, 3), "P1": (1, 17, 16, 8), "P2": (1, 9, 8, 16)}
    >>> UNetHead(5, ["P1", "P2"])({k: np.ones(shape) for k, shape in maps.items()}).shape
    (1, 33, 32, 5)
    """

    def __init__(
        self,
        num_classes,
        levels=("P1", "P2", "P3", "P4", "P5"),
        filters=32,
        *,
        block="conv",
        attention=False,
        nested=False,
        upsample="linear",
        deep_supervision=False,
        rank=2,
        norm="batch",
        loss="cross_entropy",
        ignore_label=255,
        **kwargs,
    ):
        check_rank(rank)
        super().__init__(num_classes, levels, rank, loss=loss, ignore_label=ignore_label, **kwargs)
        check_positive(filters=filters)
        if len(check_names(levels)) < 2:
            raise ValueError(f"A U-Net needs at least two levels. Received: levels={levels!r}.")
        if not isinstance(block, str) or block not in BLOCKS:
            raise ValueError(f"`block` must be one of {sorted(BLOCKS)}. Received: block={block!r}.")
        if upsample not in ("linear", "transposed"):
            raise ValueError(
                f"`upsample` must be 'linear' or 'transposed'. Received: upsample={upsample!r}."
            )
        common = {"block": block, "attention": attention, "rank": rank, "norm": norm}
        common["upsample"] = upsample
        depth = len(levels) - 1
        self.stages = [
            [
                UNetStage(filters * 2**i, name=f"stage{i}_{j}", dtype=self.dtype_policy, **common)
                for j in range(depth - i)
                if nested or j == depth - i - 1
            ]
            for i in range(depth)
        ]
        if deep_supervision:
            self.targets = self.targets._replace(maps=depth)
            self.beside = LogitsBeside(num_classes, rank, depth - 1, name="beside")
        else:
            self.beside = None

    def build(self, input_shape):
        shapes = input_shape if isinstance(input_shape, dict) else {}  # others are told below
        sides = [shapes.get(level, ())[1:-1] for level in self.levels[1:]]
        grows = [
            None not in (a, b) and a < b
            for fine, coarse in zip(sides, sides[1:])
            for a, b in zip(fine, coarse)
        ]
        if any(grows):
            raise ValueError(
                "`levels` must go from fine to coarse. "
                f"Received: {dict(zip(self.levels[1:], sides))}."
            )
        super().build(input_shape)

    def call(self, features):
        maps = self.maps_of(features)
        rows = [[x] for x in maps]  # of every level, fine to coarse: the backbone's, and what came
        for i in reversed(range(len(maps) - 1)):
            # Of each step the stage of a level reads what the level below had before it.
            for stage, coarse in zip(self.stages[i], self.read(rows[i + 1])):
                rows[i].append(stage([*rows[i], coarse]))
        logits = self.logits_of(features, rows[0][-1])
        if self.beside is None:
            return logits
        earlier = rows[0][-2:0:-1] if len(self.stages[0]) > 1 else [row[-1] for row in rows[1:-1]]
        return self.beside([logits, *earlier])

    def read(self, row):
        """Return what the stages of the next finer level read: all maps, or the last."""
        return row if len(self.stages[0]) > 1 else row[-1:]


@register
class LogitsBeside(PlainArguments, layers.Layer):
    """Put the logits of further maps beside the first ones, in training alone.

    Shape: a list of logits `(batch, *sides, num_classes)` and maps of any sides and channels; to
    the first of them, or in training to `(batch, *sides, (1 + count) * num_classes)`.

    >>> LogitsBeside(3, 2, 1)([np.ones((1, 8, 8, 3)), np.ones((1, 4, 4, 6))], training=True).shape
    (1, 8, 8, 6)
    """

    def __init__(self, num_classes, rank, count, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        conv = {2: layers.Conv2D, 3: layers.Conv3D}[rank]
        self.convs = [conv(num_classes, 1, dtype="float32", name=f"conv{i}") for i in range(count)]
        self.resize = ResizeTo(dtype="float32", name="resize")

    def build(self, input_shape):
        for conv, shape in zip(self.convs, input_shape[1:]):
            conv.build(shape)

    def call(self, maps, training=False):
        logits, *others = maps
        if not training:
            return logits
        others = [self.resize([conv(x), logits]) for conv, x in zip(self.convs, others)]
        return ops.concatenate([logits, *others], axis=-1)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])


@register
class UNetStage(Block):
    """Bring the last map to the sides of the others, put them side by side, and convolve.

    Shape: a list of `(batch, *sides, channels)`, all of the same sides but the last, which is
    coarser, to `(batch, *sides, filters)`.

    >>> UNetStage(4)([np.ones((1, 8, 8, 6)), np.ones((1, 4, 4, 12))]).shape
    (1, 8, 8, 4)
    """

    def __init__(
        self,
        filters,
        *,
        block="conv",
        attention=False,
        upsample="linear",
        rank=2,
        norm="batch",
        **kwargs,
    ):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        grow = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[rank]
        self.grow = (
            grow(filters, 2, strides=2, dtype=policy, name="grow")
            if upsample == "transposed"
            else None
        )
        self.resize = ResizeTo(dtype=policy, name="resize")
        self.join = layers.Concatenate(dtype=policy, name="join")
        self.convs = [
            make(filters, rank=rank, norm=norm, dtype=policy, name=f"conv{i}")
            for i, make in enumerate(BLOCKS[block])
        ]
        self.gate = (
            AttentionGate(max(1, filters // 2), rank=rank, norm=norm, dtype=policy, name="gate")
            if attention
            else None
        )

    def call(self, maps):
        *fine, coarse = maps
        skip = self.join(fine) if len(fine) > 1 else fine[0]
        wide = coarse if self.grow is None else self.grow(coarse)
        wide = self.resize([wide, skip])
        if self.gate is not None:
            skip = self.gate([skip, coarse])
        x = self.join([skip, wide])
        for conv in self.convs:
            x = conv(x)
        return x
