"""KerasTuner's tuner where an Optuna oracle keeps everything."""

import contextlib
import json
import math
import pathlib
import shutil
import traceback

import keras
import keras_tuner

from tuning import epochs, results, samplers, store, suggest
from tuning.gate import fresh_model
from tuning.outcomes import outcome, root_of
from tuning.settings import check_compiled
from tuning.tensorboard import has_tensorboard
from tuning.trainer import Hooks, Trainer


class OptunaTuner(keras_tuner.Tuner):
    """Builds, trains and loads the models of a search."""

    isolation = None  # what hands trials to processes of their own

    def run_trial(self, trial, *args, callbacks=None, **kwargs):
        """Train a candidate, or go on with it; see `keras_tuner.Tuner.run_trial`."""
        oracle, running = self.oracle, self.oracle.running[trial.trial_id]
        goes_on = oracle.judge.of(running) if oracle.judge else None
        folder = pathlib.Path(self.get_trial_dir(trial.trial_id))
        self._claim(folder, oracle.ledger.born(int(trial.trial_id)))
        if self.isolation:
            self.gate.take(trial.hyperparameters)  # which is built anew there
            settings = {"folder": str(folder), "executions": self.executions_per_trial}
            found, running.epochs = self.isolation.train(trial, running, oracle, settings, goes_on)
            return found

        def own(execution):
            copied = self._deepcopy_callbacks(callbacks or [])
            self._configure_tensorboard_dir(copied, trial, execution)
            return [*copied, Hooks(self, trial)]

        def fit(execution, callbacks):
            if execution and self.seed is not None:
                keras.utils.set_random_seed(samplers.execution_seed(running.seed, execution))
            return self._build_and_fit_model(trial, *args, callbacks=callbacks, **kwargs)

        trainer = Trainer(folder, self.executions_per_trial, oracle.objective, goes_on)
        try:
            return trainer.run(fit, own)
        finally:
            running.epochs = trainer.epochs

    def _claim(self, folder, born):
        """Clear the folder of a trial of what is not its own: states of another search's."""
        mark, told = folder / "trial.json", json.dumps(born, default=str)
        if not mark.exists() or mark.read_text() != told:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            epochs.save(mark, lambda part: part.write_text(told))

    def check_space(self):
        """Raise where the space asks for what the newest finished trial did not draw."""
        trials = self.oracle.completed()
        if not trials:
            return
        hp = suggest.LiveHyperParameters(lambda hp: missing.append(hp.name) or hp.default)
        missing, known = [], trials[-1].hyperparameters
        suggest.drawn_before(hp, known.get_config())
        with contextlib.suppress(Exception):  # what a build raises is told by the search
            fresh_model(self._build_hypermodel, hp)
        if missing:
            raise ValueError(
                "A search goes on with the space it was begun with. Received: a space with "
                f"{', '.join(missing)}, where trial {int(trials[-1].trial_id)} of "
                f"{self.project_dir} has {', '.join(known.values) or 'nothing'}. Choose another "
                "`project_name`, or begin anew with overwrite=True."
            )

    def get_trial_dir(self, trial_id):
        """Return the folder of a trial: that of the first, where it was taken up again."""
        return super().get_trial_dir(self.oracle.root(trial_id))

    def _get_checkpoint_fname(self, trial_id):
        folders = sorted(pathlib.Path(self.get_trial_dir(trial_id)).glob("execution_*"))
        if best := epochs.best_file(folders, self.oracle.objective):
            return best
        raise ValueError(
            "The weights of a trial lie where it was trained. Received: trial "
            f"{int(trial_id)}, of which {self.get_trial_dir(trial_id)} has none. Let `directory` "
            "be one that all workers share, and let `fit` of a HyperModel take the callbacks."
        )

    def load_model(self, trial):
        """Return the model of a completed trial, trained, optimizer included."""
        model = self._try_build(trial.hyperparameters)
        if not model.built:
            return super().load_model(trial)
        if model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
        model.load_weights(self._get_checkpoint_fname(trial.trial_id))
        return model

    def tidy(self):
        """Remove what no training will go on from, such as of a worker that died at its end."""
        for trial in self.oracle.ledger.current():
            if outcome(trial) in ("completed", "failed"):
                epochs.forget(super().get_trial_dir(f"{root_of(trial):05d}"))

    def _retreat(self, error):
        """Give back what runs here after an error, and say what is left."""
        with contextlib.suppress(store.Unreachable):  # then it is seen that this process is gone
            self.oracle.give_back()
        reasons = {
            KeyboardInterrupt: "The search was interrupted.",
            store.Unreachable: "The store of the search could be reached no more: is its disk "
            "full, its file locked, its server gone?",
        }
        for kind, reason in reasons.items():
            if isinstance(error, kind):
                note = (
                    f"{reason} Finished trials are kept; files in {self.project_dir}. "
                    "Run the same script again to go on."
                )
                error.add_note(note)
                self.progress.say(note)

    def build(self, trial):
        """Return the model of a trial, not trained."""
        return self._try_build(trial.hyperparameters)

    def save(self):
        """Do nothing: the oracle's store is always up to date."""

    def reload(self):
        """Read what other workers have finished."""
        if self.oracle.ledger is not None:
            self.oracle.reload()

    def _populate_initial_space(self):
        """Build nothing: the space shows itself while it is searched."""

    def _configure_tensorboard_dir(self, callbacks, trial, execution=0):
        """KerasTuner imports tensorboard here, which TensorFlow no longer installs."""
        if has_tensorboard(callbacks):
            super()._configure_tensorboard_dir(callbacks, trial, execution)

    def _try_build(self, hp):
        model = self.gate.take(hp)
        model = fresh_model(self._build_hypermodel, hp) if model is None else model
        check_compiled(self.hypermodel, model)
        return model

    def _try_run_and_update_trial(self, trial, *args, **kwargs):
        try:
            self._run_and_update_trial(trial, *args, **kwargs)
            trial.status = "COMPLETED"
        except (keras_tuner.errors.FatalError, store.Unreachable):  # no fault of the trial's
            raise
        except Exception as error:
            trace = getattr(error, "trace", None)  # of a process of its own
            trial.status, trial.message = "FAILED", trace or traceback.format_exc()

    def _run_and_update_trial(self, trial, *args, **kwargs):
        found = self.run_trial(trial, *args, **kwargs)
        metrics, epoch = results.metrics_of(found, self.oracle.objective)
        facts = self.oracle.running[trial.trial_id].facts
        metrics |= {name: fact for name, fact in facts.items() if fact is not None}
        finite = {name: metric for name, metric in metrics.items() if math.isfinite(metric)}
        self.oracle.update_trial(trial.trial_id, finite, step=epoch)
        try:
            results.check_objectives(metrics, self.oracle.objectives)
        except keras_tuner.errors.FatalError:  # what was kept would never have the objective
            epochs.forget(self.get_trial_dir(trial.trial_id))
            raise
