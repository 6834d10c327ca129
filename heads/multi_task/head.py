"""Heads of several tasks on features that they share in part."""

import keras
from keras import layers, ops

from blocks import MixtureOfExperts
from blocks.base import PlainArguments, check_positive, register
from heads.base import Head
from heads.multi_task.part import Part


@register
class MultiTaskHead(Head):
    """Heads of several tasks, each on its own mixture of experts that all share.

    With `uncertainty`, the weights of the losses are learned: a task's loss counts `exp(-s)` times,
    and `s / 2` is added to it. `s` is a weight of this head, and the last column of the task's raw
    output; the losses and metrics of this head know it.

    A model of it has an output for each task, by its name; `heads.losses`, `heads.metrics` and
    `heads.deploy` take it as they do several heads.

    Shape: `(batch, ..., channels)` to a dict of what the tasks' heads give, by task, with a column
    more where there is `uncertainty`.

    Args:
        tasks: A dict of heads by the names of tasks; heads that take one feature, or their
            configurations, as `keras.saving.serialize_keras_object` writes them.
        units: Number of channels of an expert.
        experts: Number of experts; with 1 the tasks share one layer (shared-bottom).
        uncertainty: Whether the weights of the losses are learned.
        dropout: Share of the experts' outputs made zero in training.

    Raises:
        ValueError: If an argument is out of its range, or a head takes levels.

    Reference: [Ma et al., 2018](https://doi.org/10.1145/3219819.3220007) (MMoE);
    [Kendall et al., 2017](https://arxiv.org/abs/1705.07115) (uncertainty)

    >>> from heads import ClassificationHead, RegressionHead
    >>> head = MultiTaskHead({"kind": ClassificationHead(3), "age": RegressionHead()}, 8)
    >>> {task: x.shape for task, x in head(np.ones((1, 5))).items()}
    {'kind': (1, 4), 'age': (1, 2)}
    """

    def __init__(self, tasks, units=64, experts=4, *, uncertainty=True, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        check_positive(units=units, experts=experts)
        right = isinstance(tasks, dict) and len(tasks) > 1
        if right:
            tasks = {name: as_object(head) for name, head in tasks.items()}
        if not right or not all(isinstance(x, Head) and x.levels is None for x in tasks.values()):
            found = {k: type(x).__name__ for k, x in tasks.items()} if right else tasks
            raise ValueError(
                "`tasks` must be a dict of two or more heads that take one feature. Received: "
                f"{found}. Give others to heads.attach beside each other."
            )
        names = [head.name for head in tasks.values()]
        if len({*names, "mixture"}) <= len(names):
            raise ValueError(
                "Each task's head has a `name` of its own, which is not mixture. "
                f"Received: {', '.join(names)}."
            )
        policy = self.dtype_policy
        self.shared = {"units": units, "experts": experts, "dropout": dropout}
        self.tasks, self.uncertainty = dict(tasks), uncertainty
        self.mixture = MixtureOfExperts(len(tasks), **self.shared, dtype=policy, name="mixture")
        append = LogVariance if uncertainty else layers.Identity
        self.appended = {key: append(dtype="float32", name=f"{key}_weight") for key in tasks}

    def call(self, x):
        mixtures = zip(self.tasks, self.mixture(x))
        return {key: self.appended[key](self.tasks[key](mixture)) for key, mixture in mixtures}

    def ends(self):
        return [(key, Part(head, self.uncertainty)) for key, head in sorted(self.tasks.items())]

    def answers(self, features, options):
        mixtures = dict(zip(self.tasks, self.mixture(features)))
        found = []
        for (key, head), chosen in zip(sorted(self.tasks.items()), options):
            answer = head.answer(mixtures[key], **chosen)
            found.append(answer if isinstance(answer, dict) else {head.answer_name: answer})
        return found

    def loss(self):
        raise ValueError(
            "A loss belongs to each task. Received: loss() of several. Give compile "
            "heads.losses(model)."
        )

    def get_config(self):
        tasks = {k: keras.saving.serialize_keras_object(x) for k, x in self.tasks.items()}
        base = layers.Layer.get_config(self)
        return {**base, "tasks": tasks, **self.shared, "uncertainty": self.uncertainty}


def as_object(head):
    """Return a head, or that which a configuration says."""
    return keras.saving.deserialize_keras_object(head) if isinstance(head, dict) else head


@register
class LogVariance(PlainArguments, layers.Layer):
    """A last column of one learned number: `(..., columns)` to `(..., columns + 1)`."""

    def build(self, input_shape):
        self.value = self.add_weight(name="value", shape=(1,), initializer="zeros")

    def call(self, x):
        column = ops.zeros_like(x[..., :1]) + ops.cast(self.value, x.dtype)
        return ops.concatenate([x, column], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)
