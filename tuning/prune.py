"""Structured pruning: the channels that matter least are cut, and the network rebuilt narrower."""

from dataclasses import dataclass

import keras

import heads
from blocks.graph import trace, trace_layers
from export.macs import rows_of
from export.table import render
from tuning.channel_choice import BY, Choice
from tuning.channels import read
from tuning.checks import is_number
from tuning.freezing import unfreeze
from tuning.narrow import WrongWidth, check, narrowed


def prune(
    model: keras.Model,
    macs: float = 0.5,
    *,
    by: str = "norm",
    multiple: int = 8,
    input_shape=None,
) -> keras.Model:
    """Return a narrower copy of a trained model, to be trained on with `fit`.

    Channels that can only go together (of all that meet in a sum, a gate, a concatenation, a
    depthwise convolution) are one group. Groups are ranked over the whole network, and the last
    ones are cut until the multiply-adds are few enough. What is cut counts as zero: where a
    channel is zero behind its activation, the answers stay the same.

    The copy is a plain functional graph of Keras's layers and the model's own heads, so
    `heads.losses`, `heads.metrics` and `heads.deploy` work on it. Heads keep their widths and get
    narrower inputs. What an operation reads that mixes its channels stays as it is: layer and group
    normalization, attention's heads, recurrent layers; `pruning_plan` says which. Layers that
    offer `fuse()` are fused.

    Train the copy on as long as you can, at a tenth of the first learning rate or a new, short
    schedule, best under the old model: `tuning.distill(model, copy)`. To rank by batch
    normalization, train the first model with a penalty on the scales, as the paper does:
    `keras.layers.BatchNormalization(gamma_regularizer=keras.regularizers.L1(1e-4))`.

    Args:
        model: A trained functional or built `Sequential` model.
        macs: Share of the multiply-adds that may be left.
        by: What ranks the channels: `"norm"`, the sum of the absolute weights of the filters that
            make one, in relation to the layer's mean; or `"batch_norm"`, its absolute scale in
            batch normalization: channels without one stay.
        multiple: A layer is left with a multiple of so many channels, if it has as many; 8 is what
            processors like. A tenth of the channels of a layer stays in any case.
        input_shape: Sizes of open axes, as in `export.measure`.

    Returns:
        A functional `keras.Model` with the inputs, outputs and name of `model`, not compiled. What
        is frozen stays so, but for a model that is frozen as a whole, as a teacher is.

    Raises:
        ValueError: If an argument is wrong, the model has no graph, its multiply-adds cannot be
            counted, or so few are out of reach.

    Reference: [Li et al., 2017](https://arxiv.org/abs/1608.08710) (norms);
        [Liu et al., 2017](https://arxiv.org/abs/1708.06519) (batch normalization);
        [Fang et al., 2023](https://arxiv.org/abs/2301.12900) (groups)

    >>> image = keras.Input((8, 8, 1))
    >>> x = keras.layers.Conv2D(32, 3, activation="relu", name="conv")(image)
    >>> x = keras.layers.Conv2D(32, 3, activation="relu")(x)
    >>> model = keras.Model(image, heads.ClassificationHead(3)(x))
    >>> prune(model, 0.5).get_layer("conv").filters
    16
    """
    return pruning_plan(model, macs, by=by, multiple=multiple, input_shape=input_shape).model


@dataclass(frozen=True)
class PrunedLayer:
    """A layer with channels of its own: how many, before and after.

    Attributes:
        name: Its path.
        kind: Its class.
        channels, macs, params: Pairs of before and after.
        reason: What keeps some of its channels, or an empty string.
    """

    name: str
    kind: str
    channels: tuple
    macs: tuple
    params: tuple
    reason: str


