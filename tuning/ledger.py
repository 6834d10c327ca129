"""What became of every candidate: written once when it ends, and read back from the store."""

from optuna.trial import TrialState

from tuning.objectives import FACTS
from tuning.store import is_alive

CRASHES = 2  # times that a trial whose process died is taken up again
TRIED = ("completed", "failed", "refused", "running")
SPENT = ("completed", "failed", "running")

ENDS = {
    "completed": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
    "refused": TrialState.PRUNED,
    "repeated": TrialState.FAIL,
}


def outcome(frozen):
    """Return what became of an Optuna trial.

    `"completed"`, `"failed"`, `"refused"` (over the budget), `"repeated"` (tried before),
    `"running"`, `"waiting"` (to be taken up again) or `"interrupted"`.
    """
    if frozen.state == TrialState.WAITING:
        return "waiting"
    if frozen.state == TrialState.RUNNING:
        return "running" if "worker" in frozen.user_attrs else "waiting"
    if "record" in frozen.user_attrs:
        return frozen.user_attrs["record"]["outcome"]
    return "failed" if crashes(frozen) > CRASHES else "interrupted"


def crashes(frozen):
    """Return how many processes have died on the configuration of an interrupted trial."""
    return frozen.user_attrs.get("crashes", 0) + (not frozen.user_attrs.get("given_back", False))


class Ledger:
    """Reads and ends the trials of an Optuna study.

    Args:
        study: The study.
        objectives: List of `keras_tuner.Objective`, in the order of the study's values.
    """

    def __init__(self, study, objectives):
        self.study, self.objectives = study, objectives

    def all(self):
        """Return the Optuna trials of all workers, by number."""
        return self.study.get_trials(deepcopy=False)

    def current(self):
        """Return the Optuna trials but those that another takes up again."""
        trials = self.all()
        followed = {t.user_attrs.get("retry_of") for t in trials}
        return [t for t in trials if t.number not in followed]

    def spent(self):
        """Return the number of trials that count, finished and running."""
        return sum(outcome(t) in SPENT for t in self.current())

    def tried(self, without=None):
        """Return the trials whose configuration must not come again."""
        return [t for t in self.current() if outcome(t) in TRIED and t.number != without]

    def end(self, number, record, pruned=True):
        """Tell Optuna how the trial with this record ended.

        Args:
            number: Number of the trial.
            record: What `make_record` returned; stored with the trial already.
            pruned: How a refused candidate is told: as pruned, which TPE learns from (of failed
                trials it learns nothing), or as finished with values no better than any seen.
        """
        state, values = ENDS[record["outcome"]], None
        if state == TrialState.COMPLETE:
            values = [record["values"][o.name] for o in self.objectives]
        if state == TrialState.PRUNED and not pruned:
            state, values = TrialState.COMPLETE, self._worst(record["facts"])
        self.study.tell(number, values, state=state)

    def _worst(self, facts):
        done = [t.values for t in self.all() if outcome(t) == "completed"]
        worst = []
        for i, objective in enumerate(self.objectives):
            seen = [values[i] for values in done] or [0.0]
            last = max(seen) if objective.direction == "min" else min(seen)
            worst.append(facts.get(objective.name, last) if objective.name in FACTS else last)
        return worst

    def recover(self, own=()):
        """Queue again what dead workers left running, with the same values.

        Args:
            own: Numbers of the trials that this process runs.
        """
        for trial in self.all():
            running = trial.state == TrialState.RUNNING and trial.number not in own
            if running and not is_alive(trial):
                self._end_dead(trial)
        for trial in self.current():
            if outcome(trial) == "interrupted":
                self.take_up_again(trial.number, crashes(trial))

    def take_up_again(self, number, crashes=0):
        """Queue a trial with the same values; from now on it counts in place of the first."""
        trial = self.all()[number]
        attributes = {"retry_of": number, "crashes": crashes}
        if "index" in trial.user_attrs:
            attributes["index"] = trial.user_attrs["index"]
        self.study.enqueue_trial(trial.params, user_attrs=attributes)

    def _end_dead(self, trial):
        record = trial.user_attrs.get("record")
        try:
            if record is not None:  # it died between writing the record and telling Optuna
                self.end(trial.number, record)
            else:
                self.study.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, RuntimeError):  # another worker was faster
            return

    def rows(self):
        """Return a dict of plain values for each candidate, repeated proposals left out."""
        rows = []
        for trial in self.current():
            became = outcome(trial)
            if became in ("repeated", "interrupted"):
                continue
            record = trial.user_attrs.get("record") or {}
            hyperparameters = record.get("trial", {}).get("hyperparameters", {})
            reason = record.get("reason")
            if became == "failed" and not record:
                reason = f"its process died {crashes(trial)} times"
            rows.append(
                {
                    "number": trial.number,
                    "state": became,
                    "values": hyperparameters.get("values", {}),
                    "objectives": record.get("values", {}),
                    "params": record.get("facts", {}).get("params"),
                    "macs": record.get("facts", {}).get("macs"),
                    "reason": reason,
                    "seconds": record.get("seconds"),
                }
            )
        return rows


def make_record(trial, became, reason, facts, seconds, objectives):
    """Return the record of an ended KerasTuner trial, as plain data.

    Args:
        trial: The trial.
        became: `"completed"`, `"failed"`, `"refused"` or `"repeated"`.
        reason: Why it did not complete, or `None`.
        facts: The model's static facts.
        seconds: Time it took, building included.
        objectives: List of `keras_tuner.Objective`.
    """
    state = trial.get_state()
    state["score"] = None if trial.score is None else float(trial.score)
    values = {name: history.get_last_value() for name, history in trial.metrics.metrics.items()}
    return {
        "outcome": became,
        "reason": reason,
        "facts": facts,
        "values": {o.name: float(values[o.name]) for o in objectives if o.name in values},
        "seconds": round(seconds, 3),
        "trial": state,
    }
