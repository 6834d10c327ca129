"""Between a proposal and its training: build it, know it, measure it, refuse it."""

import collections
import gc
import math
import time

import keras
import keras_tuner
from keras.src.backend.common import global_state

from tuning.running import stopped

GARBAGE_EVERY = 5.0  # seconds; a collection takes longer than a small model's refusal
CONFIGURED = (  # in Keras's global state
    "dtype_policy",
    "distribution",
    "custom_objects_scope_dict",
    "flash_attention",
    "interactive_logging",
    "traceback_filtering",
)
REPEATS = 5  # known configurations that a sampler may propose before chance takes over


class Gate:
    """Finds the next candidate that is worth a training.

    Args:
        tuner: The `ParetoSearch`.
        max_refused: Number of candidates over the budget in a row at which to give up.
    """

    def __init__(self, tuner, max_refused):
        self.tuner, self.max_refused = tuner, max_refused
        self.reset()

    def reset(self):
        """Begin a search."""
        self.reason, self.built = "", None
        self.refused = 0  # in this search
        self.in_a_row = 0
        self.collected = time.monotonic()

    def next(self):
        """Return the next trial, its model built, or a stopped one; `reason` then says why."""
        oracle, repeats = self.tuner.oracle, 0
        while True:
            untried = repeats >= REPEATS
            trial = oracle.propose(untried)
            if trial.status == "STOPPED":
                self.reason = "all trials are done"
                return trial
            self._build(trial)
            if oracle.is_repeat(trial):
                oracle.end(trial, "repeated")
                if untried:
                    self.reason = "every configuration of the space was tried"
                    return stopped()
                repeats += 1
            elif self._keeps_budget(trial):
                self.in_a_row = 0
                return trial
            elif self.in_a_row >= self.max_refused:
                self.reason = self._give_up()
                return stopped()

    def take(self, hp):
        """Return the model that was built with these hyperparameters, once, or `None`."""
        if self.built is None or self.built[0] is not hp:
            return None
        _, model, error = self.built
        self.built = None
        if error is not None:
            raise error
        return model

    def _build(self, trial):
        hp, tuner = trial.hyperparameters, self.tuner
        if time.monotonic() - self.collected > GARBAGE_EVERY:
            gc.collect()
            self.collected = time.monotonic()
        seed = None if tuner.seed is None else tuner.oracle.running[trial.trial_id].seed
        self.built = None
        try:
            self.built = hp, fresh_model(tuner._build_hypermodel, hp, seed), None
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:  # whatever a space raises is this trial's failure
            self.built = hp, None, error

    def _keeps_budget(self, trial):
        hp, model, error = self.built
        if error is not None:
            return True
        running = self.tuner.oracle.running[trial.trial_id]
        try:
            violations = self.tuner.costs.judge(running, model)
        except Exception as problem:  # a model that cannot be measured cannot be judged
            self.built = hp, None, problem
            return True
        finally:
            running.gate_seconds = time.perf_counter() - running.began
        if violations:
            self.built = None
            self.refused += 1
            self.in_a_row += 1
            said = self.tuner.costs.said(running, violations)
            self.tuner.oracle.end(trial, "refused", said)
        return not violations

    def _give_up(self):
        rows = self.tuner.oracle.ledger.rows()
        refused = [r for r in rows if r["state"] == "refused"]
        limits = self.tuner.budget.limits
        seen = {name: [r[name] for r in refused if r[name] is not None] for name in limits}
        smallest = ", ".join(f"{name} {min(costs):,}" for name, costs in seen.items() if costs)
        blame = collections.Counter(name for r in refused for name in exceeded(r, limits))
        blamed = ", ".join(f"{name} {count} times" for name, count in blame.most_common())
        nearest = min(refused, key=lambda r: max(exceeded(r, limits).values(), default=math.inf))
        message = (
            f"{self.in_a_row} candidates in a row were over the budget ({blamed}); the smallest "
            f"seen: {smallest}; the nearest, {nearest['values']}: {nearest['reason']}"
        )
        if any(row["state"] in ("completed", "paused", "failed") for row in rows):
            return message
        raise ValueError(
            "The space must hold models within the budget. "
            f"Received: {self.tuner.budget}; {message}. Raise the limit or offer smaller models, "
            "and begin anew with overwrite=True."
        )


def exceeded(row, limits):
    """Return how many times as much as allowed a candidate costs, of the limits that it breaks."""
    costs = {name: row["foretold"].get(name, row[name]) for name in limits}
    costs = {name: cost for name, cost in costs.items() if cost is not None}
    return {name: cost / limits[name] for name, cost in costs.items() if cost > limits[name]}


def fresh_model(build, hp, seed=None):
    """Return the model of these hyperparameters, free of what earlier models left behind.

    Args:
        build: Function from hyperparameters to a model.
        hp: Hyperparameters.
        seed: Seed of the weights and of the training to follow, or `None`.
    """
    forget_models()
    if seed is not None:
        keras.utils.set_random_seed(seed)
    model = build(hp)
    if not isinstance(model, keras.Model):
        raise keras_tuner.errors.FatalTypeError(
            "The model-building function must return a compiled keras.Model. "
            f"Received: {model!r} of type {type(model).__name__}."
        )
    return model


def forget_models():
    """Clear what earlier models left in Keras, names of layers above all, not what was configured.

    Keras's own `clear_session` forgets both.
    """
    before = vars(global_state.GLOBAL_STATE_TRACKER)
    kept = {name: before[name] for name in CONFIGURED if name in before}
    keras.backend.clear_session(free_memory=False)
    for name, each in kept.items():
        global_state.set_global_attribute(name, each)
