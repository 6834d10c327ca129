"""What became of an Optuna trial, as its state and what was written into it tell."""

from optuna.trial import TrialState

CRASHES = 2  # times that a trial whose process died is taken up again


def outcome(frozen):
    """Return what became of an Optuna trial.

    `"completed"`, `"paused"` (not among the best so far), `"failed"`, `"refused"` (over the
    budget), `"repeated"` (tried before), `"running"`, `"waiting"` (to be taken up again) or
    `"interrupted"`.
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


def is_retry(frozen):
    """Return whether a trial goes on where another stood."""
    return "retry_of" in frozen.user_attrs


def root_of(frozen):
    """Return the number under which a trial began that was taken up again."""
    return frozen.user_attrs.get("root", frozen.number)
