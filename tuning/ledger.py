"""What became of every candidate: written once when it ends, and read back from the store."""

import contextlib
import copy

from keras_tuner.engine.trial import Trial
from optuna.trial import TrialState

from tuning.halving import RUNG
from tuning.objectives import FACTS
from tuning.outcomes import crashes, is_retry, outcome, root_of
from tuning.workers import Watch

TRIED = ("completed", "paused", "failed", "refused", "running")
SPENT = ("completed", "paused", "failed", "running")
TAKEN = (*SPENT, "waiting")

ENDS = {
    "completed": TrialState.COMPLETE,
    "paused": TrialState.COMPLETE,  # samplers learn from it: it was judged by its objectives
    "failed": TrialState.FAIL,
    "refused": TrialState.PRUNED,
    "repeated": TrialState.FAIL,
}


class Ledger:
    """Reads and ends the trials of an Optuna study.

    Args:
        study: The study.
        objectives: List of `keras_tuner.Objective`, in the order of the study's values.
        pruned: How a refused candidate is told: as pruned, which TPE learns from (of failed
            trials it learns nothing), or as finished with values no better than any seen.
    """

    def __init__(self, study, objectives, pruned=True):
        self.study, self.objectives, self.pruned = study, objectives, pruned
        self.watch = Watch()
        self.seen, self.holds = None, False

    @contextlib.contextmanager
    def at_once(self):
        """Read the store once for all that is asked in this context, until it is written to."""
        self.seen, self.holds = None, True
        try:
            yield
        finally:
            self.seen, self.holds = None, False

    def all(self):
        """Return the Optuna trials of all workers, by number."""
        if self.seen is None or not self.holds:
            self.seen = self.study.get_trials(deepcopy=False)
        return self.seen

    def current(self):
        """Return the Optuna trials but those that another takes up again."""
        trials = self.all()
        followed = {t.user_attrs.get("retry_of") for t in trials}
        return [t for t in trials if t.number not in followed]

    def waiting(self):
        """Return the trials that wait to be taken up again."""
        return [t for t in self.all() if t.state == TrialState.WAITING]

    def spent(self):
        """Return the number of trials that count, finished and running."""
        return sum(outcome(t) in SPENT for t in self.current())

    def has_room(self, most):
        """Return whether there is a trial to be asked for, one that waits or a new one."""
        if self.waiting() and self.spent() < most:
            return True
        return sum(outcome(t) in TAKEN for t in self.current()) < most

    def is_too_many(self, number, most):
        """Return whether enough trials were asked for before this one, by other workers.

        What is taken up again counts whenever it was asked for: its place was taken before.
        """
        trials = self.all()
        before = [t for t in self.current() if t.number < number or is_retry(t)]
        taken = sum(outcome(t) in TAKEN for t in before)
        return not is_retry(trials[number]) and taken >= most

    def points(self, rung):
        """Return the objectives of all trials that were trained for so many epochs."""
        found, name = {}, RUNG.format(rung)
        for trial in self.all():
            if name in trial.user_attrs:
                found[root_of(trial)] = trial.user_attrs[name]
        return found

    def promote(self, passing):
        """Queue again the paused trial that may go on, if there is one, the furthest first.

        Args:
            passing: Function of a rung and of the objectives of trials there, that says of each
                whether it goes on.
        """
        paused = {}
        for trial in self.current():
            if outcome(trial) == "paused":
                paused.setdefault(trial.user_attrs["record"]["rung"], []).append(trial)
        for rung in sorted(paused, reverse=True):
            points = [trial.user_attrs[RUNG.format(rung)] for trial in paused[rung]]
            for trial, passes in zip(paused[rung], passing(rung, points)):
                if passes:
                    self.take_up_again(trial.number)
                    return

    def tried(self, without=None):
        """Return the trials whose configuration must not come again."""
        tried = [t for t in self.current() if outcome(t) in TRIED and t.number != without]
        # Of two that run at once the first stays, not neither.
        later = {t.number for t in tried if without is not None and t.number > without}
        return [t for t in tried if t.number not in later or outcome(t) != "running"]

    def end(self, number, record):
        """Tell Optuna how the trial with this record ended.

        Args:
            number: Number of the trial.
            record: What `make_record` returned; stored with the trial already.
        """
        state, values = ENDS[record["outcome"]], None
        if state == TrialState.COMPLETE:
            values = [record["values"][o.name] for o in self.objectives]
        if state == TrialState.PRUNED and not self.pruned:
            state, values = TrialState.COMPLETE, self._worst(record["facts"])
        self.study.tell(number, values, state=state)
        self.seen = None

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
        for trial in self.running(own):
            if self.watch.is_dead(trial):
                self._end_dead(trial)
        for trial in self.current():
            if outcome(trial) == "interrupted":
                self.take_up_again(trial.number, crashes(trial))

    def is_over(self, number):
        """Return whether another worker ended a trial."""
        return self.all()[number].state.is_finished()

    def running(self, own=()):
        """Return the trials that others run."""
        return [t for t in self.all() if t.state == TrialState.RUNNING and t.number not in own]

    def take_up_again(self, number, crashes=0):
        """Queue a trial with the same values; from now on it counts in place of the first."""
        trial = self.all()[number]
        attributes = {"retry_of": number, "root": root_of(trial), "crashes": crashes}
        if "index" in trial.user_attrs:
            attributes["index"] = trial.user_attrs["index"]
        self.study.enqueue_trial(trial.params, user_attrs=attributes)
        self.seen = None

    def give_back(self, trial):
        """End a trial that this process has not finished, so that it is taken up again."""
        frozen = self.all()[trial.number]
        if not frozen.state.is_finished():
            trial.set_user_attr("given_back", True)
            self._end_dead(frozen)

    def _end_dead(self, trial):
        record = trial.user_attrs.get("record")
        try:
            if record is not None:  # it died between writing the record and telling Optuna
                self.end(trial.number, record)
            else:
                self.study.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, RuntimeError):
            pass  # another worker was faster
        self.seen = None

    def born(self, number):
        """Return what no trial of another search has: when a trial began first, and its values."""
        root = self.all()[root_of(self.all()[number])]
        return [root.datetime_start.isoformat(), root.params]

    def _drawn(self, trial):
        """Return the hyperparameters of a trial that has not ended, as far as they are known."""
        while "values" not in trial.user_attrs and "retry_of" in trial.user_attrs:
            trial = self.all()[trial.user_attrs["retry_of"]]
        return trial.user_attrs.get("values", {})

    def finished(self, known):
        """Return KerasTuner trials that have ended and what became of them.

        Args:
            known: Set of the numbers that were returned before, to which these are added.
        """
        found = []
        for frozen in self.current():
            became, record = outcome(frozen), frozen.user_attrs.get("record")
            if frozen.number in known or became not in ("completed", "failed", "refused"):
                continue
            known.add(frozen.number)
            if record is not None:  # reading a state changes it
                found.append((Trial.from_state(copy.deepcopy(record["trial"])), became))
        return found

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
                    "values": hyperparameters.get("values") or self._drawn(trial),
                    "objectives": record.get("values", {}),
                    **{name: record.get("facts", {}).get(name) for name in FACTS},
                    "foretold": record.get("foretold", {}),
                    "reason": reason,
                    "epochs": record.get("epochs"),
                    "seconds": record.get("seconds"),
                    "gate_seconds": record.get("gate_seconds"),
                }
            )
        return rows
