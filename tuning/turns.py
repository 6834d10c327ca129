"""Whether a search has something left to do, as far as this worker and the others know."""

import time

from tuning import workers


def is_left(oracle):
    """Return whether a trial is left to propose; wait while others run what may come back.

    Trials of workers that are found dead are queued again, and so are paused ones that may go on.
    """
    ledger, said = oracle.ledger, False
    own = [running.optuna.number for running in oracle.running.values()]
    while True:
        with ledger.at_once():
            ledger.recover(own)
            if oracle.judge and not ledger.waiting():
                ledger.promote(oracle.judge.passing)
            if ledger.has_room(oracle.max_trials):
                return True
            others = [t for t in ledger.running(own) if not workers.is_own(t)]
        if not others:
            return False
        if not said and oracle.on_wait:
            oracle.on_wait(len(others))
            said = True
        time.sleep(min(1.0, workers.STALE_AFTER / 10))
