"""Spaces of recommenders, as tables of plain values: of ranking, of sequences, of two towers."""

import keras

import backbones
import heads
from backbones.columns import table_inputs
from tuning.arguments import arguments
from tuning.tables import check_names, without
from tuning.tabular_space import NETWORKS
from tuning.tabular_space import TAKES as OF_NETWORKS
from tuning.training import compiled_space

RANKING = {
    "kind": {  # how features act together
        "deep": {},
        "cross": {"depth": [1, 2, 3], "rank": [None, 16], "experts": 1},
        "fm": {},
        "dot": {},
        "ncf": {},  # of two features
    },
    "units": [[64], [128, 64], [256, 128], [256, 128, 64]],
    "embedding": [8, 16, 32],
    "dropout": [0.0, 0.1, 0.3],
    "unknown": [0.0, 0.05],  # share of categories made unknown; idle where a table has none
}
SEQUENTIAL = {
    "kind": {"attention": {"num_heads": [1, 2]}, "gru": {}},
    "units": [32, 64, 128],
    "depth": [1, 2, 3],
    "dropout": [0.1, 0.2, 0.5],
}
TOWERS = {"mlp": NETWORKS["mlp"], "tabnet": NETWORKS["tabnet"]}
RETRIEVAL = {
    "user": TOWERS,
    "item": TOWERS,
    "units": [16, 32, 64],  # of a user's or an item's vector
    "temperature": [0.02, 0.05, 0.1],
    "hard_negatives": [None, 16],
    "unknown": [0.0, 0.05],
}


def recommendation_space(columns, *, choices=None, steps=None, **head):
    """Return a space of ranking networks: a function from hyperparameters to a compiled model.

    It takes ParetoSearch and every tuner of KerasTuner. A configuration is how the columns of a
    table, a user's, an item's and the situation's, act together; the dense layers, the columns'
    vectors, and what trains. Inputs, targets and scores of other recommenders are others, so they
    have spaces of their own: `sequential_space`, what comes next in a history, and
    `retrieval_space`, two towers.
    Attribute `size` is the number of configurations, `None` if a range is continuous.

    Args:
        columns: `heads.Table.columns`; or the number of columns of numbers, which are taken as
            they are.
        choices: Table, as `choose` takes it, that replaces rows of `RANKING` and of
            `tuning.training.TRAINING`: `{"kind": ["cross", "fm"]}`.
        steps: Number of training steps, for the schedule; see `training_space`.
        **head: Arguments of `heads.RankingHead` that are no choice: `loss="squared"`.

    Raises:
        ValueError: If a name is unknown, or columns do not fit.

    >>> import keras_tuner
    >>> space = recommendation_space(7, choices={"kind": ["dot", "fm"], "weight_decay": 0.0})
    >>> space(keras_tuner.HyperParameters()).output_shape, space.size
    ((None, 1), 288)
    """
    _, _, categories = table_inputs(columns)  # wrong ones are told now
    features = backbones.column_tokens(columns, 1).output["tokens"].shape[1]
    check_head(heads.RankingHead, head, lists=True)
    own = {**RANKING, **({} if categories else {"unknown": 0.0})}
    own = without(own, head)
    kinds = [kind for kind in RANKING["kind"] if kind != "ncf" or features == 2]

    def network(chosen):
        backbone = backbones.column_tokens(columns, chosen["embedding"], unknown=chosen["unknown"])
        kind, options = chosen["kind"]
        options = {**options, **{x: chosen[x] for x in ("units", "dropout") if x in own}}
        return backbone, heads.RankingHead(kind, **options, **head, name="head")

    return compiled_space(own, choices, steps, network, usual={"kind": kinds})


