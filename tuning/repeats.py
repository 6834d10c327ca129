"""Whether a configuration was tried before, what `fit` asks for included."""

from keras_tuner.engine import hyperparameters as kinds

from tuning.suggest import optuna_name


def is_repeat(hp, own, others, space):
    """Return whether one of the other trials has the configuration of a candidate.

    Where an earlier trial with the same values went on to ask for more of them in `fit`, those
    are drawn now, so that whole configurations are compared.

    Args:
        hp: The candidate's hyperparameters, which draw from `own`.
        own: Its Optuna trial.
        others: The Optuna trials that were tried.
        space: All hyperparameters known so far.
    """
    while True:
        params = own.params
        others = [t for t in others if params.items() <= t.params.items()]
        if any(len(t.params) == len(params) for t in others):
            return True
        _draw_one_of([name for t in others for name in t.params], hp, own, space)
        if len(own.params) == len(params):
            return False


def may_come(own, ledger):
    """Return the trials asked for before an Optuna trial that may yet draw what it has drawn.

    Of two workers with one configuration the one that asked first trains it; the other must not
    decide before it knows.
    """
    earlier = [t for t in ledger.running() if t.number < own.number]
    drawing = [t for t in earlier if not {"drawn", "values"} & t.user_attrs.keys()]
    alike = [t for t in drawing if t.params.items() <= own.params.items()]
    return [t for t in alike if not ledger.watch.is_dead(t)]


def _draw_one_of(names, hp, own, space):
    """Draw the first of these that is not drawn yet and that its conditions allow."""
    before = own.params
    known = {optuna_name(x): x for x in space}
    wanted = [known[name] for name in names if name not in before and name in known]
    parents = {condition.name for x in wanted for condition in x.conditions}
    # Optuna does not know fixed values, but what is drawn may depend on them.
    fixed = [x for x in space if isinstance(x, kinds.Fixed) and x.name in parents]
    for x in fixed + wanted:
        if len(own.params) == len(before) and hp.is_active(x):
            hp._retrieve(x)
