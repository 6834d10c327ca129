"""A proposal: what was found, what follows from it, and what it has to beat."""

import dataclasses
from collections.abc import Callable

import numpy as np

import export
import heads
from tuning.augment import augmentation
from tuning.budget import Budget
from tuning.cross_validate import cross_validate, take
from tuning.proposing.facts import Facts
from tuning.proposing.plan import Plan
from tuning.proposing.rivals import before_last
from tuning.proposing.scores import K, decides, scores_of
from tuning.proposing.tables import plan_table


@dataclasses.dataclass
class Proposal:
    """What `tuning.propose` proposes. Print it to read it; `write` makes a page of it.

    Attributes:
        task: What is learned.
        facts: What the data are, by name.
        architecture: The network, a few words; `chosen` are its values.
        space: Function from hyperparameters to a compiled model, around what is chosen.
        objective: What a search of it goes by, such as `"val_accuracy"`.
        recipe: How it is trained: batch, epochs, steps, the rate, augmentation.
        fit: Of these what `fit` takes.
        estimate: What it costs: `params`, `macs`, `train_memory_mb`, of its file `size_kb`,
            `latency_ms`, `peak_memory_mb`, of its training `step_ms`, `epoch_s`, `train_s`.
        baselines: What simpler models reach on the test rows: dicts of `name`, `scores`, `seconds`
            and `rows`, how many of the training rows they were given; the best first.
        reasons: A sentence for each choice, by its name.
        next: What to do then, a sentence by its occasion.
        places: Places of the training and of the test rows; of histories `None`.
        table: The `heads.Table` of the training rows, of tables.
    """

    task: str
    facts: dict
    estimate: dict
    baselines: list
    reasons: dict
    next: dict
    places: tuple | None
    table: heads.Table | None
    found: Facts = dataclasses.field(repr=False)
    plan: Plan = dataclasses.field(repr=False)

    @property
    def architecture(self) -> str:
        return self.plan.architecture

    @property
    def chosen(self) -> dict:
        return dict(self.plan.chosen)

    @property
    def space(self) -> Callable:
        return self.plan.space

    @property
    def objective(self) -> str:
        return self.plan.objective

    @property
    def recipe(self) -> dict:
        rates = {name: self.plan.chosen[name] for name in ("learning_rate", "weight_decay")}
        return {**self.plan.recipe, **rates}

    @property
    def fit(self) -> dict:
        return {name: self.plan.recipe[name] for name in ("batch_size", "epochs")}

    @property
    def head(self) -> heads.Head:
        """A fresh head."""
        return self.plan.head()

    @property
    def baseline(self) -> dict:
        """The best of the simpler models: what to beat."""
        return self.baselines[0]

    def model(self):
        """Return the proposed model, compiled, with fresh weights."""
        return self.plan.model()

    def data(self, x, y=None):
        """Return rows and targets as `fit` takes them; histories are both, without `y`."""
        inputs = self.plan.inputs(x)
        return inputs, inputs if self.task == "sequence" else self.found.targets.encode(y)

    def inputs(self, x):
        """Return rows as the model takes them."""
        return self.plan.inputs(x)

    @property
    def train(self) -> tuple:
        """Inputs and targets of the training rows; of histories, all but the last item."""
        if self.places is None:
            return self.data(self.found.x[:, :-1])
        return self.data(*self._rows(self.places[0]))

    @property
    def test(self) -> tuple:
        """Inputs and targets of the test rows; of histories of three items, the last item."""
        if self.places is None:
            histories, right = before_last(self.found.x)
            return self.inputs(histories), right
        return self.data(*self._rows(self.places[1]))

    def dataset(self, x=None, y=None):
        """Return a `tf.data.Dataset` of shuffled, augmented batches, by default of `train`.

        `fit` takes it with `shuffle=False`: it is shuffled already.
        """
        import tensorflow as tf

        inputs, targets = self.train if x is None else self.data(x, y)
        made = tf.data.Dataset.from_tensor_slices((inputs, targets))
        made = made.shuffle(min(len(targets), 10_000)).batch(self.recipe["batch_size"])
        if self.recipe.get("augmentation"):
            made = made.map(augmentation(**self.recipe["augmentation"]))
        return made.prefetch(2)

    def score(self, model) -> dict:
        """Return the scores of a trained model on the test rows, as those of `baselines`."""
        inputs, right = self.test
        options = {"k": K} if self.task == "sequence" else {}
        said = heads.deploy(model, **options).predict(inputs, verbose=0)
        if isinstance(said, dict):
            said = next(said[name] for name in ("items", "classes", *said) if name in said)
        if self.task == "classification":
            said = said.argmax(axis=-1)
        return scores_of(self.task, right, said, self.found.targets.units)

    def cross_validate(self, folds=5, kind=None, **options):
        """Train the proposed network on all rows outside each fold, and test it on the fold.

        Vocabularies and quantiles of a table are those of the fold's training rows.

        Args:
            folds: Number of folds.
            kind: See `tuning.cross_validate`; by default `"stratified"` of classes, else `"plain"`.
            **options: Further arguments of `tuning.cross_validate`, such as `groups`; `fit` is
                given `proposal.fit` and what is here.

        Raises:
            ValueError: Of histories, whose users are all trained and tested on.
        """
        if self.task == "sequence":
            raise ValueError(
                "Folds divide rows. Received: histories, each of which is trained and tested on. "
                "proposal.score(model) tests the last item."
            )
        found, places = self.found, np.arange(self.found.rows)

        def make(rows):
            plan = self.plan
            if found.kind == "table":
                plan, _ = plan_table(found, rows[0], Budget(), like=plan)
            return plan.model(), lambda some: plan.inputs(take(found.x, some))

        kind = kind or ("stratified" if self.task == "classification" else "plain")
        y = found.targets.encode(found.y)
        return cross_validate(make, places, y, folds, kind, **{**self.fit, **options})

    def _rows(self, places):
        return take(self.found.x, places), self.found.y[places]

    def __str__(self):
        name, _ = decides(self.task, self.objective)
        lines = [f"{self.task} of {self.facts['data']}: {self.architecture}"]
        lines += [", ".join(f"{key} {_text(value)}" for key, value in self.facts.items())]
        rows = self.facts["rows"] if self.places is None else len(self.places[0])
        for row in self.baselines:
            some = f", of {row['rows']:,} rows" if row["rows"] < rows else ""
            lines.append(f"{row['name']}: {name} {row['scores'][name]:.4f}{some}")
        costs = [f"{key} {_text(x)}" for key, x in self.estimate.items() if x is not None]
        lines += ["costs: " + ", ".join(costs)]
        lines += [f"{key}: {reason}" for key, reason in self.reasons.items()]
        return "\n".join([*lines, *(f"{key} - {text}" for key, text in self.next.items())])

    def write(self, path):
        """Write all as a self-contained HTML page, with a diagram of the network.

        Args:
            path: Where to write, ending in `.html`.

        Returns:
            The path.
        """
        model = self.model()
        blocks = export.measure(model).blocks()
        names = list(self.baseline["scores"])
        rows = [
            [x["name"], *(x["scores"][n] for n in names), x["rows"], x["seconds"]]
            for x in self.baselines
        ]
        sections = [
            {"kind": "text", "text": f"Proposed: {self.architecture}."},
            {"kind": "facts", "title": "Data", "facts": self.facts},
            {
                "kind": "table",
                "title": "Why",
                "columns": ["choice", "reason"],
                "rows": [list(x) for x in self.reasons.items()],
            },
            {
                "kind": "table",
                "title": "To beat, on the test rows",
                "columns": ["model", *names, "rows", "seconds"],
                "rows": rows,
            },
            {"kind": "facts", "title": "Costs", "facts": self.estimate},
            {"kind": "diagram", "title": "Network", **export.diagram(model)},
            {
                "kind": "table",
                "title": "What it costs, by block",
                "columns": ["block", "kind", "output", "parameters", "multiply-adds"],
                "rows": [
                    [x.name, x.kind, str(tuple(x.output_shape)), x.params, x.macs] for x in blocks
                ],
            },
            {"kind": "facts", "title": "Values", "facts": {**self.chosen, **self.recipe}},
            {
                "kind": "facts",
                "title": "Searched around it",
                "facts": {key: str(value) for key, value in self.plan.table.items()},
            },
            {
                "kind": "table",
                "title": "Then",
                "columns": ["when", "what"],
                "rows": [list(x) for x in self.next.items()],
            },
        ]
        return export.describe(path, f"A proposal: {self.task} of {self.facts['data']}", sections)


def _text(value):
    if isinstance(value, (float, np.floating)):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)
