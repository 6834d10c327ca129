"""Experts that tasks share, each by a gate of its own."""

from keras import layers

from blocks.base import Block, check_positive, check_rate, make_activation, register


@register
class MixtureOfExperts(Block):
    """For each task the experts' features, mixed by a softmax of the input.

    Shape: `(batch, ..., channels)` to a list of `(batch, ..., units)`, one for each task.

    Args:
        tasks: Number of tasks.
        units: Number of channels of an expert.
        experts: Number of experts, dense layers; with 1 the tasks share all (shared-bottom).
        activation: Name of the Keras activation of the experts.
        dropout: Share of the experts' outputs made zero in training.

    Reference: [Ma et al., 2018](https://doi.org/10.1145/3219819.3220007) (MMoE)

    >>> [x.shape for x in MixtureOfExperts(2, 8)(np.ones((1, 5)))]
    [(1, 8), (1, 8)]
    """

    def __init__(self, tasks, units=64, experts=4, *, activation="relu", dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(tasks=tasks, units=units, experts=experts)
        check_rate(dropout=dropout)
        policy = self.dtype_policy

        def dense(count, units, name, *args):
            return [
                layers.Dense(units, *args, dtype=policy, name=f"{name}{i}") for i in range(count)
            ]

        self.experts = dense(experts, units, "expert")
        self.gates = dense(tasks if experts > 1 else 0, experts, "gate", "softmax")
        self.tasks = tasks
        self.act = make_activation(activation, dtype=policy)
        self.dropout = layers.Dropout(dropout, dtype=policy, name="dropout")

    def call(self, x):
        found = [self.dropout(self.act(expert(x))) for expert in self.experts]
        if not self.gates:
            return found * self.tasks
        return [mixed(gate(x), found) for gate in self.gates]


def mixed(shares, parts):
    """Return the sum of parts, each times its share, `(batch, ..., parts)`."""
    terms = [shares[..., i : i + 1] * part for i, part in enumerate(parts)]
    return sum(terms[1:], terms[0])
