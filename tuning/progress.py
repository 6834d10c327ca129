"""One line a trial, so that a search can be watched."""

import contextlib
import logging
import time

from tuning.answers import pareto_front, value
from tuning.objectives import FACTS


class Progress:
    """Prints how a search goes.

    Args:
        oracle: The oracle of the search.
        folder: Where its files are.
        verbose: 0 for silence.
    """

    def __init__(self, oracle, folder, verbose=1):
        self.oracle, self.folder, self.verbose = oracle, folder, verbose
        self.began = time.perf_counter()
        self.refused = self.before = 0

    def say(self, text):
        """Print a line, at once."""
        if self.verbose:
            print(text, flush=True)

    def begin(self):
        """Say what is there already."""
        done, total = self.oracle.ledger.spent(), self.oracle.max_trials
        self.before, self.began = done, time.perf_counter()
        if done:
            self.say(f"going on with {self.folder}: {done} of {total} trials are done")

    def trial(self, trial):
        """Say how a trial ended."""
        oracle = self.oracle
        rows = reversed(oracle.ledger.rows())
        row = next((r for r in rows if r["number"] == int(trial.trial_id)), None)
        if row is None:
            self.say(f"trial {int(trial.trial_id)} was taken over by another worker")
            return
        head = f"trial {oracle.ledger.spent()}/{oracle.max_trials}"
        if trial.status != "COMPLETED":
            parts = [head, f"failed: {short(row['reason'])}", f"{row['seconds']:.1f} s"]
        else:
            done = [t for t in oracle.trials.values() if t.status == "COMPLETED"]
            names = [o.name for o in oracle.objectives]
            facts = {name: row[name] for name in FACTS if row[name] is not None}
            found = {**facts, **row["objectives"]}
            shown = names + [name for name in facts if name not in names]
            parts = [head, *(f"{name} {number(found[name])}" for name in shown)]
            parts += [f"{row['epochs']} epochs"] if row["epochs"] else []
            parts += ["paused"] if row["state"] == "paused" else []
            parts += [f"{row['seconds']:.1f} s"]
            if done:
                first = oracle.objective
                best = max if first.direction == "max" else min
                parts.append(f"best {number(best(value(t, first.name) for t in done))}")
            if done and len(names) > 1:
                parts.append(f"front {len(pareto_front(done, oracle.objectives))}")
        if self.refused:
            parts.append(f"refused {self.refused}")
        parts += self.left()
        self.say(" · ".join(parts))

    def waits(self, count):
        """Say that nothing is left but what other workers train."""
        trials = "the last trial" if count == 1 else f"the last {count} trials"
        self.say(f"waiting for {trials} of other workers; Ctrl-C ends this one")

    def left(self):
        """Return, in words, how long the search may still take, by all workers together."""
        done, total = self.oracle.ledger.spent(), self.oracle.max_trials
        if not self.before < done < total:
            return []
        seconds = (time.perf_counter() - self.began) * (total - done) / (done - self.before)
        return [f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"]

    def end(self, reason, costs=""):
        """Say why the search is over, where the files are, and what can be done next.

        Args:
            reason: Why it is over.
            costs: How the costs of models were found.
        """
        states = [row["state"] for row in self.oracle.ledger.rows()]
        counts = ", ".join(
            f"{states.count(s)} {s}"
            for s in ("completed", "paused", "failed", "refused")
            if s in states
        )
        seconds = time.perf_counter() - self.began
        self.say(f"{reason}: {counts or 'no trials'}, {seconds:.0f} s · files in {self.folder}")
        if costs:
            self.say(costs)
        if "completed" in states:
            self.say(
                "next: tuner.best(macs=…), tuner.pareto_front(), tuner.get_best_models(), "
                "tuner.trials_table(); to go on, run it again with a larger max_trials"
            )


@contextlib.contextmanager
def quiet():
    """Keep TensorFlow from warning that every new model is traced anew, as it must be."""

    def wanted(record):
        return "triggered tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


def short(text, most=100):
    """Return a text, cut where it is long."""
    return text if len(text) <= most else text[: most - 1] + "…"


def number(value):
    """Return a number in few characters: `0.9712`, `120k`, `3.4M`."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.3g}k"
    return f"{value:.4g}"
