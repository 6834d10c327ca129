"""What a search optimises: names and directions, of training and of the model itself."""

import keras_tuner
import numpy as np

STATIC = ("params", "macs")
MEASURED = ("size_kb", "latency_ms", "memory_mb")
FACTS = (*STATIC, *MEASURED)  # known before training; always minimised

MAXIMISED = {"acc", "accuracy", "auc", "dice", "f1", "fbeta", "iou", "map", "mrr", "ndcg", "r2"}
MAXIMISED |= {"precision", "recall", "sensitivity", "specificity"}
MINIMISED = {"angle", "crossentropy", "divergence", "error", "loss", "mae", "mape", "mse", "msle"}
MINIMISED |= {"rmse"}


def make_objectives(objectives):
    """Return a list of `keras_tuner.Objective` from names and objectives.

    KerasTuner guesses a direction from class names of Keras and minimises, for example, an
    F1 score. Here a direction follows from the words of the name, or it is asked for.

    Args:
        objectives: One or several of: a metric's name in the logs of `fit`, such as
            `"val_accuracy"`; a fact of the model, `"params"`, `"macs"`, `"size_kb"`,
            `"latency_ms"` or `"memory_mb"`; a `keras_tuner.Objective`.

    Raises:
        ValueError: If a direction cannot be told, a name comes twice, or no objective comes
            from training.

    >>> [(o.name, o.direction) for o in make_objectives(["val_macro_f1", "macs"])]
    [('val_macro_f1', 'max'), ('macs', 'min')]
    """
    if isinstance(objectives, (str, keras_tuner.Objective)):
        objectives = [objectives]
    kinds = (str, keras_tuner.Objective)
    several = isinstance(objectives, (list, tuple))
    if not several or not all(isinstance(objective, kinds) for objective in objectives):
        raise ValueError(
            "Objectives are names or keras_tuner.Objective, one or a list of them. "
            f"Received: objectives={objectives!r}."
        )
    made = [_make(objective) for objective in objectives]
    names = [objective.name for objective in made]
    if len(set(names)) < len(names):
        raise ValueError(f"Each objective is named once. Received: objectives={names}.")
    if all(name in FACTS for name in names):
        raise ValueError(
            "At least one objective must come from training, such as 'val_accuracy'. "
            f"Received: objectives={names}."
        )
    return made


def _make(objective):
    if isinstance(objective, keras_tuner.Objective):
        single = not hasattr(objective, "objectives")
        if single and objective.direction in ("min", "max"):
            return keras_tuner.Objective(objective.name, objective.direction)
        raise ValueError(
            "An objective has one name and the direction 'min' or 'max'. "
            f"Received: {objective}. Give several objectives as a list."
        )
    if objective in FACTS:
        return keras_tuner.Objective(objective, "min")
    words = set(objective.lower().replace("io_u", "iou").split("_"))
    if bool(words & MAXIMISED) == bool(words & MINIMISED):
        raise ValueError(
            f"The direction of an objective must be clear from its name. Received: {objective!r}. "
            f"Write keras_tuner.Objective({objective!r}, direction='min' or 'max')."
        )
    return keras_tuner.Objective(objective, "max" if words & MAXIMISED else "min")


def ranks(some, points, directions):
    """Return how many points dominate each of some: are nowhere worse and somewhere better.

    Args:
        some: Sequence of sequences of numbers, one number an objective.
        points: The same.
        directions: `"min"` or `"max"` for each objective.

    >>> ranks([(0.8, 5)], [(0.9, 5), (0.8, 5), (0.8, 2)], ["max", "min"])
    [2]
    """
    signs = [1 if direction == "max" else -1 for direction in directions]
    each, others = (np.reshape(x, (-1, len(signs))) * signs for x in (some, points))
    each = each[:, None]
    return ((others >= each).all(-1) & (others > each).any(-1)).sum(-1).tolist()


def front(points, directions):
    """Return the indices of the points that no other point dominates.

    Args:
        points: Sequence of sequences of numbers, one number an objective.
        directions: `"min"` or `"max"` for each objective.

    >>> front([(0.9, 5), (0.8, 5), (0.8, 2)], ["max", "min"])
    [0, 2]
    """
    return [i for i, rank in enumerate(ranks(points, points, directions)) if not rank]
