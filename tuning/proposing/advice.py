"""What to do next: with more data, more compute, and where training shows what is wrong."""

from tuning.proposing.images import SMALL


def advice(facts, plan, budget):
    """Return sentences by occasion."""
    found = {
        "first": "Compare with the rival on the same rows: proposal.score(model) beside "
        "proposal.baseline. What does not beat it is not worth its cost.",
        "then": f"Search {len(_open(plan.table))} values of proposal.space by "
        f"ParetoSearch(proposal.space, [{plan.objective!r}, 'params'], "
        f"budget={f'tuning.{budget}' if budget.limits else None}), then retrain the best with "
        "other seeds; differences below their spread are chance.",
        "10x the data": "Ask again: the size grows with it, regularisation falls, and the test "
        "rows become enough to tell small differences.",
        "more compute": "Twice the epochs first, then a wider or deeper network, then the mean of "
        "several seeds' answers, which costs as many times as much.",
        "overfitting": "Training is much better than validation: more dropout and weight decay, "
        f"{'stronger augmentation, ' if plan.recipe.get('augmentation') else ''}fewer epochs, a "
        "smaller network; most of all, more rows.",
        "underfitting": "Training itself is bad: look at the data, then a higher learning rate, "
        "more epochs, less regularisation, a wider or deeper network.",
        "trust": _trust(facts),
    }
    if facts.kind == "images" and min(facts.x.shape[1:3]) >= SMALL:
        found["pretrained"] = (
            "Images of this size are read better by networks that have seen others: "
            "backbones.mobilenet_v3(shape, weights='imagenet') with tuning.freeze, where its "
            "weights may be loaded."
        )
    if facts.kind == "table":
        found["rows that change"] = (
            "A table that grows with time is validated in its order: "
            "tuning.cross_validate(kind='time')."
        )
    return found


def _open(table):
    return [name for name, offered in table.items() if isinstance(offered, list | tuple)]


def _trust(facts):
    if facts.task == "sequence":
        return (
            "The last item of each user is tested; events that depend on the season need a cut in "
            "time instead."
        )
    return (
        "The test rows are a fifth, drawn by chance. Where rows belong together, as images of one "
        "person, that flatters: tuning.cross_validate(kind='grouped')."
    )
