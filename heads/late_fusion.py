"""Several heads, one answer."""

import keras
from keras import layers, ops

from blocks.base import PlainArguments, check_rate, register
from blocks.modality import kept
from heads.base import Head
from heads.multi_task.head import as_object

THERE = "there"  # the feature that says which inputs are there


@register
class LateFusionHead(Head):
    """Heads of one task on a feature each, whose raw outputs are averaged by learned weights.

    Losses, metrics and answers are those of the first head. With `may_miss` a further feature,
    `"there"`, `(batch, heads)`, says which features a sample has, 1 or 0; those that are missing
    do not count, whatever finite numbers stand in them. In training a share of those that are there
    is left out, too, so that every head learns to answer alone.

    Shape: a dict of features by the names of `parts` to what their heads give.

    Args:
        parts: A dict of heads of one kind by the names of features; heads that take one feature,
            or their configurations, as `keras.saving.serialize_keras_object` writes them.
        may_miss: Whether features may be missing.
        rate: Chance of a feature to be left out in training, with `may_miss`.
        seed: Seed of that, a whole number; `None` draws one.

    Raises:
        ValueError: If there are fewer than two heads, one takes levels, or their raw outputs
            differ in shape.

    Reference: [Kittler et al., 1998](https://doi.org/10.1109/34.667881), section 3: of logits the
    mean is the product rule

    >>> from heads import RegressionHead
    >>> head = LateFusionHead({"image": RegressionHead(), "table": RegressionHead()})
    >>> head({"image": np.ones((4, 8)), "table": np.ones((4, 3))}).shape
    (4, 1)
    """

    def __init__(self, parts, *, may_miss=False, rate=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_rate(rate=rate)
        right = isinstance(parts, dict) and len(parts) > 1 and THERE not in parts
        if right:
            parts = {name: as_object(head) for name, head in parts.items()}
        if not right or not all(map(is_plain, parts.values())):
            found = {k: type(x).__name__ for k, x in parts.items()} if right else parts
            raise ValueError(
                "`parts` must be a dict of two or more heads that take one feature and answer by "
                f"their raw output alone, by the names of features. Received: {found}."
            )
        if rate and not may_miss:
            raise ValueError(
                f"A `rate` belongs to features that may be missing. Received: rate={rate}, "
                "may_miss=False."
            )
        self.parts = dict(parts)
        self.mean_options = {"may_miss": may_miss, "rate": rate, "seed": seed}
        self.levels = (*parts, *[THERE] * may_miss)
        self.mean = TrustedMean(**self.mean_options, dtype="float32", name="mean")

    @property
    def first(self):
        return next(iter(self.parts.values()))

    @property
    def answer_name(self):
        return self.first.answer_name

    def call(self, features):
        made = [head(features[name]) for name, head in self.parts.items()]
        shapes = {name: tuple(x.shape[1:]) for name, x in zip(self.parts, made)}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"Heads of one kind give the same shape. Received: {shapes}.")
        there = [features[THERE]] if THERE in self.levels else []
        return self.mean([*made, *there])

    def loss(self):
        return self.first.loss()

    def make_metrics(self):
        return self.first.make_metrics()

    def decoder(self, **options):
        return self.first.decoder(**options)

    def options(self):
        return self.first.options()

    def check(self, targets):
        return self.first.check(targets)

    def doubts(self, targets):
        return self.first.doubts(targets)

    def get_config(self):
        parts = {k: keras.saving.serialize_keras_object(x) for k, x in self.parts.items()}
        return {**layers.Layer.get_config(self), "parts": parts, **self.mean_options}


def is_plain(head):
    """Return whether a head takes one feature, and answers by what it trains on."""
    return isinstance(head, Head) and head.levels is None and type(head).answer is Head.answer


@register
class TrustedMean(PlainArguments, layers.Layer):
    """A mean of tensors by learned weights, with `may_miss` of those that the last input names.

    Shape: a list of equal `(batch, ...)`, with `may_miss` `(batch, tensors)` last, to one such.
    """

    stays_float = True  # in int8 files: what divides may be 0 in 256 steps

    def __init__(self, may_miss=False, rate=0.0, *, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.may_miss, self.rate = may_miss, rate
        self.random = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        self.count = len(input_shape) - self.may_miss
        if self.may_miss and tuple(input_shape[-1][1:]) != (self.count,):
            raise ValueError(
                f"`there` has a number for each of {self.count} features. "
                f"Received: shape {tuple(input_shape[-1])}."
            )
        self.trust = self.add_weight(name="trust", shape=(self.count,), initializer="zeros")

    def call(self, inputs, training=False):
        values = inputs[: self.count]
        share = ops.softmax(self.trust[None])
        if self.may_miss:
            there = ops.cast(ops.not_equal(inputs[-1], 0), share.dtype)
            there = kept(there, self.rate, self.random) if training and self.rate else there
            share = share * there
            share = share / ops.maximum(ops.sum(share, axis=-1, keepdims=True), 1e-7)
        shares = ops.split(share, self.count, axis=-1)
        sides = (-1,) + (1,) * (len(values[0].shape) - 1)
        return sum(ops.reshape(s, sides) * x for s, x in zip(shares, values))

    def compute_output_shape(self, input_shape):
        return input_shape[0]
