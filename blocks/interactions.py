"""How features of one example act together: crosses, dot products, factorization machines."""

import numpy as np
from keras import layers, ops

from blocks.base import Block, PlainArguments, check_positive, make_activation, register
from blocks.experts import mixed


@register
class CrossNetwork(Block):
    """Multiply the input by a projection of itself, add, and do so again: DCN-V2's crosses.

    Every layer raises the degree of the polynomial in the input's features by one.

    Shape: `(batch, ..., features)` to the same.

    Args:
        depth: Number of layers.
        rank: Width of the bottleneck of every projection; `None` is none, a full matrix.
        experts: Number of low-rank projections that a softmax of the input mixes; more than one
            needs a rank.
        activation: Name of the Keras activation inside of the bottleneck; the paper's `"tanh"`
            only where experts are mixed, else none.

    Raises:
        ValueError: If experts have no rank.

    Reference: [Wang et al., 2020](https://arxiv.org/abs/2008.13535), equations 1, 2 and 5

    >>> CrossNetwork(2, rank=4)(np.ones((1, 12))).shape
    (1, 12)
    """

    def __init__(self, depth=3, *, rank=None, experts=1, activation=None, **kwargs):
        super().__init__(**kwargs)
        check_positive(depth=depth, experts=experts)
        if rank is not None:
            check_positive(rank=rank)
        elif experts > 1:
            raise ValueError(
                "Experts are projections of low rank. "
                f"Received: experts={experts}, rank=None. Give `rank`."
            )
        options = {"rank": rank, "experts": experts, "activation": activation}
        self.crosses = [
            Cross(**options, dtype=self.dtype_policy, name=f"cross{i}") for i in range(depth)
        ]

    def call(self, x):
        start = x
        for cross in self.crosses:
            x = cross([start, x])
        return x


@register
class Cross(Block):
    """One layer of a `CrossNetwork`: of the first input and what came before, what comes next."""

    def __init__(self, rank=None, experts=1, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.rank, self.experts = rank, experts
        self.act = make_activation(activation, dtype=self.dtype_policy)

    def build(self, input_shape):
        def dense(name, units, bias=False):
            return [
                layers.Dense(units, use_bias=bias, dtype=self.dtype_policy, name=f"{name}{i}")
                for i in range(self.experts)
            ]

        policy, width = self.dtype_policy, input_shape[0][-1]
        whole = [layers.Identity(dtype=policy, name="whole")]
        self.narrow = whole if self.rank is None else dense("narrow", self.rank)
        self.widen = dense("widen", width, bias=True)
        if self.experts > 1:
            self.mix = dense("mix", self.rank)
            self.gate = layers.Dense(self.experts, "softmax", dtype=policy, name="gate")
        super().build(input_shape)

    def call(self, inputs):
        start, x = inputs
        if self.experts == 1:
            return start * self.widen[0](self.act(self.narrow[0](x))) + x
        found = [
            start * widen(self.act(mix(self.act(narrow(x)))))
            for narrow, mix, widen in zip(self.narrow, self.mix, self.widen)
        ]
        return mixed(self.gate(x), found) + x


@register
class DotInteraction(PlainArguments, layers.Layer):
    """The dot product of every two vectors, as DLRM relates its features.

    Shape: a list of two or more `(batch, units)` to `(batch, pairs)`, the pairs (1, 0), (2, 0),
    (2, 1), ….

    Args:
        self_interaction: Whether each vector's product with itself is one of them.

    Raises:
        ValueError: If there are fewer than two inputs, or their lengths differ.

    Reference: [Naumov et al., 2019](https://arxiv.org/abs/1906.00091)

    >>> DotInteraction()([np.ones((1, 8))] * 4).shape
    (1, 6)
    """

    def __init__(self, self_interaction=False, **kwargs):
        super().__init__(**kwargs)
        self.self_interaction = self_interaction

    def build(self, input_shape):
        shapes = [tuple(x) if isinstance(x, (list, tuple)) else (x,) for x in input_shape]
        if len(shapes) < 2 or any(len(x) != 2 or x[-1] != shapes[0][-1] for x in shapes):
            raise ValueError(
                "A list of at least two vectors of one length is needed: (batch, units). "
                f"Received: input_shape={input_shape}."
            )

    def pairs(self, count):
        """Return the places of the pairs in all products, row by row."""
        rows, columns = np.tril_indices(count, 0 if self.self_interaction else -1)
        return (rows * count + columns).tolist()

    def call(self, inputs):
        x = ops.stack(inputs, axis=1)
        products = ops.reshape(ops.matmul(x, ops.swapaxes(x, 1, 2)), (-1, len(inputs) ** 2))
        return ops.take(products, ops.convert_to_tensor(self.pairs(len(inputs)), "int32"), axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], len(self.pairs(len(input_shape))))


@register
class FactorizationMachine(PlainArguments, layers.Layer):
    """The sum of the products of every two vectors, in time linear in their number.

    Shape: `(batch, features, units)` to `(batch, 1)`, the sum of all dot products; or, not
    summed over the units, to `(batch, units)`.

    Args:
        reduce: Whether to sum over the units. Networks take them apart
            ([He and Chua, 2017](https://arxiv.org/abs/1708.05027), bi-interaction pooling).

    Reference: [Rendle, 2010](https://doi.org/10.1109/ICDM.2010.127), lemma 3.1

    >>> np.array(FactorizationMachine()(np.ones((1, 3, 8)))).tolist()
    [[24.0]]
    """

    def __init__(self, reduce=True, **kwargs):
        super().__init__(**kwargs)
        self.reduce = reduce
        self.input_spec = layers.InputSpec(ndim=3)

    def call(self, x):
        total = ops.sum(x, axis=1)
        twice = total * total - ops.sum(x * x, axis=1)
        return ops.sum(0.5 * twice, axis=-1, keepdims=True) if self.reduce else 0.5 * twice

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1 if self.reduce else input_shape[-1])
