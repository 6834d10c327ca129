"""A plan for tables: classes, numbers, or which items are taken."""

import backbones
import heads
from tuning.cross_validate import take
from tuning.proposing.facts import columns_of
from tuning.proposing.heads_of import head_of
from tuning.proposing.plan import Plan, around, largest, regularised, schedule, space_of, why_size

RUNGS = [(16, 1), (32, 1), (32, 2), (64, 2), (128, 2), (256, 2), (256, 3), (384, 3)]
UNITS = [16, 32, 64, 128, 256, 384]
RANKING = [(4, 32), (8, 64), (16, 128), (16, 256), (32, 256)]
VECTORS = [4, 8, 16, 32]
RATES = [3e-4, 1e-3, 3e-3, 1e-2]
FILL = 100  # parameters a row
TRANSFORMER = 2000  # rows from which a search looks at transformers, too
MOST_CATEGORIES = 100_000


def plan_table(facts, train, budget, like=None):
    """Return the `Plan` for a table, and the `heads.Table` of its training rows.

    Args:
        facts: The `Facts`.
        train: Places of the training rows.
        budget: A `tuning.Budget`.
        like: A `Plan` of other rows, whose network, table of choices and recipe are taken.
    """
    rows, reasons = len(train), {}
    table = heads.Table.of(take(facts.x, train), max_size=MOST_CATEGORIES)
    planned = _ranking if facts.task == "ranking" else _network
    plan = planned(facts, train, table, budget, reasons)
    plan.recipe |= schedule(rows, reasons)
    make = plan.space
    if like is not None:
        plan.chosen, plan.table, plan.recipe = like.chosen, like.table, like.recipe
    plan.space = space_of(plan.table, make, plan.recipe["steps"])
    plan.head = lambda: make(plan.chosen)[1]
    reasons["columns"] = (
        f"{len(table.numeric)} of numbers, scaled inside the network by their quantiles, and "
        f"{len(table.vocabularies)} of categories, as vectors; what is missing is told apart, and "
        "nothing is filled in."
    )
    return plan, table


def _network(facts, train, table, budget, reasons):
    rows = len(train)
    y = facts.targets.encode(facts.y[train])
    make_head, values, _, objective = head_of(facts, y, reasons)
    values |= {
        "network": "mlp",
        "embedding": 8 if rows < 1000 else 16,
        "unknown": 0.05 if table.vocabularies else 0.0,
        "learning_rate": 1e-3,
        **regularised(rows, reasons),
    }

    def make(chosen):
        own = {**values, **chosen}
        units, depth = own["units"], own["depth"]
        common = {"dropout": own["dropout"], "unknown": own["unknown"]}
        if own["network"] == "ft_transformer":
            made = backbones.ft_transformer(table.columns, units, depth, num_heads=8, **common)
        else:
            common["embedding"] = own["embedding"]
            made = backbones.mlp(table.columns, units, depth, **common)
        return made, make_head(own)

    found = [{"units": units, "depth": depth} for units, depth in RUNGS]
    chosen, size = _sized(facts, found, values, make, budget, reasons)
    reasons["architecture"] = (
        "Dense layers over periodic vectors of the columns: cheap, and near boosting where "
        "networks are; boosting stays the rival."
    )
    several = rows >= TRANSFORMER
    offered = {
        **chosen,
        "network": ["mlp", "ft_transformer"] if several else "mlp",
        "units": around(UNITS, chosen["units"]),
        "depth": around([1, 2, 3, 4], chosen["depth"]),
        "embedding": [8, 16, 24],
        "dropout": around([0.0, 0.1, 0.2, 0.4, 0.5], chosen["dropout"]),
        "weight_decay": [0.01, 0.05],
        "learning_rate": around(RATES, chosen["learning_rate"]),
    }
    what = f"dense layers, {size['depth']} of {size['units']}, over the columns' vectors"
    return Plan(what, chosen, offered, make, None, reader(table), {}, objective, reasons)


def _ranking(facts, train, table, budget, reasons):
    reasons["head"] = "RankingHead: how probable it is that an item is taken, to sort items by."
    reasons["loss"] = "Binary cross-entropy, for what is known are single yes and no."
    reasons["metrics"] = "AUC first, since the order of items counts and most are not taken."
    values = {
        "kind": "cross",
        "unknown": 0.05,
        "learning_rate": 1e-3,
        **regularised(len(train), reasons),
    }

    def make(chosen):
        own = {**values, **chosen}
        made = backbones.column_tokens(table.columns, own["vector"], unknown=own["unknown"])
        widths = [own["width"], own["width"] // 2]
        return made, heads.RankingHead(own["kind"], widths, dropout=own["dropout"], name="head")

    found = [{"vector": vector, "width": width} for vector, width in RANKING]
    chosen, size = _sized(facts, found, values, make, budget, reasons)
    reasons["architecture"] = "A cross network (DCN-V2): it multiplies columns, as user by item."
    offered = {
        **chosen,
        "kind": ["cross", "fm", "deep"],
        "vector": around(VECTORS, chosen["vector"]),
        "width": around([32, 64, 128, 256], chosen["width"]),
        "dropout": around([0.0, 0.1, 0.2, 0.4, 0.5], chosen["dropout"]),
        "learning_rate": around(RATES, chosen["learning_rate"]),
    }
    what = f"cross network over vectors of {size['vector']} a column, {size['width']} wide"
    return Plan(what, chosen, offered, make, None, reader(table), {}, "val_auc", reasons)


def _sized(facts, rungs, values, make, budget, reasons):
    """Return all values of the largest network that fits, and those of its size."""
    most = FILL * facts.rows
    size, known, ended = largest(rungs, [{}], make, most, budget)
    params = known.get("params") or heads.attach(*make(size)).count_params()
    reasons["size"] = why_size(params, most, ended, f"{FILL} a row")
    return {**values, **size}, size


def reader(table):
    """Return a function from rows, columns or a matrix, to inputs."""
    return lambda rows: table(columns_of(rows))
