"""From data to a network, its training and what it has to beat."""

import dataclasses

from tuning.budget import Budget
from tuning.checks import check_seed
from tuning.proposal import Proposal
from tuning.proposing.advice import advice
from tuning.proposing.estimate import estimate
from tuning.proposing.facts import look
from tuning.proposing.histories import plan_histories
from tuning.proposing.images import plan_images
from tuning.proposing.plan import split
from tuning.proposing.rivals import rivals
from tuning.proposing.scores import decides
from tuning.proposing.tables import plan_table


def propose(data, task=None, device=None, *, runtime=True, seed=0):
    """Look at data, and propose a network, its training, a search, and what it has to beat.

    A size follows from the number of rows and keeps the device's budget; every choice comes with
    its reason. A fifth of the rows, of each class, is set aside: simpler models of scikit-learn
    are trained on the others and scored on it, and `proposal.score(model)` scores a network
    alike. These are rules of thumb to begin with, not a search: `proposal.space` is for that.

    Args:
        data: `(x, y)`. Images `(n, height, width, channels)` with class ids or names, numbers, or
            masks. A table, a dict of columns, a pandas frame or a matrix, with classes, numbers,
            or zeros and ones (`task="ranking"`, with a column `"item"`). Histories of item ids,
            `heads.histories`, with `y=None`.
        task: `"classification"`, `"regression"`, `"segmentation"`, `"ranking"` or `"sequence"`;
            by default it is inferred, and the proposal says how.
        device: A `tuning.Budget`, or a dict of its limits, such as `{"params": 50_000}`.
        runtime: Whether to convert the model and measure its file, some seconds.
        seed: Seed of the rows that are set aside, and of the rivals.

    Returns:
        A `Proposal`.

    Raises:
        ValueError: If the data are of another kind, have gaps in `y`, too few rows or one class,
            or the smallest network breaks the budget.
        ImportError: If there is no scikit-learn.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(80, 3))
    >>> proposal = propose((x, x[:, 0] > x[:, 1]), device={"params": 5000}, runtime=False)
    >>> proposal.task, proposal.facts["rows"], proposal.estimate["params"] <= 5000
    ('classification', 80, True)
    >>> model = proposal.model()
    >>> history = model.fit(*proposal.train, batch_size=16, verbose=0)
    >>> sorted(proposal.score(model)) == sorted(proposal.baseline["scores"])
    True
    """
    budget = _budget(device)
    check_seed(seed)
    facts = look(data, task)
    table, places = None, None
    if facts.kind == "histories":
        plan = plan_histories(facts, budget)
    else:
        classes = facts.task in ("classification", "ranking")
        y = facts.targets.encode(facts.y) if classes else None
        places = split(facts.rows, y, seed, facts.alike)
        if facts.kind == "table":
            plan, table = plan_table(facts, places[0], budget)
        else:
            plan = plan_images(facts, places[0], budget)
    name, more = decides(facts.task, plan.objective)
    found = rivals(facts, *(places or (None, None)), seed)
    found.sort(key=lambda row: row["scores"][name], reverse=more)
    proposal = Proposal(
        task=facts.task,
        facts=facts.said,
        estimate={},
        baselines=found,
        reasons={"task": facts.why, **plan.reasons},
        next=advice(facts, plan, budget),
        places=places,
        table=table,
        found=facts,
        plan=plan,
    )
    rows = facts.rows if places is None else len(places[0])
    proposal.estimate = estimate(plan, _batch(proposal), rows, runtime)
    return proposal


def _batch(proposal):
    """Return inputs and targets of a batch of the training rows."""
    size = proposal.recipe["batch_size"]
    if proposal.places is None:
        return proposal.data(proposal.found.x[:size, :-1])
    return proposal.data(*proposal._rows(proposal.places[0][:size]))


def _budget(device):
    if device is None or isinstance(device, Budget):
        return device or Budget()
    names = [field.name for field in dataclasses.fields(Budget)]
    if not isinstance(device, dict) or set(device) - set(names):
        got = sorted(set(device) - set(names)) if isinstance(device, dict) else device
        raise ValueError(
            f"`device` is a tuning.Budget or a dict of its limits, {', '.join(names)}. "
            f"Received: {got!r}."
        )
    return Budget(**device)
