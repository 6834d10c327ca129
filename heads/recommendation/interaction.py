"""How the features of one example act together: one block for each published network."""

from keras import layers, ops

from blocks import CrossNetwork, DotInteraction, FactorizationMachine
from blocks.base import Block, register


@register
class Deep(Block):
    """Dense layers over all features: `(batch, features, units)` to `(batch, channels)`."""

    def __init__(self, units, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.line = layers.Flatten(dtype=policy, name="line")
        self.dense = [
            layers.Dense(width, "relu", dtype=policy, name=f"dense{i}")
            for i, width in enumerate(units)
        ]
        self.drop = [
            layers.Dropout(dropout, dtype=policy, name=f"dropout{i}") for i in range(len(units))
        ]

    def call(self, x):
        x = self.line(x)
        for dense, drop in zip(self.dense, self.drop):
            x = drop(dense(x))
        return x


class WithDeep(Block):
    """A block that has dense layers, too."""

    def __init__(self, units, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.line = layers.Flatten(dtype=self.dtype_policy, name="line")
        self.deep = Deep(units, dropout, dtype=self.dtype_policy, name="deep")


@register
class CrossDeep(WithDeep):
    """DCN-V2, stacked: crosses of all features, then dense layers."""

    def __init__(self, units, dropout=0.0, *, depth=3, rank=None, experts=1, **kwargs):
        super().__init__(units, dropout, **kwargs)
        self.cross = CrossNetwork(
            depth, rank=rank, experts=experts, dtype=self.dtype_policy, name="cross"
        )

    def call(self, x):
        return self.deep(self.cross(self.line(x)))


@register
class MachineDeep(WithDeep):
    """DeepFM: a factorization machine beside dense layers."""

    def __init__(self, units, dropout=0.0, **kwargs):
        super().__init__(units, dropout, **kwargs)
        policy = self.dtype_policy
        self.machine = FactorizationMachine(dtype=policy, name="machine")
        self.first = layers.Dense(1, use_bias=False, dtype=policy, name="first")

    def call(self, x):
        return ops.concatenate([self.machine(x), self.first(self.line(x)), self.deep(x)], axis=-1)


@register
class DotDeep(WithDeep):
    """DLRM: the dot products of all features, beside them, then dense layers."""

    def __init__(self, units, dropout=0.0, **kwargs):
        super().__init__(units, dropout, **kwargs)
        self.dot = DotInteraction(dtype=self.dtype_policy, name="dot")

    def call(self, x):
        products = self.dot(ops.unstack(x, axis=1))
        return self.deep(ops.concatenate([self.line(x), products], axis=-1))


@register
class ProductDeep(WithDeep):
    """NeuMF: the product of user and item beside dense layers, on one table."""

    def call(self, x):
        if x.shape[1] != 2:
            raise ValueError(
                "Neural collaborative filtering takes two features, user and item. "
                f"Received: shape {tuple(x.shape)}."
            )
        user, item = ops.unstack(x, axis=1)
        return ops.concatenate([user * item, self.deep(x)], axis=-1)


KINDS = {
    "cross": CrossDeep,
    "deep": Deep,
    "dot": DotDeep,
    "fm": MachineDeep,
    "ncf": ProductDeep,
}
