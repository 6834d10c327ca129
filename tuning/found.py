"""What a search has found: its front, the best of it, the finalists, its page."""

from tuning import answers, report, retraining
from tuning.processes import check_scope
from tuning.progress import quiet


class Found:
    """Answers of `ParetoSearch`, while it searches, too."""

    def pareto_front(self):
        """Return the completed trials that no other dominates, best main objective first.

        With one objective these are the best trials.
        """
        trials = answers.pareto_front(self.oracle.completed(), self.oracle.objectives)
        return answers.rank(trials, self.oracle.objectives, self.oracle.objective)

    def knee(self):
        """Return the trial of the front that is best balanced.

        It is nearest to the point that has the best of every objective, each scaled by its range
        over the front. With one objective it is the best trial.

        Raises:
            ValueError: If no trial is completed.
        """
        return answers.knee(self.pareto_front(), self.oracle.objectives)

    def best(self, **limits):
        """Return the best completed trial that keeps the limits.

        `best(params=20_000)` is the best in the first objective with at most 20,000 parameters;
        `best(val_accuracy=0.95)` the best in the next objective with at least 0.95.

        Args:
            **limits: The least for objectives that are maximised, the most for all others:
                objectives, facts (`params`, `macs`) and metrics.

        Raises:
            ValueError: If a name is unknown, a limit no number, or no trial keeps the limits.
        """
        return answers.best_within(self.oracle.completed(), self.oracle.objectives, limits)

    def retrain(self, *args, test, trials=None, seeds=3, name=None, **fit):
        """Train finalists anew and test them; return a list of `Finalist`, in their order.

        Give training and validation data together: nothing is chosen any more. How often a search
        has read the test is told. The models are kept in its folder, and the same call goes on
        where it was cut off. Several devices, or processes on JAX, may train each model together:
        see README.

        Args:
            *args: Arguments of `fit`, such as `x` and `y`.
            test: `(x, y)` or `(x, y, sample_weight)` of the test, or a data set.
            trials: Completed trials; by default `pareto_front()`.
            seeds: Number of trainings of each.
            name: What names the data and callbacks of this call. Arrays and plain values are told
                by their content, nothing else is: without a name, a call with a data set or with
                callbacks trains all anew.
            **fit: Further arguments of `fit`, such as `epochs`.

        Raises:
            ValueError: If there is no trial, or an argument is wrong.
            RuntimeError: If it is called in a strategy's scope.
        """
        check_scope()
        trials = retraining.check(self.pareto_front() if trials is None else trials, test, seeds)
        fit, found = {"verbose": 0, **fit}, []
        told = retraining.described({"fit": fit, "args": args}, name)
        test = retraining.Test(test, self.oracle.study, name)
        with quiet(), retraining.alone(self.project_dir):
            for trial in trials:
                found.append(retraining.retrain(self, trial, args, test, seeds, fit, told))
                self.progress.say(str(found[-1]))
        self.progress.say(f"the test was read {test.reads} times")
        return found

    def trials_table(self):
        """Return every candidate as a dict of plain values, in the order of their proposal.

        Keys: `number`; `state` (`"completed"`, `"paused"`, `"failed"`, `"refused"`, `"running"` or
        `"waiting"`); `epochs`; `values` of the hyperparameters; `objectives`; the facts `params`,
        `macs`, `size_kb`, `latency_ms` and `memory_mb`; `foretold`, costs by which it was refused
        without a measurement; `reason` (of a refusal or failure); `seconds`, of them
        `gate_seconds` before the training; `front`.
        """
        best = {int(trial.trial_id) for trial in self.pareto_front()}
        return [{**row, "front": row["number"] in best} for row in self.oracle.ledger.rows()]

    def report(self, path=None):
        """Write a page of the search, by default `report.html` in its folder; return its path."""
        return report.write(self, path)
