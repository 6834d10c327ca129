"""Embeddings of a whole input, learned behind angular margins."""

from blocks.base import check_positive, register
from heads.base import Head
from heads.classes import ClassTargets
from heads.embedding import Cosines, Embedder, Renamed, UnitLength
from heads.margin_loss import MarginLoss
from heads.scores import Accuracy, OwnAngle


@register
class MarginHead(Head):
    """An embedding whose angles tell identities apart, also those never trained on.

    It is trained as a classifier: the raw output is, for each class, the cosine between the
    embedding and the class's nearest centre, times `scale`; the loss makes that of the right
    class smaller by a margin. `heads.deploy` answers with the embedding, of length 1, without
    the centres. Its scores are `accuracy`, without margin, and `angle`, in degrees from an
    embedding to its own class. `heads.verification` tells what it is worth for new identities.

    Shape: `(batch, ..., channels)` to `(batch, num_classes)`; channels alone, tokens, maps.
    Padding that a mask marks does not count. The deployed embedding is `(batch, embedding_size)`.

    Args:
        num_classes: Number of identities to train on.
        embedding_size: Numbers in an embedding; 512 in ArcFace, 128 in MobileFaceNet.
        loss: `"arcface"` or `"cosface"`.
        margin: Angle in radians or, for `"cosface"`, cosine; by default 0.5 and 0.35, as in the
            papers.
        scale: Number by which the cosines are multiplied; 64 in the papers, for thousands of
            classes. For tens of them 16 learns better.
        subcenters: Centres of each class, the nearest of which counts; 3 in its paper, for
            labels that are noisy.
        pool: How a map becomes a vector: `"average"`, or `"depthwise"`, a learned weight for
            every position, as in MobileFaceNet, for maps of a known size.
        norm: Normalization before and after the projection to the embedding: `"batch"` is the
            papers' BN-Dropout-FC-BN, `"none"` leaves both out; others as in every block.
        dropout: Share of the feature that is dropped before the projection; 0.4 in ArcFace.

    Raises:
        ValueError: If an argument is out of its range, or the feature has no fixed channels.

    Reference: [Deng et al., 2018](https://arxiv.org/abs/1801.07698) (ArcFace),
    [Wang et al., 2018](https://arxiv.org/abs/1801.09414) (CosFace),
    [Deng et al., 2020](https://doi.org/10.1007/978-3-030-58621-8_43) (sub-centres)

    >>> MarginHead(1000)(np.ones((1, 7, 7, 16))).shape
    (1, 1000)
    """

    answer_name = "embedding"

    def __init__(
        self,
        num_classes,
        embedding_size=128,
        *,
        loss="arcface",
        margin=None,
        scale=64.0,
        subcenters=1,
        pool="average",
        norm="batch",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_classes=num_classes, subcenters=subcenters)
        if num_classes < 2:
            raise ValueError(
                "`num_classes` must be at least 2, which embeddings are told apart by. "
                f"Received: num_classes={num_classes}."
            )
        self.targets = ClassTargets(num_classes)
        self.loss_options = {"kind": loss, "margin": margin, "scale": scale}
        self.loss()  # wrong options are told now
        self.embed = Embedder(
            embedding_size, pool, norm=norm, dropout=dropout, dtype="float32", name="embed"
        )
        self.cosines = Cosines(num_classes, subcenters, scale, dtype="float32", name="cosines")

    def call(self, x):
        return self.cosines(self.embed(x))

    def loss(self):
        return MarginLoss(self.targets.num_classes, **self.loss_options)

    def make_metrics(self):
        classes = self.targets.num_classes
        return [Accuracy(classes), OwnAngle(classes, scale=self.loss_options["scale"])]

    def answer(self, features, *, normalize=True):
        """Return the symbolic embedding.

        Args:
            features: The symbolic feature that the head takes.
            normalize: Whether it has length 1, so that a product of two is their cosine.
        """
        if not isinstance(normalize, bool):
            raise ValueError(f"`normalize` must be True or False. Received: {normalize!r}.")
        # In one model with other heads, whose layers have the same names.
        x = Renamed(self.embed, dtype="float32", name=f"{self.name}_embed")(features)
        if not normalize:
            return x
        return UnitLength(dtype="float32", name=f"{self.name}_unit_length")(x)

    def check(self, targets):
        return self.targets.problems(targets)

    def doubts(self, targets):
        return self.targets.doubts(targets)
