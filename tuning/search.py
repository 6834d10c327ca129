"""The search: a KerasTuner tuner whose answer is a Pareto front within a budget."""

import contextlib
import os

from tuning import answers, epochs, report, retraining
from tuning.budget import Budget
from tuning.costs import Costs
from tuning.gate import Gate
from tuning.isolated import Isolation
from tuning.oracle import OptunaOracle
from tuning.processes import check_alone, check_scope
from tuning.progress import Progress, quiet
from tuning.settings import check_counts, check_search, check_settings, lasting
from tuning.store import location
from tuning.tuner import OptunaTuner


class ParetoSearch(OptunaTuner):
    """Search for the models that are best in several objectives and keep a budget.

    A `keras_tuner.Tuner`: `search` takes what `fit` takes; `get_best_models`,
    `get_best_hyperparameters`, `results_summary` and HyperModels are KerasTuner's own. Values
    are drawn when the model-building function asks for them, so a space is plain Python with
    `if` and `for`. Candidates over the budget are refused before they are trained: they count as
    no trial, and the sampler learns from them. No configuration is trained twice.

    Everything is in one store, which Optuna opens too. The same script goes on where an earlier
    run ended or was killed; a trial that was cut off goes on with the same values, where its
    model was trained by one `fit` from its newest epoch that was kept. A seed reproduces the
    proposals, interrupted or not, and seeds each training.

    Args:
        hypermodel: Function from hyperparameters to a compiled model, or a
            `keras_tuner.HyperModel`.
        objectives: One or several of: a metric's name in the logs of `fit`; a fact of the model,
            minimised: `"params"`, `"macs"`, and `"size_kb"`, `"latency_ms"` and `"memory_mb"` of
            its untrained `.tflite`, run as the budget says; a `keras_tuner.Objective`.
        budget: A `Budget`, or `None`.
        max_trials: Number of trials, failed ones included, refused ones not.
        sampler: `"tpe"`, `"nsga2"`, `"random"` or an Optuna sampler.
        seed: Whole number; 0 is one.
        max_consecutive_failed_trials: Number of failures in a row that ends the search with an
            error; the next search trains them again.
        max_consecutive_refused: Number of candidates over the budget in a row that ends it.
        directory, project_name: Folder of projects, and that of this search in it.
        overwrite: Whether to begin anew where the project exists.
        answer: Function from a model to the one that the device runs, which is measured; by
            default `heads.deploy`, of a model without heads the model itself.
        halving: A `Halving`, which pauses trials that are not among the best; or `None`.
        storage: Where everything is kept, so that any number of processes on any number of
            machines search together: start the same script again. `None` is `search.db` in the
            project's folder, for workers on this machine; a path ending in `.journal`, for those
            that share a disk; the URL of a PostgreSQL (`pip install 'keras-blocks[postgresql]'`)
            or MySQL database, for all others, which may restart while a search goes on. Let
            `directory` be shared, too: trainings that are taken up by another worker go on from
            there, and else begin anew.
        isolate: Whether every trial is trained in a process of its own (Linux, macOS): then its
            memory is free when it ends, and what crashes it costs one trial. It takes the time of
            importing Keras, and what the search is given must be picklable.
        **kwargs: Further arguments of `keras_tuner.Tuner`, such as `executions_per_trial`.

    Raises:
        ValueError: If an argument is wrong, a project was begun under other settings, or no
            candidate keeps the budget.

    >>> import tempfile, keras, numpy as np
    >>> def build(hp):
    ...     model = keras.Sequential([keras.Input((4,))])
    ...     for i in range(hp.Int("depth", 1, 3)):
    ...         model.add(keras.layers.Dense(hp.Choice(f"units{i}", [4, 8, 16])))
    ...     model.compile("adam", loss="mse")
    ...     return model
    >>> x, folder = np.ones((8, 4), "float32"), tempfile.mkdtemp()
    >>> tuner = ParetoSearch(build, ["val_loss", "params"], max_trials=2, directory=folder)
    >>> tuner.search(x, x[:, :1], validation_data=(x, x[:, :1]), verbose=0)
    >>> len(tuner.trials_table())
    2
    """

    def __init__(
        self,
        hypermodel,
        objectives="val_accuracy",
        budget=None,
        max_trials=20,
        sampler="tpe",
        seed=None,
        max_consecutive_failed_trials=3,
        max_consecutive_refused=200,
        directory=None,
        project_name=None,
        overwrite=False,
        answer=None,
        halving=None,
        storage=None,
        isolate=False,
        **kwargs,
    ):
        check_settings(
            seed,
            budget,
            kwargs,
            answer,
            halving,
            isolate,
            max_trials=max_trials,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            max_consecutive_refused=max_consecutive_refused,
            executions_per_trial=kwargs.get("executions_per_trial", 1),
        )
        self.budget, self.seed = budget or Budget(), seed
        failures = max_consecutive_failed_trials
        oracle = OptunaOracle(objectives, max_trials, sampler, seed, failures, halving)
        super().__init__(
            oracle,
            hypermodel,
            directory=os.path.abspath(directory or "."),
            project_name=project_name,
            overwrite=overwrite,
            **kwargs,
        )
        device = self.budget.device(answer)
        self.costs = Costs(oracle, self.budget, device)
        settings = lasting(oracle, self.budget, device if self.costs.measures else None)
        name = "search" if storage is None else project_name or "search"
        oracle.open(location(storage, self.project_dir), settings, name, overwrite)
        self.gate = Gate(self, max_consecutive_refused)
        self.isolation = Isolation(self.hypermodel, type(self)) if isolate else None
        self.progress = Progress(oracle, self.project_dir)

    def search(self, *args, verbose=1, **kwargs):
        """Search with the arguments of `fit`.

        Args:
            *args: Arguments of `fit`.
            verbose: 0 is silent, 1 prints a line a trial, 2 lets `fit` print its epochs too.
            **kwargs: Arguments of `fit`, such as `validation_data`, `epochs` and `callbacks`.

        Raises:
            ValueError: If an argument is wrong.
            RuntimeError: If too many trials in a row fail. They wait: the next search trains
                them again. If several processes train together.
        """
        check_alone()
        verbose = check_search(verbose, kwargs.get("callbacks"))
        self.progress = Progress(self.oracle, self.project_dir, verbose)
        self.oracle.give_back()  # what a search before could not, as its store was gone
        self.progress.begin()
        self.gate.reset()
        kwargs["verbose"] = 2 if verbose > 1 else 0
        apart = self.isolation.given(args, kwargs) if self.isolation else contextlib.nullcontext()
        try:
            with quiet(), apart:
                super().search(*args, **kwargs)
        except BaseException as error:
            self._retreat(error)
            raise
        self.tidy()
        self.progress.end(self.gate.reason, self.costs.summary())

    def pre_create_trial(self):
        """Find the next candidate within the budget, before KerasTuner asks for a trial."""
        trial = self.gate.next()
        self.progress.refused = self.gate.refused
        if trial.status == "STOPPED":
            self.oracle.offered = trial
        else:
            self.oracle.accept(trial)

    def on_trial_end(self, trial):
        """Store the outcome of a trial and say it."""
        running = self.oracle.running[trial.trial_id]
        try:
            self.oracle.end_trial(trial)
        finally:
            if trial.trial_id not in self.oracle.running:  # what it became is stored
                if trial.status == "FAILED" or not running.paused:  # it will not go on
                    epochs.forget(self.get_trial_dir(trial.trial_id))
                self.progress.trial(trial)

    def pareto_front(self):
        """Return the completed trials that no other dominates, best main objective first.

        With one objective these are the best trials.
        """
        trials = answers.pareto_front(self.oracle.completed(), self.oracle.objectives)
        return answers.rank(trials, self.oracle.objectives, self.oracle.objective)

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

    def retrain(self, *args, test, trials=None, seeds=3, **fit):
        """Train finalists anew and test them; return a list of `Finalist`, in their order.

        Give training and validation data together: nothing is chosen any more. How often a search
        has read the test is told. The models are kept in its folder, and the same call goes on.
        Several devices, or processes on JAX, may train each model together: see README.

        Args:
            *args: Arguments of `fit`, such as `x` and `y`.
            test: `(x, y)` of the test, or what `evaluate` takes.
            trials: Completed trials; by default `pareto_front()`.
            seeds: Number of trainings of each.
            **fit: Further arguments of `fit`, such as `epochs`.

        Raises:
            ValueError: If there is no trial, or `seeds` is not a whole number from 1.
            RuntimeError: If it is called in a strategy's scope.
        """
        check_counts(seeds=seeds)
        check_scope()
        trials = self.pareto_front() if trials is None else list(trials)
        if not trials:
            raise ValueError("A search must have a completed trial. Received: none.")
        fit, found = {"verbose": 0, **fit}, []
        test = retraining.Test(test, self.oracle.study)
        for trial in trials:
            found.append(retraining.retrain(self, trial, args, test, seeds, fit))
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
