"""TabNet: in steps, each of which chooses the columns that it reads."""

import math

from keras import layers, ops

from blocks.base import (
    Block,
    PlainArguments,
    check_above_zero,
    check_positive,
    register,
)


@register
class Sparsemax(PlainArguments, layers.Layer):
    """The point of the simplex next to the input: a softmax that makes small shares 0.

    Shape: `(batch, ..., channels)` to the same.

    Args:
        **kwargs: Of every Keras layer, such as `name`.

    Reference: [Martins and Astudillo, 2016](https://arxiv.org/abs/1602.02068), algorithm 1

    >>> np.array(Sparsemax()(np.array([[1.0, 0.5, -2.0]]))).tolist()
    [[0.75, 0.25, 0.0]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    def call(self, x):
        count = x.shape[-1]
        total = ops.cumsum(ops.top_k(x, count)[0], axis=-1) - 1
        # With more of the largest the threshold rises as long as these are above it.
        ranks = ops.cast(ops.arange(1, count + 1), x.dtype)
        return ops.relu(x - ops.max(total / ranks, axis=-1, keepdims=True))

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class TabNet(Block):
    """Read the columns of a table in steps; each chooses columns by what the one before found.

    In training the entropy of the choices is added to the loss, times `sparsity`.

    Shape: `(batch, columns, channels)`, a vector for each column, to a dict: `"features"`,
    `(batch, units)`, the sum of what the steps found, and `"masks"`, `(batch, steps, columns)`,
    how much each step read of each column, a sum of 1.

    Args:
        units: Width of what a step finds, and of what it tells the next one.
        steps: Number of steps; 3 to 10 in the paper.
        gamma: How often a column may be read; 1 is once. 1 to 2 in the paper.
        shared: Number of layers that all steps share; 2 in the paper.
        own: Number of layers of each step alone; 2 in the paper.
        sparsity: Weight of the choices' entropy; 1e-4 to 1e-2 in the paper.
        momentum: Of the batch normalizations.

    Reference: [Arik and Pfister, 2019](https://arxiv.org/abs/1908.07442), without ghost batches

    >>> TabNet(8)(np.ones((2, 5, 1)))["masks"].shape
    (2, 3, 5)
    """

    def __init__(
        self,
        units=16,
        steps=3,
        *,
        gamma=1.3,
        shared=2,
        own=2,
        sparsity=1e-3,
        momentum=0.98,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(units=units, steps=steps, shared=shared, own=own)
        check_above_zero(gamma=gamma)
        if not isinstance(sparsity, (int, float)) or not 0 <= sparsity < math.inf:
            raise ValueError(f"`sparsity` must not be negative. Received: sparsity={sparsity!r}.")
        policy = self.dtype_policy
        self.units, self.gamma, self.sparsity, self.momentum = units, gamma, sparsity, momentum
        self.norm = self.make_norm("norm")
        self.shared = [self.dense(f"shared{i}") for i in range(shared)]
        self.shared_norms = [
            [self.make_norm(f"shared_norm{step}_{i}") for i in range(shared)]
            for step in range(steps + 1)
        ]
        self.own = [[self.dense(f"own{step}_{i}") for i in range(own)] for step in range(steps + 1)]
        self.own_norms = [
            [self.make_norm(f"own_norm{step}_{i}") for i in range(own)] for step in range(steps + 1)
        ]
        self.choice_norms = [self.make_norm(f"choice_norm{step}") for step in range(steps)]
        self.sparsemax = Sparsemax(dtype=policy, name="sparsemax")
        self.line = layers.Flatten(dtype=policy, name="line")
        self.input_spec = layers.InputSpec(ndim=3)

    def dense(self, name):
        """Return a layer of the two halves of a gated linear unit, of two results."""
        return layers.Dense(4 * self.units, use_bias=False, dtype=self.dtype_policy, name=name)

    def make_norm(self, name):
        return layers.BatchNormalization(momentum=self.momentum, dtype=self.dtype_policy, name=name)

    def build(self, input_shape):
        if input_shape[1] is None:
            raise ValueError(
                f"The number of columns must be known. Received: input_shape={input_shape}."
            )
        self.choices = [
            layers.Dense(
                input_shape[1], use_bias=False, dtype=self.dtype_policy, name=f"choice{step}"
            )
            for step in range(len(self.choice_norms))
        ]
        super().build(input_shape)

    def call(self, x):
        x = self.norm(x)
        told = self.step(self.line(x), 0)[1]
        features, masks, free = 0, [], 1
        for i, (choice, norm) in enumerate(zip(self.choices, self.choice_norms), start=1):
            mask = self.sparsemax(norm(choice(told)) * free)
            free = free * (self.gamma - mask)
            found, told = self.step(self.line(x * mask[:, :, None]), i)
            features, masks = features + ops.relu(found), [*masks, mask]
        masks = ops.stack(masks, axis=1)
        self.regularize(masks)
        return {"features": features, "masks": masks}

    def step(self, x, number):
        """Return what a step finds in columns, and what it tells the next one."""
        pairs = [
            *zip(self.shared, self.shared_norms[number]),
            *zip(self.own[number], self.own_norms[number]),
        ]
        for i, (dense, norm) in enumerate(pairs):
            value, gate = ops.split(norm(dense(x)), 2, axis=-1)
            y = value * ops.sigmoid(gate)
            x = y if i == 0 else (x + y) * math.sqrt(0.5)
        return ops.split(x, 2, axis=-1)

    def regularize(self, masks):
        """Add the entropy of the choices to the loss; symbolic tensors have none."""
        if self.sparsity and ops.is_tensor(masks):
            masks = ops.cast(masks, "float32")  # in half precision 1e-15 is 0
            entropy = -ops.sum(masks * ops.log(masks + 1e-15), axis=-1)
            self.add_loss(self.sparsity * ops.mean(entropy))