def sequential_space(num_items, *, choices=None, steps=None, **head):
    """Return a space of networks of histories: a function from hyperparameters to a model.

    It takes ParetoSearch and every tuner of KerasTuner. A configuration is SASRec or GRU4Rec, its
    width and depth, and what trains. Histories are made by `heads.histories`; they are inputs and
    targets at once.
    Attribute `size` is the number of configurations, `None` if a range is continuous.

    Args:
        num_items: Number of items, whose ids are 1 to `num_items`.
        choices: Table, as `choose` takes it, that replaces rows of `SEQUENTIAL` and of
            `tuning.training.TRAINING`.
        steps: Number of training steps, for the schedule; see `training_space`.
        **head: Arguments of `heads.SequentialHead` that are no choice: `length` and `negatives`,
            by default 256, or all of fewer items.

    Raises:
        ValueError: If a name is unknown or a number out of range.

    >>> import keras_tuner
    >>> space = sequential_space(20, choices={"kind": "gru"}, length=6)
    >>> space(keras_tuner.HyperParameters()).output_shape, space.size
    ((None, 5, 21), 324)
    """
    check_head(heads.SequentialHead, head)
    if isinstance(num_items, int) and num_items < 256:
        head = {"negatives": None, **head}
    length = heads.SequentialHead(num_items, **head).length  # wrong values are told now
    own = without(SEQUENTIAL, head)

    def network(chosen):
        ids = keras.Input((length,), dtype="int32", name="items")
        kind, options = chosen["kind"]
        options = {**options, **{x: chosen[x] for x in own if x != "kind"}}
        made = heads.SequentialHead(num_items, kind=kind, **options, **head, name="head")
        return keras.Model(ids, ids, name="histories"), made

    return compiled_space(own, choices, steps, network)


def retrieval_space(user, item, *, choices=None, steps=None, **head):
    """Return a space of two towers: a function from hyperparameters to a compiled model.

    It takes ParetoSearch and every tuner of KerasTuner. A configuration is a network of a user's
    columns and one of an item's, the length of their vectors, the loss, and what trains. Inputs
    are those of both tables, `user_numeric`, `user_categorical`, `item_numeric` and
    `item_categorical`, as far as there are such; targets those of `heads.item_targets`.
    Attribute `size` is the number of configurations, `None` if a range is continuous.

    Args:
        user: `heads.Table.columns` of users, or a number of columns of numbers.
        item: The same of items.
        choices: Table, as `choose` takes it, that replaces rows of `RETRIEVAL` and of
            `tuning.training.TRAINING`.
        steps: Number of training steps, for the schedule; see `training_space`.
        **head: Arguments of `heads.RetrievalHead` that are no choice, such as `normalize`.

    Raises:
        ValueError: If a name is unknown, or columns are none.

    >>> import keras_tuner
    >>> few = {"user": {"mlp": {"units": 32}}, "item": {"mlp": {"units": 32}}}
    >>> sorted(retrieval_space(7, 3, choices=few)(keras_tuner.HyperParameters()).input)
    ['item_numeric', 'user_numeric']
    """
    sides = {"user": user, "item": item}
    categories = [table_inputs(columns)[2] for columns in sides.values()]
    check_head(heads.RetrievalHead, head)
    own = without({**RETRIEVAL, **({} if any(categories) else {"unknown": 0.0})}, head)
    options = [x for x in ("units", "temperature", "hard_negatives") if x in own]

    def network(chosen):
        towers = {
            side: tower(side, columns, *chosen[side], unknown=chosen["unknown"])
            for side, columns in sides.items()
        }
        made = heads.RetrievalHead(**{x: chosen[x] for x in options}, **head, name="head")
        return backbones.two_towers(**towers), made

    usual = {"user": "mlp", "item": "mlp"}
    return compiled_space(own, choices, steps, network, OF_NETWORKS, usual)


def tower(side, columns, kind, options, unknown):
    """Return a network of columns whose inputs have the side's name, as a vector."""
    network = getattr(backbones, kind)(columns, unknown=unknown, **options, name=f"{side}_{kind}")
    inputs = {
        key: keras.Input(x.shape[1:], dtype=x.dtype, name=f"{side}_{key}")
        for key, x in network.input.items()
    }
    named = {x.name: x for x in inputs.values()}
    return keras.Model(named, network(inputs)["features"], name=side)


def check_head(make, given, lists=False):
    """Raise where a head has no such argument, or is asked for what a space cannot give."""
    names = set(arguments(make)) - {"num_items", "kind", "name"}
    check_names(f"heads.{make.__name__}", given, names)
    if lists and given.get("loss") in ("pairwise", "listwise"):
        raise ValueError(
            "Rows of a table are no lists of candidates, as such a loss needs. "
            f"Received: loss={given['loss']!r}. Give loss='binary' or 'squared'."
        )
