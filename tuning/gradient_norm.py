"""The norm of the gradient, watched under plain `fit`."""

import math
import statistics
import warnings

import keras
import numpy as np

from tuning.checks import is_number
from tuning.gradient_tap import Tap

READ_EVERY = 50  # steps: reading a device at each would make it wait


class GradientNorm(keras.callbacks.Callback):
    """Put the gradient's norm into the logs, and warn where it vanishes or explodes.

    Logs hold `"gradient_norm"`, the mean over an epoch's steps of the norm of the whole gradient,
    before any clipping. The norm of each block is computed beside it, inside of the training
    step, which does what it did before; attribute `blocks` holds the last epoch's means by name.

    It warns once of each of these, with the block and what to do:

    - a gradient that is no number, or infinite;
    - a block whose gradient is far smaller (vanishing) or far larger (exploding) than that of
      the block nearest to the outputs, over an epoch;
    - a step whose gradient is far larger than those before it.

    Args:
        log_blocks: Whether logs hold `"gradient_norm/NAME"` of each block, too: of each of the
            model's layers that has weights to train.
        vanishing: Share of the last block's norm below which a gradient has vanished.
        exploding: Multiple of the last block's norm above which a gradient has exploded.
        spike: Multiple of the median of the steps before it above which a step is a spike.

    Raises:
        ValueError: If a threshold is out of range.

    Reference: [Pascanu et al., 2012](https://arxiv.org/abs/1211.5063)

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="out")])
    >>> model.compile("sgd", loss="mse")
    >>> watch = GradientNorm()
    >>> fit = {"x": np.ones((8, 4)), "y": np.ones((8, 2)), "verbose": 0}
    >>> sorted(model.fit(**fit, callbacks=[watch]).history), list(watch.blocks)
    (['gradient_norm', 'loss'], ['out'])
    """

    def __init__(
        self,
        log_blocks: bool = False,
        *,
        vanishing: float = 1e-6,
        exploding: float = 1e4,
        spike: float = 100.0,
    ):
        super().__init__()
        if not is_number(vanishing) or not 0 <= vanishing < 1:
            raise ValueError(
                f"`vanishing` must be a share from 0 to below 1. Received: vanishing={vanishing!r}."
            )
        for name, value in {"exploding": exploding, "spike": spike}.items():
            if not is_number(value) or value <= 1:
                raise ValueError(f"`{name}` must be above 1. Received: {name}={value!r}.")
        self.log_blocks = log_blocks
        self.vanishing, self.exploding, self.spike = vanishing, exploding, spike
        self.blocks, self._tap = {}, None

    def on_train_begin(self, logs=None):
        self._detach()  # of a training that was interrupted
        self._warned, self._before = set(), []
        self._tap = Tap(self.model)
        # Loss scaling looks for the largest scale that does not overflow: it meets infinity.
        self._scaled = isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer)

    def on_epoch_begin(self, epoch, logs=None):
        self._rows = []

    def on_train_batch_begin(self, batch, logs=None):
        self._tap.attach()  # again, if another callback has remade the step

    def on_train_batch_end(self, batch, logs=None):
        if len(self._tap.seen) >= READ_EVERY:
            self._read()

    def on_epoch_end(self, epoch, logs=None):
        self._read()
        names = self._tap.names
        rows = [row for row in self._rows if np.isfinite(row).all()]
        if not rows:
            self.blocks = dict.fromkeys(names, math.nan)
        else:
            self.blocks = dict(zip(names, np.mean(rows, 0).tolist()))
            self._judge_depth()
        total = [math.sqrt(np.square(row).sum()) for row in rows]
        if logs is not None:
            logs["gradient_norm"] = statistics.mean(total) if total else math.nan
            if self.log_blocks:
                logs.update({f"gradient_norm/{x}": value for x, value in self.blocks.items()})

    def on_train_end(self, logs=None):
        self._detach()

    def _detach(self):
        if self._tap is not None:
            self._tap.detach()
        self._tap = None

    def _read(self):
        """Look at the steps that were taken since the last look."""
        for row in self._tap.take():
            self._rows.append(row)
            total = math.sqrt(np.square(row, dtype="float64").sum())
            if not math.isfinite(total):
                if not self._scaled:
                    bad = [x for x, value in zip(self._tap.names, row) if not np.isfinite(value)]
                    self._warn(
                        "non-finite",
                        f"The gradient is not a finite number in {_some(bad)}. Look for such "
                        "numbers in the data, lower the learning rate, warm up, or clip: "
                        "tuning.adamw does both.",
                    )
                continue
            usual = statistics.median(self._before) if len(self._before) >= 10 else math.inf
            if usual and total > self.spike * usual:
                largest = self._tap.names[int(np.argmax(row))]
                self._warn(
                    "spike",
                    f"A step's gradient had a norm of {total:.3g}, where {usual:.3g} was usual, "
                    f"most of it in {largest!r}. Clip it (tuning.adamw does), lower the learning "
                    "rate, or look for outliers in the data.",
                )
            self._before = [*self._before[-99:], total]

    def _judge_depth(self):
        *others, (last, reference) = self.blocks.items()
        small = [x for x, value in others if value < self.vanishing * reference]
        large = [x for x, value in others if value > self.exploding * reference > 0]
        if small:
            self._warn(
                "vanishing",
                f"The gradient vanishes in {_some(small)}: {self.blocks[small[0]]:.3g} in "
                f"{small[0]!r}, against {reference:.3g} in {last!r}. Use residual blocks, "
                "normalization, or ReLU-like activations and their initializers; a gradient of 0 "
                "is that of dead units or of a layer that does not reach the loss.",
            )
        if large:
            self._warn(
                "exploding",
                f"The gradient explodes in {_some(large)}: {self.blocks[large[0]]:.3g} in "
                f"{large[0]!r}, against {reference:.3g} in {last!r}. Normalize the inputs and the "
                "layers, take smaller initial weights, or clip: tuning.adamw does.",
            )

    def _warn(self, kind, message):
        if kind not in self._warned:
            warnings.warn(message, stacklevel=2)
        self._warned.add(kind)


def _some(names):
    shown = ", ".join(repr(x) for x in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
