"""KerasTuner's oracle with Optuna as its engine and its only store."""

import random
import time

import keras_tuner
from keras_tuner.engine.trial import Trial
from optuna.trial import TrialState

from tuning import samplers, store, suggest, turns, workers
from tuning.answers import rank
from tuning.halving import Judge
from tuning.ledger import Ledger
from tuning.objectives import FACTS, make_objectives
from tuning.outcomes import is_retry, root_of
from tuning.repeats import is_repeat, may_come
from tuning.running import Running, last_line, make_record, stopped
from tuning.settings import keep


class OptunaOracle(keras_tuner.Oracle):
    """Proposes candidates by an Optuna sampler and keeps every outcome in an Optuna study.

    `propose` gives a candidate that draws its values while its model is built. It is then
    ended as refused or repeated, or accepted; the accepted ones are KerasTuner's trials.

    Args:
        objectives: See `ParetoSearch`.
        max_trials: Number of trials after which the search ends.
        sampler: See `ParetoSearch`.
        seed: Seed of the proposals, `None` for a new one every time.
        max_consecutive_failed_trials: Number of failures in a row that ends the search.
        halving: See `ParetoSearch`.
    """

    def __init__(
        self, objectives, max_trials, sampler, seed, max_consecutive_failed_trials, halving=None
    ):
        self.objectives = make_objectives(objectives)
        super().__init__(
            objective=next(o for o in self.objectives if o.name not in FACTS),
            max_trials=max_trials,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self.sampler, self.halving, self.judge = sampler, halving, None
        self.pruned = samplers.learns_from_pruned(samplers.make_sampler(sampler, 0, max_trials))
        # KerasTuner takes the seed 0 for none.
        self.seed = random.SystemRandom().randrange(2**31) if seed is None else seed
        self.ledger, self.read = None, set()
        self.running, self.offered = {}, None
        self.on_wait = None  # called with the number of trials of others that are waited for
        self.failures = []  # numbers of the trials that have failed in a row

    @property
    def study(self):
        """The Optuna study that holds everything."""
        return self.ledger.study

    def open(self, storage, settings, name="search", overwrite=False):
        """Open or create the store, and refuse one that was begun under other settings.

        Args:
            storage: What `store.location` returned.
            settings: What may not change while a search goes on.
            name: Name of the search in the store.
            overwrite: Whether to forget what the store has of it.
        """
        study = store.open_study(storage, [o.direction for o in self.objectives], name, overwrite)
        keep(study, settings)
        self.ledger = Ledger(study, self.objectives, self.pruned)
        self.judge = Judge(self.halving, self.ledger) if self.halving else None
        self.reload()

    def propose(self, untried=False):
        """Return a new candidate, or a stopped trial where all trials are spent.

        Args:
            untried: Draw at random among what was not tried, instead of asking the sampler.
        """
        while turns.is_left(self):
            if trial := self._ask(untried):
                return trial
        return stopped()

    def _ask(self, untried):
        waiting, index = self.ledger.waiting(), sum(not is_retry(t) for t in self.ledger.all())
        if waiting:  # what is taken up again keeps its place: interruptions change nothing
            index = waiting[0].user_attrs.get("index", index)
        seed = samplers.derived_seed(self.seed, index)
        sampler = samplers.make_sampler(self.sampler, seed, self.max_trials)
        untried = untried or self.sampler == "grid"
        self.study.sampler = samplers.Untried(self.ledger.tried(), seed) if untried else sampler
        asked = self.study.ask()
        asked.set_user_attr("index", index)
        asked.set_user_attr("worker", workers.worker())
        if self.ledger.is_too_many(asked.number, self.max_trials):
            asked.set_user_attr("record", {"outcome": "repeated"})
            self.study.tell(asked, state=TrialState.FAIL)
            return None
        hp = suggest.LiveHyperParameters(lambda hp: suggest.suggest(asked, self._checked(hp)))
        trial = Trial(hp, f"{asked.number:05d}", "RUNNING")
        self.running[trial.trial_id] = Running(asked, workers.Heartbeat(asked), seed)
        return trial

    def root(self, trial_id):
        """Return the id under which a trial began that was taken up again."""
        return f"{root_of(self.ledger.all()[int(trial_id)]):05d}"

    def _checked(self, hp):
        for known in self.hyperparameters.space:
            if (known.name, known.conditions) == (hp.name, hp.conditions):
                suggest.check_same(known, hp)
        return hp

    def is_repeat(self, trial):
        """Return whether a candidate's configuration was tried before."""
        own = self.running[trial.trial_id].optuna
        own.set_user_attr("drawn", True)  # said before it is asked what others have drawn
        while may_come(own, self.ledger):
            time.sleep(0.2)
        others = self.ledger.tried(without=own.number)
        return is_repeat(trial.hyperparameters, own, others, self.hyperparameters.space)

    def accept(self, trial):
        """Make a candidate a trial: the next that `create_trial` returns."""
        drawn = dict(trial.hyperparameters.values)
        self.running[trial.trial_id].optuna.set_user_attr("values", drawn)
        self.trials[trial.trial_id] = self.offered = trial
        self.start_order.append(trial.trial_id)

    def create_trial(self, tuner_id):
        """Return the accepted candidate, and without one a new candidate as it is."""
        if self.offered is None:
            trial = self.propose()
            if trial.status == "STOPPED":
                return trial
            self.accept(trial)
        trial, self.offered = self.offered, None
        return trial

    def update_trial(self, trial_id, metrics, step=0):
        """Write metrics into a trial; KerasTuner's own fails on names such as mean_io_u."""
        tracker = self.trials[trial_id].metrics
        directions = {o.name: o.direction for o in self.objectives}
        for name, value in metrics.items():
            if not tracker.exists(name):
                tracker.register(name, direction=directions.get(name, "min"))
            tracker.update(name, float(value), step=step)
        return self.trials[trial_id]

    def end_trial(self, trial):
        """Store the outcome of a trial; raise if too many in a row have failed."""
        if self.running[trial.trial_id].paused and trial.status == "COMPLETED":
            self.end(trial, "paused")
            self.failures = []
            self.trials.pop(trial.trial_id, None)  # KerasTuner knows no such outcome
            return
        if trial.status == "COMPLETED":
            self.score_trial(trial)
            self.end(trial, "completed")
            self.failures = []
        else:
            trial.status = "FAILED"
            self.end(trial, "failed", last_line(trial.message))
            self.failures.append(int(trial.trial_id))
        self.end_order.append(trial.trial_id)
        if self._too_many_failures():
            error = RuntimeError(
                f"{len(self.failures)} trials in a row have failed. They are trained again when "
                f"the search goes on. Received: {last_line(trial.message)}"
            )
            error.add_note(trial.message or "")
            raise error

    def _too_many_failures(self):
        return len(self.failures) >= self.max_consecutive_failed_trials

    def end(self, trial, became, reason=None):
        """Store how a candidate ended: first its record, then the word to Optuna."""
        running = self.running[trial.trial_id]
        running.beat.stop()
        trial.hyperparameters = suggest.plain(trial.hyperparameters)
        if self.ledger.is_over(running.optuna.number):  # it took this worker for dead
            del self.running[trial.trial_id]
            self.trials.pop(trial.trial_id, None)
            return
        for name, excess in running.limits.items():
            running.optuna.set_constraint(name, excess)
        record = make_record(trial, became, reason, running, self.objectives)
        running.optuna.set_user_attr("record", record)
        self.ledger.end(running.optuna.number, record)
        del self.running[trial.trial_id]
        if became != "repeated":
            self.update_space(trial.hyperparameters)

    def give_back(self):
        """Queue what this process runs, to be taken up again by the next search.

        So are the failures in a row that end a search: their cause may lie outside of them.
        """
        if self._too_many_failures():
            for number in self.failures:
                self.ledger.take_up_again(number)
                self.trials.pop(f"{number:05d}", None)
        self.failures = []
        for trial_id, running in list(self.running.items()):
            running.beat.stop()
            self.ledger.give_back(running.optuna)
            self.trials.pop(trial_id, None)
            del self.running[trial_id]
        self.offered = None
        self.ledger.recover()

    def reload(self):
        """Read what this and other workers have finished."""
        for trial, became in self.ledger.finished(self.read):
            self.update_space(trial.hyperparameters)
            if became != "refused" and trial.trial_id not in self.trials:
                self.trials[trial.trial_id] = trial
                self.start_order.append(trial.trial_id)
                self.end_order.append(trial.trial_id)

    def save(self):
        """Do nothing: every change is in the store already."""

    def remaining_trials(self):
        return max(0, self.max_trials - self.ledger.spent())

    def get_best_trials(self, num_trials=1):
        """Return the best completed trials: first the front, each part by the main objective."""
        return rank(self.completed(), self.objectives, self.objective)[:num_trials]

    def completed(self):
        """Return the completed trials of all workers."""
        self.reload()
        return [t for t in self.trials.values() if t.status == "COMPLETED"]
