"""A space of networks for tables, as tables of plain values."""

import backbones
import heads
from backbones.columns import table_inputs
from tuning.arguments import arguments
from tuning.tables import check_names
from tuning.training import compiled_space

NETWORKS = {  # any other argument of the function may be added
    "mlp": {
        "units": [64, 128, 256, 512],
        "depth": [1, 2, 3, 4],
        "kind": ["plain", "residual", "gated"],
        "periodic": [None, 0.01, 0.1, 1.0],
        "embedding": [8, 16, 32],
        "dropout": [0.0, 0.1, 0.3],
    },
    "tabnet": {
        "units": [8, 16, 32, 64],
        "steps": [3, 4, 5],
        "gamma": [1.0, 1.3, 1.5],
        "sparsity": [1e-4, 1e-3],
        "embedding": [4, 8],
    },
    "ft_transformer": {
        "units": [32, 64, 128, 192],
        "depth": [1, 2, 3],
        "num_heads": [4, 8],
        "dropout": [0.0, 0.1, 0.2],
    },
}
CHOICES = {
    "network": NETWORKS,
    "unknown": [0.0, 0.05],  # share of categories made unknown; idle where a table has none
    "label_smoothing": [0.0, 0.1],  # of classification
}
HEADS = {"classification": heads.ClassificationHead, "regression": heads.RegressionHead}
TAKES = {
    name: set(arguments(getattr(backbones, name))) - {"columns", "unknown", "name"}
    for name in NETWORKS
}


def tabular_space(columns, task="classification", *, choices=None, steps=None, **head):
    """Return a space of networks for tables: a function from hyperparameters to a compiled model.

    It takes ParetoSearch and every tuner of KerasTuner. A configuration is a network, dense
    layers of three kinds, TabNet or a transformer, with what belongs to it, and what trains.
    Attribute `size` is the number of configurations, `None` if a range is continuous.

    Args:
        columns: `heads.Table.columns`; or the number of columns of numbers, which are taken as
            they are.
        task: `"classification"` or `"regression"`.
        choices: Table, as `choose` takes it, that replaces rows of `CHOICES` and of
            `tuning.training.TRAINING`: `{"network": ["mlp", "tabnet"]}`.
        steps: Number of training steps, for the schedule; see `training_space`.
        **head: Arguments of `heads.ClassificationHead`, `num_classes` among them, or of
            `heads.RegressionHead`, such as `mean` and `std`.

    Raises:
        ValueError: If the task or a name is unknown.

    >>> import keras_tuner
    >>> few = {"network": {"mlp": {"units": [32, 64]}, "tabnet": {}}}
    >>> space = tabular_space(7, choices=few, num_classes=3)
    >>> space(keras_tuner.HyperParameters()).output_shape, space.size
    ((None, 3), 24192)
    """
    if task not in HEADS:
        raise ValueError(f"`task` must be one of {', '.join(HEADS)}. Received: task={task!r}.")
    make = HEADS[task]
    check_names(f"heads.{make.__name__}", head, set(arguments(make)) - {"name"})
    make(**head)  # wrong values are told now
    _, read, categories = table_inputs(columns)  # wrong ones are told now
    idle = {"unknown": 0.0} if not categories else {}
    own = {**CHOICES, **idle, "network": dict(NETWORKS)}
    if "numeric" not in read:
        own["network"]["mlp"] = {**NETWORKS["mlp"], "periodic": None}
    smooths = task == "classification" and "label_smoothing" not in head
    if not smooths:
        del own["label_smoothing"]

    def network(chosen):
        kind, options = chosen["network"]
        backbone = getattr(backbones, kind)(columns, unknown=chosen["unknown"], **options)
        smoothing = {"label_smoothing": chosen["label_smoothing"]} if smooths else {}
        return backbone, make(**smoothing, **head, name="head")

    return compiled_space(own, choices, steps, network, TAKES)
