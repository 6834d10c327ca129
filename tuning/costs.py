"""What a candidate costs, told with as few measurements as possible."""

from tuning.budget import static_facts
from tuning.device import architecture
from tuning.objectives import MEASURED
from tuning.predictor import LEAST, Predictor, features


class Costs:
    """Judges candidates by a budget: by static facts first, then by what runs.

    Architectures that were measured before, by any worker, are not measured again, and one that
    costs too much for certain, as those before it foretell, is not measured at all. Whatever is
    trained is measured.

    Args:
        oracle: The oracle of the search.
        budget: Its `Budget`.
        device: The `Device` that measures.
    """

    def __init__(self, oracle, budget, device):
        self.oracle, self.budget, self.device = oracle, budget, device
        self.wanted = {o.name for o in oracle.objectives} | set(budget.limits)
        self.measures = bool(self.wanted & set(MEASURED))
        self.measured = self.foretold = 0  # in this process
        self.errors = {}  # of predictions, by the name of a cost

    def judge(self, running, model):
        """Note what a candidate costs in `running`; return its violations of the budget."""
        running.facts, rows = static_facts(model, required=self.wanted)
        violations = self.budget.violations(running.facts)
        if not violations and self.measures:
            running.features = features(rows)
            known = architecture(model)
            running.architecture = known and f"{known} {running.features}"
            self._run(running, model)
        costs = {**running.facts, **running.foretold}
        running.limits = self.budget.excess(costs)
        return self.budget.violations(costs)

    def _run(self, running, model):
        known = self._known()
        if running.architecture in known:
            running.facts |= known[running.architecture][1]
            return
        running.foretold = self._foretell(running.features, [*known.values()])
        if running.foretold:
            self.foretold += 1
        else:
            running.facts |= self.device.measure(model)
            self.measured += 1

    def _known(self):
        """Return features and measured costs of all architectures that were measured."""
        found = {}
        for trial in self.oracle.ledger.all():
            record = trial.user_attrs.get("record") or {}
            facts = {name: record.get("facts", {}).get(name) for name in MEASURED}
            if record.get("architecture") and None not in facts.values():
                found[record["architecture"]] = record["features"], facts
        return found

    def _foretell(self, model, known):
        """Return the costs that are over the budget even if the prediction is wrong."""
        found = {}
        if len(known) >= LEAST:
            for name in set(self.budget.limits) & set(MEASURED):
                costs = [facts[name] for _, facts in known]
                if min(costs) <= 0:  # it could not be told
                    continue
                predictor = Predictor([each for each, _ in known], costs)
                self.errors[name] = predictor.error
                if predictor.least(model) > self.budget.limits[name]:
                    found[name] = round(predictor.predict(model), 3)
        return found

    def said(self, running, names):
        """Return, in words, by which of its costs a candidate is over the budget."""
        words = []
        for name in names:
            about = name in running.foretold
            cost = running.foretold[name] if about else running.facts[name]
            words.append(
                f"{name} {'about ' if about else ''}{cost:,} over {self.budget.limits[name]:,}"
            )
        return ", ".join(words)

    def summary(self):
        """Return, in words, how often models were run, and how well their costs are foretold."""
        if not self.measured and not self.foretold:
            return ""
        words = [f"{self.measured} models measured"]
        if self.foretold:
            words.append(f"{self.foretold} refused by prediction")
        words += [f"{name} foretold within {100 * x:.0f} %" for name, x in self.errors.items()]
        return ", ".join(words)
