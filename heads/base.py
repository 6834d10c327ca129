"""What every head shares."""

import inspect

import numpy as np
from keras import layers

from blocks.base import Block


class Head(Block):
    """A block from features to one raw output in float32, and what belongs to training it.

    A subclass creates its layers as every block does, the last of them with
    `dtype="float32"`, and says how it is trained, checked and read: `loss`,
    `make_metrics`, `decoder`, `check`, `doubts`.

    Attributes:
        levels: Names of the features `call` takes, as a dict by these names; `"image"` is the
            backbone's input. `None` is the coarsest feature alone, as a tensor.
        answer_name: What the answer is called where it is one tensor.
        by_batch: Whether targets are large, and perhaps of several sizes: `heads.check_targets`
            then checks each batch beside its inputs, and keeps what `shrink` returns.

    >>> class Heatmap(Head):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.conv = layers.Conv2D(1, 1, dtype="float32", name="conv")
    ...
    ...     def call(self, x):
    ...         return self.conv(x)
    ...
    ...     def loss(self):
    ...         return "mse"
    >>> Heatmap()(np.ones((1, 4, 4, 8))).shape
    (1, 4, 4, 1)
    """

    levels = None
    answer_name = "answer"
    by_batch = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs, previous_mask):
        return None  # an output has no positions left that could be padding

    def loss(self):
        """Return a new `keras.Loss` on the head's targets and its raw output."""
        raise NotImplementedError(f"{type(self).__name__} must define `loss`.")

    @property
    def metrics(self):
        """`metrics()` is a list of new `keras.Metric`s on the head's targets and raw output.

        Keras itself reads this name on every layer, for the metrics that layers keep. So it
        is that list, and calling it makes the head's own: what `make_metrics` returns.
        """
        return _CallableList(super().metrics, self.make_metrics)

    def make_metrics(self):
        """Return a list of new `keras.Metric`s on the head's targets and its raw output."""
        return []

    def decoder(self):
        """Return a layer from the raw output to the answer: a tensor, or a dict of tensors.

        The keyword arguments of a subclass's own `decoder` are the options of `heads.deploy`.
        """
        return layers.Identity(dtype="float32", name=f"{self.name}_decoder")

    def answer(self, features, **options):
        """Return the symbolic answer to symbolic features: a tensor, or a dict of tensors.

        A head whose answer is no function of its raw output overrides this.
        """
        return self.decoder(**options)(self(features))

    def ends(self):
        """The name of each output, in the order of its flat structure, and what trains it."""
        return [(self.name, self)]

    def answers(self, features, options):
        """Return the symbolic answers of each output, a dict each, to options of each."""
        (chosen,) = options
        answer = self.answer(features, **chosen)
        return [answer if isinstance(answer, dict) else {self.answer_name: answer}]

    def check(self, targets):
        """Return, in words, what is wrong with an array of targets: a list, empty if nothing."""
        return []

    def doubts(self, targets):
        """Return, in words, what is allowed but odd in an array of right targets: a list."""
        return []

    def check_beside(self, inputs, targets):
        """Return, in words, how an array of targets does not fit the inputs, a list of arrays."""
        return []

    def shrink(self, targets):
        """Return of an array of right targets what `doubts` has to see."""
        return targets

    def options(self):
        """Return the names of the options that `answer` takes."""
        taken = inspect.signature(self.answer).parameters.values()
        names = [p.name for p in taken if p.kind is not p.VAR_KEYWORD][1:]
        if len(names) + 1 < len(taken):
            names += inspect.signature(self.decoder).parameters
        return names


class _CallableList(list):
    """A list, and a function that makes another."""

    def __init__(self, items, function):
        super().__init__(items)
        self.function = function

    def __call__(self):
        return self.function()


def number_problems(targets):
    """Return what is wrong with an array that should hold at least one row of numbers."""
    if targets.size == 0:
        return [f"There must be at least one target. Received: an array of shape {targets.shape}."]
    if targets.dtype.kind not in "biuf" and str(targets.dtype) != "bfloat16":
        first = targets.reshape(-1)[0]
        return [f"Targets must be numbers. Received: {first!r} at row 0, dtype {targets.dtype}."]
    return []


def are_numbers(value, *shapes):
    """Return whether an argument is finite numbers of one of the shapes, `()` a single one."""
    try:
        values = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        return False
    return values.shape in shapes and values.dtype.kind in "iuf" and bool(np.isfinite(values).all())


def wrong_rows(right, targets):
    """Return the end of an error: the first row where `right` is false, and how many there are."""
    rows = np.flatnonzero(~right)
    value = np.array2string(np.asarray(targets[rows[0]]), threshold=10, precision=4)
    also = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"Received: {value} at row {rows[0]}{also} of {len(right)}."
