"""What every head of segmentation shares."""

from keras import layers

from blocks.base import check_positive
from blocks.context import ResizeTo
from heads.base import Head
from heads.segmentation.boundary import BoundaryF1
from heads.segmentation.decoder import MaskDecoder
from heads.segmentation.loss import SegmentationLoss
from heads.segmentation.masks import MaskTargets
from heads.segmentation.scores import MaskDice, MaskIoU, PixelAccuracy

LEVELS = ("P2", "P3", "P4", "P5")


class SegmentationHead(Head):
    """Logits of classes for every position of the image, whatever its sides.

    A subclass turns features into a map of any sides, and returns `self.logits_of(features, map)`.
    The image is one of its features, of which it takes the sides alone: so raw outputs, targets
    and answers have the image's size, also where that is odd or open.
    """

    answer_name = "classes"
    by_batch = True

    def __init__(
        self, num_classes, levels, rank=2, *, loss="cross_entropy", ignore_label=255, **kwargs
    ):
        super().__init__(**kwargs)
        check_positive(num_classes=num_classes)
        if ignore_label is not None and (
            isinstance(ignore_label, bool) or not isinstance(ignore_label, int)
        ):
            raise ValueError(
                "`ignore_label` must be a whole number, or None. "
                f"Received: ignore_label={ignore_label!r}."
            )
        if ignore_label is not None and 0 <= ignore_label < max(num_classes, 2):
            raise ValueError(
                f"The ignored label must be none of the classes, 0 to {max(num_classes, 2) - 1}. "
                f"Received: ignore_label={ignore_label}. Give another, or None."
            )
        self.levels = ("image", *check_names(levels))
        self.rank = rank
        self.targets = MaskTargets(num_classes, ignore_label)
        self.parts = loss
        self.loss()  # wrong names are told now
        conv = {2: layers.Conv2D, 3: layers.Conv3D}[rank]
        self.logits = conv(num_classes, 1, dtype="float32", name="logits")
        self.to_image = ResizeTo(dtype="float32", name="to_image")

    def logits_of(self, features, x):
        """Return the logits of a map at the size of the image."""
        return self.to_image([self.logits(x), features["image"]])

    def maps_of(self, features):
        """Return the maps, as the levels were given."""
        return [features[level] for level in self.levels[1:]]

    def build(self, input_shape):
        wrong = not isinstance(input_shape, dict) or any(
            len(input_shape.get(level, ())) != self.rank + 2 for level in self.levels
        )
        if wrong:
            sides = "height, width" if self.rank == 2 else "depth, height, width"
            raise ValueError(
                f"A dict of maps (batch, {sides}, channels) with the names "
                f"{', '.join(self.levels)} is needed. Received: {input_shape}."
            )
        super().build(input_shape)

    def loss(self):
        return SegmentationLoss(self.parts, **self.targets._asdict())

    def make_metrics(self):
        form = self.targets._asdict()
        metrics = [MaskIoU(**form), MaskDice(**form), PixelAccuracy(**form)]
        return metrics if self.rank == 3 else [*metrics, BoundaryF1(**form)]

    def decoder(self, *, probabilities=False, threshold=None):
        """Return the layer from logits to `"classes"`, and `"probabilities"` where asked for.

        Args:
            probabilities: Whether to answer with the probability of every class as well,
                `(batch, *sides, num_classes)`.
            threshold: Least probability that makes a position part of a binary mask; 0.5 by
                default.
        """
        return MaskDecoder(
            self.targets.num_classes,
            probabilities=probabilities,
            threshold=threshold,
            dtype="float32",
            name=f"{self.name}_decoder",
        )

    @property
    def sides(self):
        """The sides of the image as far as they are known: of the model that the head is in."""
        if self._inbound_nodes:
            return tuple(self._inbound_nodes[0].outputs[0].shape[1:-1])
        return (None,) * self.rank

    def check(self, targets):
        return self.targets.problems(targets, self.sides)

    def check_beside(self, inputs, targets):
        images = [x for x in inputs if len(x.shape) == self.rank + 2]
        sides = tuple(images[0].shape[1:-1]) if len(images) == 1 else (None,) * self.rank
        fits = self.targets.fits(targets.shape, sides)
        return [] if fits else [self.targets.misfit(targets.shape, sides)]

    def shrink(self, targets):
        return self.targets.shrink(targets)

    def doubts(self, targets):
        return self.targets.doubts(targets)


def check_names(levels):
    """Return names of levels as a tuple; raise where they are none, or not each its own."""
    listed = isinstance(levels, (list, tuple)) and levels
    if not listed or not all(isinstance(x, str) for x in levels) or len({*levels}) < len(levels):
        raise ValueError(
            "Levels must be names of features, each once, fine to coarse, such as "
            f'["P2", "P3", "P4", "P5"]. Received: {levels!r}.'
        )
    return tuple(levels)
