"""The search: a KerasTuner tuner whose answer is a Pareto front within a budget."""

import contextlib
import os

from tuning import epochs
from tuning.budget import Budget
from tuning.costs import Costs
from tuning.found import Found
from tuning.gate import Gate
from tuning.isolated import Isolation
from tuning.oracle import OptunaOracle
from tuning.processes import check_alone
from tuning.progress import Progress, quiet
from tuning.settings import check_search, check_settings, lasting
from tuning.store import location
from tuning.tuner import OptunaTuner


class ParetoSearch(Found, OptunaTuner):
    """Search for the models that are best in several objectives and keep a budget.

    A `keras_tuner.Tuner`: `search` takes what `fit` takes; `get_best_models`,
    `get_best_hyperparameters`, `results_summary` and HyperModels are KerasTuner's own. Values
    are drawn when the model-building function asks for them, so a space is plain Python with
    `if` and `for`. Candidates over the budget are refused before they are trained: they count as
    no trial, and the sampler learns from them. No configuration is trained twice.

    Everything is in one store, which Optuna opens too. The same script goes on where an earlier
    run ended or was killed, and ends when nothing is left, of what other workers train neither. A
    trial that was cut off goes on with the same values, where its model was trained by one `fit`
    from its newest epoch that was kept. A seed reproduces the proposals, interrupted or not, and
    seeds each training.

    Args:
        hypermodel: Function from hyperparameters to a compiled model, or a
            `keras_tuner.HyperModel`.
        objectives: One or several of: a metric's name in the logs of `fit`; a fact of the model,
            minimised: `"params"`, `"macs"`, and `"size_kb"`, `"latency_ms"` and `"memory_mb"` of
            its untrained `.tflite`, run as the budget says; a `keras_tuner.Objective`.
        budget: A `Budget`, or `None`.
        max_trials: Number of trials, failed ones included, refused ones not.
        sampler: `"tpe"`, `"nsga2"`, `"random"`, `"grid"` (every configuration once, in an order
            drawn by chance) or an Optuna sampler, such as `optuna.samplers.GPSampler()`.
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
        self.isolation = Isolation(type(self)) if isolate else None
        location(storage, ".")  # a wrong one is told before an old project is removed
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
        self.progress = Progress(oracle, self.project_dir)

    def search(self, *args, verbose=1, **kwargs):
        """Search with the arguments of `fit`.

        Args:
            *args: Arguments of `fit`.
            verbose: 0 is silent, 1 prints a line a trial, 2 lets `fit` print its epochs too.
            **kwargs: Arguments of `fit`, such as `validation_data`, `epochs` and `callbacks`.

        Raises:
            ValueError: If an argument is wrong, or the space is another than the search was begun
                with.
            RuntimeError: If too many trials in a row fail. They wait: the next search trains
                them again. If several processes train together.
        """
        check_alone()
        verbose = check_search(verbose, kwargs.get("callbacks"))
        self.progress = Progress(self.oracle, self.project_dir, verbose)
        self.oracle.on_wait = self.progress.waits
        self.oracle.give_back()  # what a search before could not, as its store was gone
        self.check_space()
        self.progress.begin()
        self.gate.reset()
        kwargs["verbose"] = 2 if verbose > 1 else 0
        apart = contextlib.nullcontext()
        if self.isolation:
            apart = self.isolation.given(self.hypermodel, args, kwargs)
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