@dataclass(frozen=True)
class PruningPlan:
    """What pruning does to a model.

    Attributes:
        model: The narrower model.
        macs: Multiply-adds before and after.
        params: Weights before and after.
        layers: A `PrunedLayer` for each layer that makes channels.
    """

    model: keras.Model
    macs: tuple
    params: tuple
    layers: list

    def __str__(self):
        rows = [("layer", "channels", "MACs", "params", "kept by")]
        rows += [
            (x.name, *(_pair(*pair) for pair in (x.channels, x.macs, x.params)), x.reason)
            for x in self.layers
        ]
        rows.append(("all", "", _pair(*self.macs), _pair(*self.params), ""))
        return render(rows)


def pruning_plan(
    model: keras.Model,
    macs: float = 0.5,
    *,
    by: str = "norm",
    multiple: int = 8,
    input_shape=None,
) -> PruningPlan:
    """Return what `prune` makes, as a `PruningPlan`: printed, a table of layers.

    Its `model` is the narrower model. Files tell what that is worth:
    `export.side_by_side([before, after])`.

    Args:
        model, macs, by, multiple, input_shape: As in `prune`.

    Raises:
        ValueError: As in `prune`.

    >>> image = keras.Input((8, 8, 1))
    >>> x = keras.layers.Conv2D(16, 3, name="conv")(image)
    >>> x = keras.layers.LayerNormalization(name="norm")(keras.layers.Conv2D(16, 3)(x))
    >>> plan = pruning_plan(keras.Model(image, heads.ClassificationHead(3)(x)), 0.6)
    >>> [(x.channels, x.reason) for x in plan.layers][:2]
    [((16, 8), ''), ((16, 16), 'norm (LayerNormalization)')]
    """
    if not is_number(macs) or not 0 < macs < 1:
        raise ValueError(f"`macs` must be a share between 0 and 1. Received: macs={macs!r}.")
    if not isinstance(by, str) or by not in BY:
        raise ValueError(f"`by` must be one of {sorted(BY)}. Received: by={by!r}.")
    if isinstance(multiple, bool) or not isinstance(multiple, int) or multiple < 1:
        raise ValueError(
            f"`multiple` must be a whole number above zero. Received: multiple={multiple!r}."
        )
    half, _, copy_weights = trace(model, fuse=True, closed=heads.Head)
    copy_weights()
    flat, originals = trace_layers(half)
    rows = {row.name: row for row in rows_of(flat, input_shape)}
    if unknown := [row.name for row in rows.values() if row.macs is None]:
        raise ValueError(
            "The multiply-adds of every layer must be known. "
            f"Received: {model.name!r}, of which those of {', '.join(unknown[:3])} are not."
        )
    closed = [x for x in half.layers if isinstance(x, heads.Head)]
    within = {id(x) for head in closed for x in head._flatten_layers()}
    for stays in (set(), within):
        channels = read(flat, originals, within, stays)
        choice = Choice(channels, flat, originals, rows, by, multiple)
        alive = choice.alive(macs)
        try:
            narrow = narrowed(half, channels, alive)
            check(half, narrow, channels, alive)
            break
        except WrongWidth as error:
            wrong = error
    else:
        raise ValueError(
            "A layer must do the same with what is left of its channels. "
            f"Received: {model.name!r}, of which {wrong} does not."
        )
    if not model.trainable_weights:  # a teacher: to be trained is what the copy is for
        unfreeze(narrow)
    after = {row.name: row for row in rows_of(narrow, input_shape)}
    layers = [
        PrunedLayer(
            name,
            rows[name].kind,
            (len(labels), int(alive[labels].sum())),
            (rows[name].macs, after[name].macs),
            (rows[name].params, after[name].params),
            choice.reason(labels),
        )
        for name, labels in choice.makers()
    ]
    return PruningPlan(
        narrow,
        tuple(sum(row.macs for row in x.values()) for x in (rows, after)),
        (model.count_params(), narrow.count_params()),
        layers,
    )


def _pair(before, after):
    return f"{before:,}" if before == after else f"{before:,} → {after:,}"
